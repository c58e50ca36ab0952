"""The page Review: one picture after the other, blurred until it is asked for."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from console import session
from console.jobs import Jobs
from console.operations.avatars import thumbnails
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import reviews
from tests.integration.system import wait_until
from tests.unit.console import deployments
from tests.unit.console.pages.conftest import Show, text


@pytest.fixture
def here(settings: Path, tmp_path: Path) -> Iterator[Deployment]:
    yield deployments.make(tmp_path)
    wait_until(lambda: not session.jobs().running(), "the decisions")


def picture(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(stream, "PNG")
    return stream.getvalue()


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()


def shown(app: AppTest) -> str:
    lines = [line for line in text(app).splitlines() if line.startswith("**")]
    return next(line.split("**")[1] for line in lines if "What to do" not in line)


def test_without_moderation_it_says_how_to_turn_it_on(show: Show) -> None:
    app = show("review")
    assert "set `moderation`" in text(app)
    assert not app.exception


def test_decisions_follow_each_other_oldest_first(here: Deployment, show: Show) -> None:
    for number in range(4):
        deployments.hold(here, f"user{number}", since=1767323000 + number)
    app = show("review")
    assert "4 waiting" in text(app)
    assert shown(app) == "user0"
    for label, state in (("Approve", "approved"), ("Refuse", "refused")):
        name = shown(app)
        press(app, label)
        wait_until(lambda: not session.jobs().running(), "the decision")
        assert reviews.of_avatar(here, name)[0].state == state
    assert shown(app) == "user2"
    press(app, "Skip")
    assert shown(app) == "user3"
    press(app, "Approve")
    assert shown(app) == "user2", "what was put off comes last"
    press(app, "Refuse and lock")
    wait_until(lambda: not session.jobs().running(), "the decision")
    app.run()
    assert "Nothing waits" in text(app)


def test_pictures_are_blurred_until_they_are_asked_for(
    here: Deployment, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    monkeypatch.setattr("streamlit.image", lambda data, **_: sent.append(data))
    version_id = deployments.hold(here, "ada", picture("red"))
    clear = thumbnails.of_original(here, "ada", version_id)
    assert clear
    app = show("review")
    assert sent == [thumbnails.blurred(clear)]
    press(app, "Look")
    assert sent[-1] == clear


def test_a_viewer_sees_what_waits_and_no_picture(
    here: Deployment, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    monkeypatch.setattr("streamlit.image", lambda data, **_: sent.append(data))
    deployments.hold(here, "ada", picture("red"), reports=(("hate", "*see* it"),))
    app = show("review", group="viewers")
    assert "Only operators see pictures" in text(app)
    assert r"\*see\* it" in text(app)
    assert sent == []


def test_a_reported_picture_is_taken_down_only_after_the_name_is_typed(
    here: Deployment, show: Show
) -> None:
    version_id = deployments.hold(here, "ada", picture("red"), state="reported")
    metadata = {
        "version": hashlib.md5(picture("red"), usedforsecurity=False).hexdigest(),
        "version-id": version_id,
        "uploaded": "2026-01-02T03:04:05+00:00",
    }
    here.s3.put_object(Bucket="assets", Key="avatars/ada.jpg", Body=b"x", Metadata=metadata)
    app = show("review")
    refuse = next(button for button in app.button if button.label == "Refuse")
    assert refuse.disabled
    assert any("show the default picture at avatars/ada.jpg" in code.value for code in app.code)


@pytest.mark.parametrize("at_once", [False, True])
def test_what_somebody_else_has_decided_is_said_and_passed_over(
    here: Deployment, show: Show, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    start = Jobs.start

    def ended(*arguments: Any) -> Any:
        job = start(*arguments)
        assert job.over.wait(60)
        return job

    if at_once:  # before the page is drawn again
        monkeypatch.setattr(Jobs, "start", ended)
    version_id = deployments.hold(here, "ada")
    deployments.hold(here, "grace", since=time.time())
    app = show("review")
    reviews.decide(here, reviews.of_avatar(here, "ada")[0], "refused")
    press(app, "Approve")
    wait_until(lambda: not session.jobs().running(), "the decision")
    app.run()
    assert "somebody has decided it" in text(app)
    wait_until(lambda: shown(app.run()) == "grace", "the next picture")
    assert reviews.read(here, "ada", version_id).state == "refused"  # type: ignore[union-attr]


def test_a_list_that_is_done_is_asked_for_again(here: Deployment, show: Show) -> None:
    for number in range(60):
        deployments.hold(here, f"user{number}", since=1767323000 + number)
    app = show("review")
    for number in range(52):
        assert shown(app) == f"user{number}"
        press(app, "Approve")
    assert not app.exception
