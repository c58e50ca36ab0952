"""What the functions' logs say, by an engine that answers as CloudWatch Logs Insights does."""

from __future__ import annotations

import time

import pytest

from console.operations.environments import insights
from console.operations.environments.deployment import Deployment
from console.operations.environments.insights import Group, Query
from console.operations.errors import OperationError
from console.operations.pipeline import causes, dead_letters, rejections
from console.operations.pipeline.causes import Selection
from tests.unit.console import deployments
from tests.unit.console.insights_engine import InsightsEngine, failed

NOW = 1_800_000_000_000


def test_all_lines_come_once_newest_first_in_few_queries(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insights, "_MOST", 1000)
    at = [NOW - 7 * number for number in range(4500, 0, -1)]
    at[3480:3530] = [at[3480]] * 50  # one moment, across the end of an answer
    at.sort()
    engine = InsightsEngine(
        here, [(moment, failed(f"{number:04}", "ada")) for number, moment in enumerate(at)]
    )
    query = Query("resize", (), NOW / 1000 - 90 * 86400, NOW / 1000)
    found = [line["message_id"] for line in insights.lines(here, query)]
    assert found == [f"{number:04}" for number in range(4499, -1, -1)]
    assert len(engine.queries) < 20
    assert engine.scanned < 4 * 4500


def test_counts_are_the_engines_own(here: Deployment) -> None:
    engine = InsightsEngine(here, [], (("damaged", 3_600_000, NOW - 5000, NOW),))
    groups = rejections.groups(here, Selection(0, NOW / 1000))
    assert groups == [Group("damaged", 3_600_000, NOW / 1000 - 5, NOW / 1000)]
    (asked,) = engine.queries
    assert asked["queryString"].startswith('filter @message like /"message": "upload rejected"/ |')


def test_a_page_of_100000_dead_letters_costs_a_handful_of_calls(here: Deployment) -> None:
    now = time.time()
    lines = [
        (round(now * 1000) - number, failed(str(number), f"ada{number}"))
        for number in range(100_000, 0, -1)
    ]
    engine = InsightsEngine(here, lines, (("NoSuchBucket", 100_000, NOW, NOW),))
    deployments.bury(here, "ada.jpg")
    counted = {
        "ApproximateNumberOfMessages": "100000",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "VisibilityTimeout": "180",
        "RedrivePolicy": '{"maxReceiveCount": 3}',
    }
    headers = {"HTTPHeaders": {"date": "Tue, 15 Nov 2016 08:12:31 GMT"}}
    deployments.instead_of(
        here.sqs,
        "GetQueueAttributes",
        lambda _: {"Attributes": counted, "ResponseMetadata": headers},
    )
    sqs = deployments.calls(here.sqs)
    found = dead_letters.sample(here)
    selection = Selection(now - 86400, now)
    (group,) = causes.groups(here, selection, found.receives)
    newest = list(causes.failures(here, selection, found.receives, dead_letters.SHOWN))
    causes.of_messages(here, [message.message_id for message in found.messages], 0, now)
    assert (found.total, group.count, len(newest)) == (100_000, 100_000, 10)
    assert len(sqs) < 8, sqs
    assert len(engine.queries) == 3


def test_a_page_of_millions_of_rejections_reads_the_records_that_it_shows(
    here: Deployment,
) -> None:
    for number in range(25):
        deployments.reject(here, f"ada{number}.jpg")
    s3, logs = deployments.calls(here.s3), deployments.calls(here.logs)
    found = rejections.page(here, Selection(time.time() - 60, time.time() + 1))
    assert len(found.uploads) == rejections.SHOWN
    assert found.older
    assert s3 == ["GetObject"] * rejections.SHOWN
    assert logs == ["StartQuery", "GetQueryResults"]


def test_a_query_that_fails_or_hangs_is_stopped_and_said(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insights, "_WAIT_SECONDS", 0)
    deployments.instead_of(here.logs, "StartQuery", lambda _: {"queryId": "1"})
    deployments.instead_of(here.logs, "GetQueryResults", lambda _: {"status": "Running"})
    stopped: list[object] = []
    deployments.instead_of(here.logs, "StopQuery", lambda asked: stopped.append(asked) or {})
    with pytest.raises(OperationError, match="did not answer within 0 s"):
        rejections.groups(here, Selection(0, 1))
    assert stopped == [{"queryId": "1"}]


def test_what_is_no_cause_is_refused() -> None:
    with pytest.raises(OperationError, match="is no cause"):
        Selection(0, 1, cause="/ | delete")
