"""The functions' logs: read, and followed as they come."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import replace

import pytest

from console.operations.environments import logs
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from tests.unit.console.deployments import calls
from tests.unit.console.insights_engine import InsightsEngine


@pytest.fixture
def here(here: Deployment) -> Deployment:
    here.logs.create_log_group(logGroupName="/aws/lambda/presign")
    return replace(here, function_names={"resize": "resize", "presign": "presign"})


def log(here: Deployment, function: str, at: float, text: str) -> None:
    group = f"/aws/lambda/{function}"
    here.logs.create_log_stream(logGroupName=group, logStreamName=text)
    here.logs.put_log_events(
        logGroupName=group,
        logStreamName=text,
        logEvents=[{"timestamp": int(at * 1000), "message": json.dumps({"message": text})}],
    )


def test_followed_lines_come_once_each_however_late_they_are_taken_in(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    log(here, "resize", now, "first")
    rounds = iter(
        [
            [("presign", -5, "late of the other"), ("resize", 1, "second")],
            [("resize", -3, "late of the same"), ("resize", 0, "of the same moment")],
            [],
        ]
    )

    def meanwhile(_seconds: float) -> None:
        for function, after, text in next(rounds):
            log(here, function, now + after, text)

    monkeypatch.setattr(logs.time, "sleep", meanwhile)
    seen: list[str] = []
    with contextlib.suppress(RuntimeError):  # the rounds are over
        for line in logs.follow(here, ["presign", "resize"], now - 60):
            seen.append(line.fields["message"])  # noqa: PERF401
    assert seen == [
        "first", "late of the other", "second", "late of the same", "of the same moment",
    ]  # fmt: skip


def test_the_newest_lines_with_a_text_are_found_in_several_functions_at_once(
    here: Deployment,
) -> None:
    now = time.time() - 60
    for function, after, text in (
        ("presign", 0, "ada asks"),
        ("resize", 1, "grace [x]"),
        ("resize", 2, "ada has come"),
        ("presign", 3, "ada asks again"),
    ):
        log(here, function, now + after, text)
    asked = calls(here.logs)
    found = logs.newest(here, ["presign", "resize"], ["ada"], now - 60, 2)
    assert [(line.function, line.fields["message"]) for line in found] == [
        ("resize", "ada has come"),
        ("presign", "ada asks again"),
    ]
    assert asked == ["StartQuery", "GetQueryResults"]
    either = logs.newest(here, ["resize"], ["grace [x]", "ada"], now - 60, 9)
    assert [line.fields["message"] for line in either] == ["grace [x]", "ada has come"]


def test_an_avatar_among_a_days_lines_is_asked_for_once(here: Deployment) -> None:
    now = time.time()
    written = [
        (round((now - 80_000 + number / 2) * 1000), json.dumps({"message": f"about {number}."}))
        for number in range(100_000)
    ]
    InsightsEngine(here, written)
    asked = calls(here.logs)
    (found,) = logs.newest(here, ["presign", "resize"], ["about 99999."], now - 86_400, 200)
    assert found.fields == {"message": "about 99999."}
    assert asked == ["StartQuery", "GetQueryResults"]


@pytest.mark.parametrize("duration", ["", "5", "m", "-1m", "1w", "1.5h"])
def test_a_duration_that_is_not_one_is_refused_with_an_example(duration: str) -> None:
    with pytest.raises(OperationError, match="SINCE=15m"):
        logs.seconds(duration)
