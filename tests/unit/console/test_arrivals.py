"""What came is counted by CloudWatch; where that derives nothing, by the lines themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from console.operations.environments import arrivals
from console.operations.environments.deployment import Deployment
from tests.unit.console import deployments


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    with mock_aws():
        yield deployments.make(tmp_path)


def ended(
    here: Deployment, outcome: str, ago: float, waited: int | None = None, **more: Any
) -> None:
    line = {"message": "x", "outcome": outcome, **more}
    line |= {"since_upload_ms": waited} if waited is not None else {}
    deployments.write_log(here, line, time.time() - ago)


def test_lines_are_counted_where_nobody_derives_metrics(here: Deployment) -> None:
    for number in range(100):
        ended(here, "written", 90 + number / 100, 1000 + number)
    ended(here, "written", 30)  # queued again: nobody knows when it was sent
    ended(here, "rejected", 30, 20, code="damaged")
    ended(here, "rejected", 30, 20, code="empty")
    ended(here, "rejected", 30, 20, code="damaged")
    ended(here, "removed", 30, 20)
    ended(here, "written", 5000, 9000)  # before the hour
    deployments.write_log(here, {"message": "folder ignored"}, time.time() - 20)
    came = arrivals._of_lines(here, 3600)
    assert came.outcomes == {"written": 101, "rejected": 3, "removed": 1}
    assert came.uploads == 104, "a removal is no upload"
    assert came.codes == {"damaged": 2, "empty": 1}
    assert came.percentiles == pytest.approx((1.05, 1.094, 1.098), abs=0.002)
    assert sum(each.uploads for each in came.bins) == 104
    assert max(each.slowest or 0 for each in came.bins) == 1.099
    assert came.bins == tuple(sorted(came.bins, key=lambda each: each.at))


def test_metrics_are_asked_for_in_one_call_as_the_function_publishes_them(
    here: Deployment,
) -> None:
    asked: list[dict[str, Any]] = []
    at = datetime.fromtimestamp(int(time.time()) // 900 * 900, UTC)

    def answer(parameters: dict[str, Any]) -> dict[str, Any]:
        asked.append(parameters)
        values = {
            "written": [900_000.0],
            "rejected": [40_000.0],
            "removed": [5.0],
            "p50": [450.0],
            "p95": [1900.0],
            "slowest": [8000.0],
            "all_p50": [500.0],
            "all_p95": [2000.0],
            "all_p99": [4000.0],
        }
        found = [
            {"Id": key, "Label": key, "Timestamps": [at] * len(value), "Values": value}
            for query in parameters["MetricDataQueries"]
            for key in [query["Id"]]
            for value in [values.get(key, [])]
            if key != "codes"
        ]
        codes = [("damaged", [30_000.0, 1.0]), ("empty", [9_999.0])]
        found += [
            {"Id": "codes", "Label": code, "Timestamps": [at] * len(value), "Values": value}
            for code, value in codes
        ]
        return {"MetricDataResults": found}

    deployments.instead_of(here.cloudwatch, "GetMetricData", answer)
    came = arrivals.within(here, 86_400)
    assert len(asked) == 1
    assert came.outcomes["written"] == 900_000
    assert came.uploads == 940_000
    assert came.codes == {"damaged": 30_001, "empty": 9_999}
    assert came.percentiles == (0.5, 2.0, 4.0)
    (only,) = came.bins
    assert (only.uploads, only.rejected) == (940_000, 40_000)
    assert (only.p50, only.p95, only.slowest) == (0.45, 1.9, 8.0)
    of_all = {
        query["Id"]: query["MetricStat"]
        for query in asked[0]["MetricDataQueries"]
        if "Metric" in str(query) and "MetricStat" in query
    }
    assert of_all["written"]["Metric"] == {
        "Namespace": "AvatarOps",
        "MetricName": "ms",
        "Dimensions": [
            {"Name": "function", "Value": "resize"},
            {"Name": "outcome", "Value": "written"},
        ],
    }
    assert of_all["all_p99"]["Period"] == 86_400


def test_messages_that_failed_are_counted_once_for_all_their_tries(here: Deployment) -> None:
    for message in ("1", "1", "2"):
        line = {"message": "message failed", "message_id": message}
        deployments.write_log(here, line, time.time() - 10)
    assert arrivals.failed(here, 600) == 2


@pytest.mark.parametrize("seconds", arrivals.BINS)
def test_each_time_is_divided_into_spans_that_cloudwatch_keeps(seconds: int) -> None:
    """One minute for 15 days, five for 63, an hour for 455."""
    width = arrivals.BINS[seconds]
    least = 60 if seconds <= 15 * 86_400 else 300 if seconds <= 63 * 86_400 else 3600
    assert width % least == 0
    assert seconds % width == 0
    assert 30 <= seconds / width <= 100
