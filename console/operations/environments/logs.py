"""The functions' logs, newest last."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError


@dataclass(frozen=True)
class Line:
    """One log line; `fields` is empty where it is no JSON (Lambda's own lines)."""

    time: float
    function: str
    text: str
    fields: dict[str, Any]


def seconds(duration: str) -> int:
    """Return a duration such as 30s, 15m, 2h or 1d in seconds.

    Raises
    ------
    OperationError
        If it is none.
    """
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if not duration[:-1].isdecimal() or duration[-1] not in units:
        raise OperationError(f"{duration!r} is no duration.", "Use 30s, 15m, 2h or 1d: SINCE=15m.")
    return int(duration[:-1]) * units[duration[-1]]


def read(
    deployment: Deployment,
    functions: list[str],
    since: float,
    containing: str = "",
    answers: int | None = None,
) -> list[Line]:
    """Return the lines of these functions since a time (seconds since 1970), oldest first.

    Parameters
    ----------
    containing
        Only lines that contain this text.
    answers
        Stop after so many answers of CloudWatch, each of at most 1 MB; None for no limit.
    """
    quoted = containing.replace("\\", "\\\\").replace('"', '\\"')
    pattern = f'"{quoted}"' if containing else ""
    lines: list[Line] = []
    for function in functions:
        if function not in deployment.function_names:
            raise OperationError(
                f"There is no function {function!r}.",
                f"There are: {', '.join(sorted(deployment.function_names))}.",
            )
        group = f"/aws/lambda/{deployment.function_names[function]}"
        with aws_errors(f"read the logs of {function}"):
            pages = deployment.logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, startTime=int(since * 1000), filterPattern=pattern
            )
            lines += [
                _line(function, event["timestamp"] / 1000, event["message"].rstrip())
                for page in islice(pages, answers)
                for event in page["events"]
            ]
    return sorted(lines, key=lambda line: line.time)


def follow(deployment: Deployment, functions: list[str], since: float) -> Iterator[Line]:
    """Yield the lines since a time, and new ones as they come, until interrupted."""
    seen: set[tuple[float, str]] = set()
    while True:
        lines = read(deployment, functions, since)
        for line in lines:
            if (line.time, line.text) not in seen:
                yield line
        if lines:
            since = lines[-1].time
            seen = {(line.time, line.text) for line in lines if line.time >= since}
        time.sleep(2)


def _line(function: str, when: float, text: str) -> Line:
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    return Line(when, function, text, fields if isinstance(fields, dict) else {})
