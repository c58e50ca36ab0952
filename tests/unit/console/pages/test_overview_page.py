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

from console.operations.audit.audit import Action, Audit
from console.operations.avatars import cdn
from console.operations.avatars.cdn import Invalidation
from console.operations.environments import arrivals, health
from console.operations.environments.arrivals import Arrivals, Bin
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.health import Alarm, Certificate
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters
from tests.unit.console.pages.conftest import Show, text

NOW = datetime.now(UTC)


def came(seconds: float, *bins: Bin, **more: Any) -> Arrivals:
    """Return what came, with the median and so on of 2 s."""
    outcomes = {"written": sum(each.uploads - each.rejected for each in bins)}
    outcomes["rejected"] = sum(each.rejected for each in bins)
    return Arrivals(
        arrivals.BINS[int(seconds)], outcomes, percentiles=(2.0, 4.0, 9.0), bins=bins, **more
    )


@pytest.fixture
def healthy(settings: object, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A system of which all is healthy; change what a test is about."""
    recent = time.time() - 60
    answers: list[tuple[Any, str, Any]] = [
        (dead_letters, "counts", {"waiting": 2, "in_flight": 1, "dead": 0}),
        (health, "queue_age", 12.0),
        (health, "alarms", [Alarm("queue-age", "OK", "", NOW)]),
        (health, "last_migration", (None, 0)),
        (health, "certificate", Certificate("a.test", "ISSUED", NOW + timedelta(days=90, hours=1))),
    ]
    for module, name, answer in answers:
        monkeypatch.setattr(module, name, lambda here, answer=answer: answer)
    monkeypatch.setattr(arrivals, "failed", lambda here, seconds: 0)
    recently = Bin(recent, 3, 1, 2.0, 4.0, 5.0)
    earlier = Bin(recent - 7200, 1, 0, 2.0, 4.0, 5.0)
    monkeypatch.setattr(
        arrivals,
        "within",
        lambda here, seconds: came(
            seconds, *([earlier] if seconds > 3600 else []), recently, codes={"damaged": 1}
        ),
    )
    monkeypatch.setattr(
        cdn, "newest", lambda here, count: [Invalidation("I", "Completed", NOW, ())]
    )
    return monkeypatch


def test_uploads_are_counted_over_a_time_that_is_in_the_address(
    show: Show, healthy: pytest.MonkeyPatch
) -> None:
    app = show("overview")
    found = {metric.label: metric.value for metric in app.metric}
    assert (found["Uploads"], found["Rejected"]) == ("4", "1")
    assert found["To avatar, median"] == "2.0 s"
    assert "Rejected: 1 (damaged 1)" in text(app)
    said = text(app)
    assert "waiting or in flight: 3" in said
    assert "expires in: 90 days" in said
    app.selectbox(key="choose period").set_value("1h").run()
    assert {metric.label: metric.value for metric in app.metric}["Uploads"] == "3"
    assert app.query_params["since"] in ("1h", ["1h"])


def test_while_all_is_healthy_one_line_says_so(show: Show, healthy: pytest.MonkeyPatch) -> None:
    app = show("overview")
    said = text(app)
    assert said.count("Everything is healthy.") == 1
    assert ":red-badge" not in said
    assert "Oldest waits 12 s" in said
    assert len(app.metric) == 5, "a number that needs nobody is no card"


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
    healthy.setattr(arrivals, "failed", lambda here, seconds: 1200)
    app = show("overview")
    assert ":orange-badge[:material/warning: some fail]" in text(app), "one came through lately"
    st.cache_data.clear()
    earlier = Bin(time.time() - 700, 1, 0, 1.0, 1.0, 1.0)
    healthy.setattr(arrivals, "within", lambda here, seconds: came(seconds, earlier))
    said = text(app.run())
    assert ":red-badge[:material/error: all fail]" in said
    assert "1,200 messages failed in the last 10 min" in said


def drawn(app: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the chart, and all that is drawn in it."""
    (chart,) = app.get("vega_lite_chart")
    spec = json.loads(chart.proto.spec)
    rows = [row for each in spec.get("datasets", {}).values() for row in each]
    rows += [row for layer in spec["layer"] for row in layer.get("data", {}).get("values", [])]
    for data in (chart.proto.data, *(each.data for each in chart.proto.datasets)):
        if data.data:
            rows += pyarrow.ipc.open_stream(data.data).read_all().to_pylist()
    return spec, rows


def test_one_slow_upload_leaves_the_others_to_be_seen(
    show: Show, healthy: pytest.MonkeyPatch
) -> None:
    now = time.time()
    bins = [Bin(now - 900 * number, 2, 0, 1.0, 4.0, 4.0) for number in range(20, 1, -1)]
    bins.append(Bin(now - 900, 1, 0, 1.0, 4.0, 1140.0))
    healthy.setattr(arrivals, "within", lambda here, seconds: came(seconds, *bins))
    chart, values = drawn(show("overview"))
    assert chart["layer"][0]["encoding"]["y"]["scale"]["type"] == "log"
    assert [row["seconds"] for row in values if row.get("what") == "slowest"] == [1140.0]
    assert {row["seconds"] for row in values if row.get("what") == "median"} == {1.0}
    assert len({row["at"] for row in values if row.get("what") == "p95"}) == 20


def test_what_was_changed_is_marked_on_the_chart(show: Show, healthy: pytest.MonkeyPatch) -> None:
    change = Action(NOW, NOW, "ops", "promote", "resize version 4", "done", "", "key")
    healthy.setattr(Audit, "actions", lambda self, wanted, limit: [change])
    _, values = drawn(show("overview"))
    assert "promote: resize version 4" in {row.get("change") for row in values}


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

    def away(_: object, count: float = 0) -> None:
        error = EndpointConnectionError(endpoint_url=f"http://127.0.0.1:4566/{time.time()}")
        with aws_errors("look at something"):
            raise error

    for module, name in (
        (arrivals, "within"),
        (arrivals, "failed"),
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
    healthy.setattr(arrivals, "within", lambda here, seconds: Arrivals(900))
    assert "Send one on **Test avatars**" in text(show("overview"))
