"""The overview: what is counted, what is red, and where it leads."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow
import pytest
import streamlit as st
from botocore.exceptions import EndpointConnectionError

from console.operations.avatars import cdn
from console.operations.avatars.cdn import Invalidation
from console.operations.environments import health
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.health import Alarm, Certificate, Processed
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters
from tests.unit.console.pages.conftest import Show, text

NOW = datetime.now(UTC)


@pytest.fixture
def healthy(settings: object, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A system of which all is healthy; change what a test is about."""
    recent = time.time() - 60
    uploads = [Processed(recent, 1.0, ""), Processed(recent, 3.0, ""), Processed(recent, 1.0, "x")]
    answers: list[tuple[Any, str, Any]] = [
        (health, "processed", [*uploads, Processed(recent - 7200, 2.0, "")]),
        (dead_letters, "counts", {"waiting": 2, "in_flight": 1, "dead": 0}),
        (health, "queue_age", 12.0),
        (health, "failed", []),
        (health, "alarms", [Alarm("queue-age", "OK", "", NOW)]),
        (health, "last_migration", (None, 0)),
        (health, "certificate", Certificate("a.test", "ISSUED", NOW + timedelta(days=90, hours=1))),
    ]
    for module, name, answer in answers:
        monkeypatch.setattr(module, name, lambda here, answer=answer: answer)
    monkeypatch.setattr(
        cdn, "newest", lambda here, count: [Invalidation("I", "Completed", NOW, ())]
    )
    return monkeypatch


def test_uploads_are_counted_by_the_hour_and_the_day_with_their_times(
    show: Show, healthy: pytest.MonkeyPatch
) -> None:
    app = show("overview")
    found = {metric.label: metric.value for metric in app.metric}
    assert found["Uploads, last hour"] == "3"
    assert found["Uploads, last day"] == "4"
    assert found["To avatar, median"] == "2.0 s"
    said = text(app)
    assert "waiting or in flight: 3" in said
    assert "expires in: 90 days" in said


def test_while_all_is_healthy_one_line_says_so(show: Show, healthy: pytest.MonkeyPatch) -> None:
    app = show("overview")
    said = text(app)
    assert said.count("Everything is healthy.") == 1
    assert ":red-badge" not in said
    assert "Oldest waits 12 s" in said
    assert len(app.metric) == 4, "a number that needs nobody is no card"


def test_what_is_not_measured_is_not_called_well(show: Show, healthy: pytest.MonkeyPatch) -> None:
    healthy.setattr(health, "queue_age", lambda here: None)
    unmeasured = [Alarm("queue-age", "INSUFFICIENT_DATA", "", NOW)]
    healthy.setattr(health, "alarms", lambda here: unmeasured)
    said = text(show("overview"))
    assert "Not known: Alarms. Nothing else needs attention." in said
    assert "Everything is healthy" not in said
    assert "the oldest waits is not known" in said


@pytest.mark.parametrize(
    ("module", "name", "answer", "says"),
    [
        (dead_letters, "counts", {"waiting": 0, "in_flight": 0, "dead": 2}, "not empty"),
        (health, "alarms", [Alarm("dead-letters", "ALARM", "A message.", NOW)], "in ALARM"),
        (health, "certificate", Certificate("a.test", "ISSUED", NOW + timedelta(days=9)), "issued"),
        (health, "certificate", Certificate("a.test", "EXPIRED", NOW), "expired"),
    ],
)
def test_what_is_not_healthy_is_red(
    show: Show, healthy: pytest.MonkeyPatch, module: Any, name: str, answer: Any, says: str
) -> None:
    healthy.setattr(module, name, lambda here: answer)
    reds = [line for line in text(show("overview")).splitlines() if ":red-badge" in line]
    assert len(reds) == 1
    assert says in reds[0]


def test_a_queue_whose_messages_all_fail_is_not_healthy(
    show: Show, healthy: pytest.MonkeyPatch
) -> None:
    healthy.setattr(health, "failed", lambda here: [time.time() - 5] * 1200)
    app = show("overview")
    assert ":orange-badge[:material/warning: some fail]" in text(app), "one came through lately"
    st.cache_data.clear()
    healthy.setattr(health, "processed", lambda here: [Processed(time.time() - 700, 1.0, "")])
    said = text(app.run())
    assert ":red-badge[:material/error: all fail]" in said
    assert "1,200 tries failed in the last 10 min" in said


def test_a_list_that_was_cut_is_not_taken_for_all(show: Show, healthy: pytest.MonkeyPatch) -> None:
    uploads = [Processed(time.time() - 7200, 1.0, "x")] * health.MOST
    healthy.setattr(health, "processed", lambda here: uploads)
    app = show("overview")
    found = {metric.label: metric.value for metric in app.metric}
    assert found["Uploads, last day"] == "10,000 or more"
    assert "Rejected in the last day: 10,000 or more" in text(app)


def test_one_slow_upload_leaves_the_others_to_be_seen(
    show: Show, healthy: pytest.MonkeyPatch
) -> None:
    now = time.time()
    uploads = [Processed(now - 60 * minute, 1.0, "") for minute in range(100)]
    uploads += [Processed(now - 60 * minute, 4.0, "") for minute in range(100)]
    healthy.setattr(health, "processed", lambda here: [*uploads, Processed(now - 3000, 1140.0, "")])
    (chart,) = show("overview").get("vega_lite_chart")
    drawn = json.loads(chart.proto.spec)
    assert drawn["layer"][0]["encoding"]["y"]["scale"]["type"] == "log"
    values = pyarrow.ipc.open_stream(chart.proto.data.data).read_all().to_pylist()
    slow = [row["seconds"] for row in values if row["what"] == "outlier"]
    assert slow == [1140.0]
    medians = {row["seconds"] for row in values if row["what"] == "median"}
    assert max(medians) <= 4.0
    assert len({row["at"] for row in values if row["what"] == "p95"}) > 10


def test_an_alarm_in_alarm_says_what_it_watches_and_leads_there(
    show: Show, healthy: pytest.MonkeyPatch
) -> None:
    alarms = [Alarm("dead-letters", "ALARM", "A message failed.", NOW)]
    healthy.setattr(health, "alarms", lambda here: alarms)
    app = show("overview")
    assert "**dead-letters**" in text(app)
    assert "A message failed." in text(app)
    ways = {link.proto.label: link.proto.page for link in app.get("page_link")}
    assert ways["Deal with the messages"] == "failures"


def test_what_can_not_be_known_leaves_the_other_cards(
    show: Show, healthy: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> None:
        raise OperationError("Could not list the alarms: no.", "Ask for that permission.")

    healthy.setattr(health, "alarms", refused)
    app = show("overview")
    assert "Ask for that permission." in text(app)
    assert "dead-letter messages: 0" in text(app)
    assert ":gray-badge[:material/help: not known] **Alarms**" in text(app)


def test_aws_away_is_said_once_and_the_last_values_stay_with_their_age(
    show: Show, healthy: pytest.MonkeyPatch
) -> None:
    alarms = [Alarm("dead-letters", "ALARM", "A message failed.", NOW)]
    healthy.setattr(health, "alarms", lambda here: alarms)
    app = show("overview")
    st.cache_data.clear()

    def away(_: object, count: int = 0) -> None:
        error = EndpointConnectionError(endpoint_url=f"http://127.0.0.1:4566/{time.time()}")
        with aws_errors("look at something"):
            raise error

    for module, name in (
        (health, "processed"),
        (health, "failed"),
        (health, "queue_age"),
        (health, "alarms"),
        (health, "certificate"),
        (dead_letters, "counts"),
        (cdn, "newest"),
    ):
        healthy.setattr(module, name, away)
    app.run()
    assert [error.value for error in app.error] == [
        "127.0.0.1:4566 does not answer.\n\n**What to do:** Check that AWS can be reached; for "
        "ENV=local run `make up`."
    ]
    said = text(app)
    assert "waiting or in flight: 3 :gray[ · was healthy, as of" in said
    assert "**Alarms** :red-badge[:material/error: not known now]" in said
    assert "was in ALARM, as of" in said
    assert "Everything is healthy" not in said
    assert ":green-badge[:material/check_circle: up to date] **Database**" in said


def test_without_uploads_it_says_what_to_do_first(show: Show, healthy: pytest.MonkeyPatch) -> None:
    healthy.setattr(health, "processed", lambda here: [])
    assert "Send one on **Test avatars**" in text(show("overview"))
