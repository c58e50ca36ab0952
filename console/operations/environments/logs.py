"""The functions' logs, newest last."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from console.operations.environments import insights
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.insights import Query
from console.operations.errors import OperationError

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

_LATE_SECONDS = 30


@dataclass(frozen=True)
class Line:
    """One log line; `fields` is empty where it is no JSON (Lambda's own lines).

    Attributes
    ----------
    event
        CloudWatch's own id of it.
    """

    time: float
    function: str
    text: str
    fields: dict[str, Any]
    event: str = ""


def seconds(duration: str) -> int:
    """Return a duration such as 30s, 15m, 2h or 1d in seconds.

    Raises
    ------
    OperationError
        If it is not one.
    """
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if not duration[:-1].isdecimal() or duration[-1] not in units:
        raise OperationError(
            f"{duration!r} is not a valid duration.", "Use 30s, 15m, 2h or 1d: SINCE=15m."
        )
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
                _line(function, event)
                for page in islice(pages, answers)
                for event in page["events"]
            ]
    return sorted(lines, key=lambda line: line.time)


def newest(
    deployment: Deployment,
    functions: Collection[str],
    containing: Collection[str],
    since: float,
    count: int,
) -> list[Line]:
    """Return these functions' newest lines with any of these texts, oldest first.

    CloudWatch Logs Insights looks for them; read in pages, a day of a million lines would be
    hundreds of answers, most of them empty and the newest last.

    Raises
    ------
    OperationError
        If CloudWatch does not answer.
    """
    query = Query(tuple(functions), (insights.anywhere(containing),), since, time.time())
    found = [
        Line(row.at, row.function, row.text.rstrip(), _fields(row.text))
        for row in insights.rows(deployment, query, count)
    ]
    return found[::-1]


def follow(deployment: Deployment, functions: list[str], since: float) -> Iterator[Line]:
    """Yield the lines since a time, and new ones as they come, until interrupted.

    CloudWatch takes lines in a while after they were written, so what it has of the last seconds
    before a function's newest line is asked for again each time.
    """
    starts = dict.fromkeys(functions, since)
    shown: dict[str, Line] = {}
    while True:
        found = [line for name in functions for line in read(deployment, [name], starts[name])]
        yield from sorted(
            (line for line in found if line.event not in shown), key=lambda line: line.time
        )
        for line in found:
            starts[line.function] = max(starts[line.function], line.time - _LATE_SECONDS)
        shown = {line.event: line for line in found if line.time >= starts[line.function]}
        time.sleep(2)


def _line(function: str, event: FilteredLogEventTypeDef) -> Line:
    text = event["message"].rstrip()
    return Line(
        event["timestamp"] / 1000,
        function,
        text,
        _fields(text),
        event.get("eventId") or f"{event['timestamp']} {text}",
    )


def _fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(fields, dict):
        return {}
    fields.pop("_aws", None)  # CloudWatch's, for its metrics
    return fields
