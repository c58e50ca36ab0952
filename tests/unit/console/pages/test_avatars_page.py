"""Test avatars: what is sent is listed first, one after the other, and by operators alone."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from console import session
from console.operations.avatars import takedown, timeline, versions
from console.operations.avatars.takedown import Listing
from console.operations.avatars.versions import Version
from console.operations.environments import logs
from console.operations.environments.logs import Line
from console.operations.errors import OperationError
from console.operations.uploads import profiles, samples, send
from console.operations.uploads.send import UploadResult
from tests.integration.system import wait_until
from tests.unit.console import deployments
from tests.unit.console.pages.conftest import Show, text


def ended(app: AppTest) -> AppTest:
    wait_until(lambda: not session.jobs().running(), "the sending")
    return app.run()


def from_files(app: AppTest) -> None:
    app.session_state["pictures"] = "Files"
    app.run()


def test_what_will_be_sent_is_listed_before_anything_is(show: Show) -> None:
    app = show("test_avatars")
    assert "This will be sent:" in text(app)
    assert "generated\\-" in text(app)
    assert session.jobs().of("avatar") == []
    from_files(app)
    assert "Choose a picture above" in text(app)
    assert "send" not in {button.key for button in app.button}


def test_a_failure_says_which_step_broke_and_what_to_do(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> UploadResult:
        raise OperationError(
            "CORS: the API does not admit pages.", "Run `make apply`, or see the page Failures."
        )

    monkeypatch.setattr(send, "send_as_user", refuse)
    app = show("test_avatars")
    app.button(key="send").click().run()
    said = "CORS: the API does not admit pages.\n\n**What to do:** Run `make apply`, or see"
    assert said in text(ended(app))
    assert [link.proto.page for link in app.get("page_link")] == ["failures"]


def test_a_viewer_can_not_send(show: Show) -> None:
    assert show("test_avatars", group="viewers").button(key="send").disabled


def test_a_generated_picture_is_the_same_for_its_seed() -> None:
    assert samples.generated(1) == samples.generated(1) != samples.generated(2)


def test_an_avatar_that_is_not_there_is_said_to_be_none(show: Show, settings: Path) -> None:
    app = show("test_avatars")
    app.session_state["view"] = "Find"
    app.run()
    assert "Give the name of an avatar" in text(app)
    app.text_input(key="find").set_value("_default").run()
    assert "not a valid avatar name" in text(app)


def test_pictures_are_sent_one_after_the_other(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most = [], []

    def counted(_here: object, data: bytes, *_: object) -> UploadResult:
        at_once.append(data)
        most.append(len(at_once))
        threading.Event().wait(0.05)
        at_once.remove(data)
        return UploadResult("ada", "v", "http://assets.invalid/avatars/ada.jpg", ())

    monkeypatch.setattr(send, "send_as_user", counted)
    app = show("test_avatars")
    from_files(app)
    app.file_uploader[0].set_value(
        [(f"{seed}.jpg", samples.generated(seed), "image/jpeg") for seed in (1, 2, 3)]
    ).run()
    app.button(key="send").click().run()
    ended(app)
    assert most == [1, 1, 1]


def test_two_pictures_of_one_file_name_are_both_sent(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []

    def keep(_here: object, data: bytes, *_: object) -> UploadResult:
        sent.append(data)
        return UploadResult("ada", "v", "http://assets.invalid/avatars/ada.jpg", ())

    monkeypatch.setattr(send, "send_as_user", keep)
    app = show("test_avatars")
    pictures = [samples.generated(seed) for seed in (1, 2)]
    from_files(app)
    app.file_uploader[0].set_value([("photo.jpg", data, "image/jpeg") for data in pictures]).run()
    app.button(key="send").click().run()
    ended(app)
    assert sent == pictures


def test_a_file_that_is_refused_says_why_and_nothing_is_sent_in_its_place(show: Show) -> None:
    app = show("test_avatars")
    from_files(app)
    app.file_uploader[0].set_value(
        [("IMG_1.HEIC", b"heic", "image/heic"), ("nothing.jpg", b"", "image/jpeg")]
    ).run()
    assert "**nothing.jpg** is not sent: it is empty." in text(app)
    assert r"**IMG\_1.HEIC** is not sent" in text(app)
    assert "Choose a picture above" in text(app)
    assert "send" not in {button.key for button in app.button}


def test_what_was_sent_is_remembered_small(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    data = samples.generated(7) + bytes(2_000_000)
    monkeypatch.setattr(
        send, "send_as_user", lambda *_: UploadResult("ada", "v", "http://assets.invalid/a.jpg", ())
    )
    app = show("test_avatars")
    from_files(app)
    app.file_uploader[0].set_value([("photo.jpg", data, "image/jpeg")]).run()
    app.button(key="send").click().run()
    ended(app)
    ((small, size),) = app.session_state["sent"].values()
    assert size == len(data)
    assert 0 < len(small) < 100_000


def test_beside_a_banner_stands_whether_its_user_is_locked(
    show: Show, settings: Path, tmp_path: Path
) -> None:
    here = deployments.make(tmp_path)
    deployments.lock(here, "0000-sub")
    app = show("test_avatars")
    app.segmented_control[0].set_value("Find").run()
    app.text_input(key="find").set_value("banners/0000-sub").run()
    assert "Locked since" in text(app)
    assert "Unlock" in {button.label for button in app.button}


def test_a_handle_without_its_at_sign_is_offered_as_a_user(
    show: Show, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "versions", lambda _here, name: [])
    monkeypatch.setattr(
        takedown, "list_stored", lambda _here, name: Listing(datetime.now(UTC), (), ())
    )

    def read(_here: object, handle: str) -> SimpleNamespace:
        if handle.removeprefix("@") != "ada":
            raise OperationError(f"There is no user {handle}.", "Check it.")
        return SimpleNamespace(sub="0000-sub")

    monkeypatch.setattr(profiles, "read", read)
    app = show("test_avatars")
    app.session_state["view"] = "Find"
    app.run()
    app.text_input(key="find").set_value("ada").run()
    button = next(item for item in app.button if "@ada" in item.label)
    button.click().run()
    assert app.text_input(key="find").value == "@ada"
    assert "0000-sub" in text(app)
    app.text_input(key="find").set_value("nobody").run()
    assert not [item for item in app.button if "@nobody" in item.label]


def test_a_request_or_a_version_leads_to_its_avatar_and_a_file_to_what_it_became(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    request = "0f3c5a2e-0007-4c1b-9d5e-3b1f6a7c8d9e"

    def newest(_here: object, _names: object, texts: list[str], *_: object) -> list[Line]:
        (text,) = texts
        asked.append(text)
        fields = {"message": "avatar written", "key": "people/lake.jpg", "request_id": request}
        return [Line(1.0, "resize", "", fields)] if text == request else []

    monkeypatch.setattr(logs, "newest", newest)
    monkeypatch.setattr(timeline, "timeline", lambda *_: [])
    monkeypatch.setattr(takedown, "list_stored", lambda *_: Listing(datetime.now(UTC), (), ()))
    stored = Version("people/lake.jpg", None, "v", datetime.now(UTC), 10, "shown", None)
    monkeypatch.setattr(
        versions, "versions", lambda _here, name: [stored] if name == "people/lake" else []
    )
    app = show("test_avatars")
    app.session_state["view"] = "Find"
    app.run()
    app.text_input(key="find").set_value(request).run()
    assert app.table[0].value["What"].tolist() == ["avatar written"]
    app.button(key="show people/lake").click().run()
    assert app.text_input(key="find").value == "people/lake"
    assert "what users see" in text(app)
    app.text_input(key="find").set_value("people/lake.jpg").run()
    assert "what users see" in text(app)
    app.text_input(key="find").set_value("short").run()
    assert asked == [request], "a word is no id: a day's logs aren't read for it"
