"""Every page where AWS can't be asked: a sentence with the remedy, and the rest of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from streamlit.testing.v1 import AppTest

from console import session
from tests.integration.system import wait_until
from tests.unit.console.pages.conftest import Show, text

TITLES = {
    "overview": "Overview",
    "test_avatars": "Test avatars",
    "failures": "Failures",
    "profile": "Profile",
    "environment": "Environment",
    "migrations": "Migrations",
    "cdn": "CDN",
    "audit": "Audit",
}
ASK_AWS = ("overview", "failures", "cdn")
"""Pages that ask AWS something before anybody has clicked.

The environment's page finds these settings incomplete, and says so before it asks anything.
"""


def settled(show: Show, page: str) -> AppTest:
    """Draw a page once what it looks at in the background has been looked at."""
    app = show(page)
    wait_until(lambda: not session.jobs().running(), "the page having looked")
    return app.run()


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code}."}}, "Operation")


FAULTS: dict[str, tuple[Exception, str]] = {
    "no credentials": (NoCredentialsError(), "aws sso login"),
    "expired credentials": (refusal("ExpiredToken"), "sign in again"),
    "no emulator": (EndpointConnectionError(endpoint_url="http://localhost:1"), "make up"),
    "throttled": (refusal("ThrottlingException"), "try again in a minute"),
    "denied": (refusal("AccessDenied"), "Ask for that permission"),
}


@pytest.mark.parametrize("page", TITLES)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_aws_refuses_is_explained_and_the_page_is_drawn(
    show: Show, monkeypatch: pytest.MonkeyPatch, page: str, fault: str
) -> None:
    error, remedy = FAULTS[fault]

    def refuse(*_arguments: Any) -> None:
        raise error

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    app = settled(show, page)
    assert not app.exception
    assert [title.value for title in app.title] == [TITLES[page]]
    assert "nobody foresaw" not in text(app)
    if page in ASK_AWS:
        assert remedy in text(app)


@pytest.mark.parametrize("page", TITLES)
def test_without_settings_each_page_says_how_to_make_them(
    show: Show, settings: Path, page: str
) -> None:
    settings.unlink()
    app = settled(show, page)
    assert not app.exception
    assert [title.value for title in app.title] == [TITLES[page]]
    assert "nobody foresaw" not in text(app)
    assert "make up" in text(app)
