"""The failures page: what an operator sees and does there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from moto import mock_aws
from streamlit.testing.v1 import AppTest

from console import session
from console.operations.environments.deployment import ROOT, Deployment
from console.operations.pipeline import dead_letters, rejections
from tests.integration.system import wait_until
from tests.unit.console import deployments


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    monkeypatch.setenv("AVATAR_OPS_STATE", str(tmp_path))
    monkeypatch.setenv("ENV", "local")
    st.cache_resource.clear()
    st.cache_data.clear()
    return tmp_path


@pytest.fixture
def here(folder: Path) -> Iterator[Deployment]:
    with mock_aws():
        yield deployments.make(folder)
        for thread in threading.enumerate():
            if thread.name.startswith("job "):
                thread.join(20)


def opened() -> AppTest:
    app = AppTest.from_file(str(ROOT / "console/app.py"), default_timeout=60).run()
    return app.switch_page("pages/failures.py").run()


def rejected() -> AppTest:
    app = opened()
    app.segmented_control[0].set_value("Rejected uploads")
    return app.run()


def key_starting(app: AppTest, text: str) -> str:
    return next(str(radio.key) for radio in app.radio if str(radio.key).startswith(text))


def texts(app: AppTest) -> str:
    return "\n".join(
        str(item.value) for kind in (app.markdown, app.caption, app.text) for item in kind
    )


def settled(app: AppTest) -> AppTest:
    for thread in threading.enumerate():
        if thread.name.startswith("job "):
            thread.join(20)
    return app.run()


def test_an_empty_queue_says_what_to_do_first(here: Deployment) -> None:
    assert "The dead-letter queue is empty" in texts(opened())
    assert "No upload was rejected" in texts(rejected())


def test_a_message_shows_its_key_and_what_the_log_says(here: Deployment) -> None:
    deployments.bury(here, "ada.jpg")
    app = opened()
    assert app.checkbox[0].label == "**ada.jpg**"
    assert "The log names no cause" in texts(app)


def test_details_show_a_preview_or_say_there_is_none(here: Deployment) -> None:
    deployments.bury(here, "ada.jpg")
    app = opened()
    app.toggle[0].set_value(True).run()
    assert "No preview" in texts(app)
    assert "ada.jpg" in app.code[-1].value


def test_the_chosen_message_alone_is_redriven(here: Deployment) -> None:
    chosen, left = (deployments.bury(here, name) for name in ("a.jpg", "b.jpg"))
    app = opened()
    app.checkbox(key=f"choose {chosen}").check().run()
    app.button(key="redrive chosen").click().run()
    app = settled(app)
    assert [message.message_id for message in dead_letters.sample(here).messages] == [left]
    assert "1 message put back on the queue." in texts(app)


def test_nothing_is_discarded_before_the_environment_is_typed(here: Deployment) -> None:
    chosen = deployments.bury(here, "a.jpg")
    app = opened()
    app.checkbox(key=f"choose {chosen}").check().run()
    assert app.button(key="discard chosen").disabled
    app.text_input[-1].set_value("prod").run()
    assert app.button(key="discard chosen").disabled
    app.text_input[-1].set_value("local").run()
    app.button(key="discard chosen").click().run()
    settled(app)
    assert dead_letters.sample(here).total == 0


def test_a_rejected_upload_shows_its_reason_and_its_record_can_be_discarded(
    here: Deployment,
) -> None:
    deployments.reject(here, "ada.jpg", "damaged")
    app = rejected()
    assert "damaged" in texts(app)
    assert "The file is damaged" in texts(app)
    app.checkbox[0].check().run()
    app.text_input[-1].set_value("local").run()
    app.button(key="discard records").click().run()
    app = settled(app)
    assert "1 record discarded." in texts(app)
    assert "No upload was rejected" in texts(app)


def test_older_rejections_are_a_page_away_and_back(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections.page, "__defaults__", (None, 1))
    for name in ("a", "b"):
        deployments.reject(here, f"{name}.jpg")
    app = rejected()
    first = app.checkbox[0].label
    next(button for button in app.button if button.label == "Older").click().run()
    assert app.checkbox[0].label != first
    next(button for button in app.button if button.label == "Newer").click().run()
    assert app.checkbox[0].label == first


def test_dead_letters_are_grouped_by_cause_and_one_cause_is_redriven(here: Deployment) -> None:
    for number in range(12):
        deployments.fail(here, f"{number}.jpg", "NoSuchBucket")
    left = deployments.fail(here, "left.jpg", "AccessDenied")
    app = opened()
    causes = app.radio(key_starting(app, "Cause of "))
    assert causes.options == ["Any cause", "**NoSuchBucket**", "**AccessDenied**"]
    assert str(causes.proto.captions[1]).startswith("12 · first ")
    causes.set_value("NoSuchBucket").run()
    assert app.checkbox
    assert "**left.jpg**" not in [box.label for box in app.checkbox]
    app.number_input(key="pace").set_value(500).run()
    button = app.button(key="redrive group")
    assert button.label == "Redrive these 12 at 500 a second"
    button.click().run()
    app = settled(app)
    assert "12 messages put back on the queue." in texts(app)
    assert [message.message_id for message in dead_letters.sample(here).messages] == [left]


def test_a_search_and_its_time_are_in_the_address(here: Deployment) -> None:
    for name in ("ada.jpg", "grace.jpg"):
        deployments.fail(here, name)
    app = opened()
    app.text_input(key="find failures").set_value("grace").run()
    app.selectbox(key="choose period").set_value("7d").run()
    assert app.query_params == {"find": "grace", "since": "7d"}
    assert [box.label for box in app.checkbox] == ["**grace.jpg**"]


def test_rejections_are_grouped_by_code(here: Deployment) -> None:
    for number in range(3):
        deployments.reject(here, f"ada{number}.jpg", "damaged", f"{number}".encode())
    deployments.reject(here, "grace.jpg", "too_many_pixels")
    app = rejected()
    codes = app.radio(key_starting(app, "Code of "))
    assert codes.options == ["Any code", "**damaged**", r"**too\_many\_pixels**"]
    codes.set_value("too_many_pixels").run()
    assert [box.label for box in app.checkbox] == ["**grace.jpg**"]


def test_a_running_redrive_is_stopped_and_says_who_stopped_it(here: Deployment) -> None:
    for number in range(40):
        deployments.bury(here, f"{number}.jpg")
    app = opened()
    app.number_input(key="pace").set_value(10).run()
    app.button(key="redrive group").click().run()
    (job,) = session.jobs().of("failures")
    wait_until(lambda: job.may_stop, "the first report")
    app.run()
    next(button for button in app.button if button.label == "Stop").click().run()
    app = settled(app)
    assert "Stopped by " in texts(app)
    assert 0 < deployments.waiting(here, here.dead_letter_queue_url) < 40


def test_a_missing_settings_file_is_a_sentence(folder: Path) -> None:
    app = opened()
    assert "make up" in app.error[0].value
    assert app.title[0].value == "Failures"


def test_aws_that_is_down_is_a_sentence(folder: Path) -> None:
    deployments.write_settings(folder, "http://127.0.0.1:9/q", "http://127.0.0.1:9/d")
    with (folder / ".env.local").open("a") as settings:
        settings.write("\nAWS_ENDPOINT_URL=http://127.0.0.1:9\n")
    app = opened()
    assert "Could not look at the queues" in app.error[0].value
    assert "make up" in app.error[0].value


def test_missing_rights_are_a_sentence(here: Deployment) -> None:
    here.sqs.delete_queue(QueueUrl=here.dead_letter_queue_url)
    assert "What to do" in opened().error[0].value
