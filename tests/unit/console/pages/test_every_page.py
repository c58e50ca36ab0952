"""Every page where something is missing: a sentence with the remedy, and the rest still works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.client
import pytest
import streamlit as st
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError, UnauthorizedSSOTokenError
from streamlit.testing.v1 import AppTest

from console import session
from console.operations.environments import clients, target
from console.operations.environments.target import Target
from console.operations.uploads import profiles
from console.operations.uploads.profiles import Profile
from tests.integration.system import wait_until
from tests.unit.console.pages.conftest import SETTINGS, Show, text


def find(app: AppTest) -> AppTest:
    app.session_state["view"] = "Find"
    app.run()
    return app.text_input(key="find").set_value("ada").run()


def sign_in(app: AppTest) -> AppTest:
    # there is no button where it is not known what it would act on
    if any(button.key == "sign in" and not button.disabled for button in app.button):
        app.button(key="sign in").click().run()
    return ended(app)


def ended(app: AppTest) -> AppTest:
    wait_until(lambda: not session.jobs().running(), "the job")
    return app.run()


def drawn(app: AppTest) -> AppTest:
    return app


# Each page, and how it comes to ask AWS
PAGES: dict[str, tuple[str, Callable[[AppTest], AppTest]]] = {
    "overview": ("Overview", drawn),
    "test_avatars": ("Test avatars", find),
    "failures": ("Failures", drawn),
    "profile": ("Profile", sign_in),
    "environment": ("Environment", ended),
    "migrations": ("Migrations", drawn),
    "cdn": ("CDN", drawn),
    "releases": ("Releases", drawn),
    "costs": ("Costs", drawn),
    "audit": ("Audit", drawn),
}


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")


FAULTS: dict[str, tuple[Exception, str]] = {
    "no credentials": (NoCredentialsError(), "aws sso login"),
    "an SSO sign-in that has ended": (UnauthorizedSSOTokenError(), "aws sso login"),
    "expired credentials": (refused("ExpiredToken"), "sign in again"),
    "unknown credentials": (refused("InvalidClientTokenId"), "check AWS_PROFILE"),
    "a denied permission": (refused("AccessDenied"), "Ask for that permission"),
    "throttling": (refused("ThrottlingException"), "try again in a minute"),
}


def said(app: AppTest, title: str) -> str:
    """Return the page's sentences, having seen that it is drawn, and without an accident."""
    assert not app.exception
    assert [item.value for item in app.title] == [title]
    sentences = text(app).replace("\\", "")  # what is not Markdown is escaped
    assert "unexpected error" not in sentences
    assert "Traceback" not in sentences
    return sentences


@pytest.fixture(autouse=True)
def _complete_settings_and_nobody_who_answers(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings.read_text().replace("http://api.invalid", "http://127.0.0.1:9")
    settings.write_text(
        found + "DATABASE_URL_PARAMETER=/url\nAWS_REGION=eu-central-1\n"
        "AWS_ENDPOINT_URL=http://127.0.0.1:9\n"
        "AWS_ACCESS_KEY_ID=testing\nAWS_SECRET_ACCESS_KEY=testing\n"
    )
    # seconds of trying again are no matter here
    monkeypatch.setattr(clients, "_CONFIG", Config(retries={"total_max_attempts": 1}))
    monkeypatch.setattr(
        profiles, "read", lambda here, handle: Profile(handle, "Ada", "", "sub-1", "", "")
    )


@pytest.mark.parametrize("page", PAGES)
def test_aws_that_refuses_is_a_sentence_with_the_remedy(
    show: Show, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests, page: str
) -> None:
    title, ask = PAGES[page]
    app = show(page)
    for fault, (error, remedy) in FAULTS.items():
        with subtests.test(fault):

            def refuse(*_: Any, error: Exception = error) -> None:
                raise error

            monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", refuse)
            ended(app)
            session.jobs.clear()
            st.cache_data.clear()
            assert remedy in said(ask(app.run()), title)


@pytest.mark.parametrize("page", PAGES)
def test_an_emulator_that_is_down_is_a_sentence(show: Show, page: str) -> None:
    title, ask = PAGES[page]
    assert "make up" in said(ask(show(page)), title)


@pytest.mark.parametrize("page", PAGES)
def test_no_environment_is_a_sentence(show: Show, settings: Path, page: str) -> None:
    settings.unlink()
    title, ask = PAGES[page]
    asks_nothing = page in {"profile", "test_avatars"}  # there is nothing to click on
    assert "make up" in said((drawn if asks_nothing else ask)(show(page)), title)


@pytest.mark.parametrize("page", ["overview", "migrations", "audit"])
def test_a_stopped_database_is_a_sentence(
    show: Show, settings: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    settings.write_text(SETTINGS)
    monkeypatch.setenv("DATABASE_URL", "postgresql://x@127.0.0.1:1/x")
    title, ask = PAGES[page]
    assert "can't be reached" in said(ask(show(page)), title)


@pytest.mark.parametrize("page", ["test_avatars", "profile"])
def test_nothing_is_asked_of_aws_before_it_must(
    show: Show, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setattr(
        target, "resolve", lambda env: Target(env, "1", "eu-central-1", None, Path())
    )
    app = show(page)
    asked: list[str] = []
    monkeypatch.setattr(
        botocore.client.BaseClient,
        "_make_api_call",
        lambda client, operation, parameters: asked.append(operation),
    )
    st.cache_data.clear()
    said(app.run(), PAGES[page][0])
    assert asked == []
