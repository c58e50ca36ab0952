"""The overview: what is counted, what is red, and where it leads."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.operations.avatars import cdn
from console.operations.avatars.cdn import Invalidation
from console.operations.environments import health
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


def metrics(show: Show) -> dict[str, str]:
    return {metric.label: metric.value for metric in show("overview").metric}


def test_uploads_are_counted_by_the_hour_and_the_day_with_their_times(
    show: Show, healthy: pytest.MonkeyPatch
) -> None:
    found = metrics(show)
    assert found["Uploads, last hour"] == "3"
    assert found["Uploads, last day"] == "4"
    assert found["Upload to avatar, median"] == "2.0 s"
    assert found["Waiting or in flight"] == "3"
    assert found["Expires in"] == "90 days"


def test_nothing_is_red_while_all_is_healthy(show: Show, healthy: pytest.MonkeyPatch) -> None:
    said = text(show("overview"))
    assert ":red-badge" not in said
    assert "Oldest waits 12 s" in said


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


def test_an_alarm_in_alarm_says_what_it_watches_and_leads_there(
    show: Show, healthy: pytest.MonkeyPatch
) -> None:
    alarms = [Alarm("dead-letters", "ALARM", "A message failed.", NOW)]
    healthy.setattr(health, "alarms", lambda here: alarms)
    app = show("overview")
    assert "**dead-letters**" in text(app)
    assert "A message failed." in text(app)
    ways = {link.proto.label: link.proto.page for link in app.get("page_link")}
    assert ways["Deal with the dead-letter messages"] == "failures"


def test_what_can_not_be_known_leaves_the_other_cards(
    show: Show, healthy: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> None:
        raise OperationError("Could not list the alarms: no.", "Ask for that permission.")

    healthy.setattr(health, "alarms", refused)
    app = show("overview")
    assert "Ask for that permission." in text(app)
    assert {metric.label for metric in app.metric} >= {"Dead-letter messages", "Expires in"}


def test_without_uploads_it_says_what_to_do_first(show: Show, healthy: pytest.MonkeyPatch) -> None:
    healthy.setattr(health, "processed", lambda here: [])
    assert "Send one on **Test avatars**" in text(show("overview"))
