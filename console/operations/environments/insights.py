"""Counts and newest lines from the functions' logs, by CloudWatch Logs Insights.

An engine that does not aggregate (the embedded AWS, moto) answers `stats` with lines; then they
are counted here.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError

_MOST = 10_000
"""Lines of one answer; Insights' own bound."""
_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Query:
    """Which lines of the functions' logs are asked for.

    Attributes
    ----------
    functions
        One, or several.
    patterns
        Regular expressions, each to be found in the line as it was written.
    since, until
        Seconds since 1970.
    """

    functions: str | tuple[str, ...]
    patterns: tuple[str, ...]
    since: float
    until: float

    @property
    def names(self) -> tuple[str, ...]:
        """The functions, one or several."""
        return (self.functions,) if isinstance(self.functions, str) else self.functions

    @property
    def filters(self) -> str:
        """The query's filters, in the form that every engine understands."""
        slashes = (re.sub(r"(?<!\\)/", r"\\/", pattern) for pattern in self.patterns)
        return " | ".join(f"filter @message like /{pattern}/" for pattern in slashes)


@dataclass(frozen=True)
class Row:
    """A line as it was written, whose, and when CloudWatch has it, in seconds since 1970."""

    at: float
    function: str
    text: str


@dataclass(frozen=True)
class Group:
    """Lines that have the same value.

    Attributes
    ----------
    count
        How many different things they are about; approximate above some hundreds.
    first, last
        Seconds since 1970.
    """

    value: str
    count: int
    first: float
    last: float


def field(name: str, value: str) -> str:
    """Return the pattern of a line whose field has this value."""
    return f'"{name}": {_literal(json.dumps(value, ensure_ascii=False))}'


def containing(name: str, text: str) -> str:
    """Return the pattern of a line whose field contains this text, in any case."""
    inside = json.dumps(text, ensure_ascii=False)[1:-1]
    return rf'(?i)"{name}": "(?:[^"\\]|\\.)*{_literal(inside)}'


def anywhere(texts: Iterable[str]) -> str:
    """Return the pattern of a line in which one of these texts is, whatever field it is in."""
    inside = (json.dumps(text, ensure_ascii=False)[1:-1] for text in texts)
    return "|".join(map(_literal, inside))


def _literal(text: str) -> str:
    return re.escape(text).replace("\\ ", " ")


def groups(
    deployment: Deployment,
    query: Query,
    by: str,
    distinct: str,
    value: Callable[[dict[str, Any]], str],
) -> list[Group]:
    """Count lines by a value, most frequent first.

    Parameters
    ----------
    by
        Stages of a query that end with a field named ``value``; empty ones are left out.
    distinct
        The field of what is counted, each once.
    value
        The same of one line's fields.

    Raises
    ------
    OperationError
        If CloudWatch does not answer.
    """
    stages = (
        f"{query.filters}{by} | stats count_distinct({distinct}) as number,"
        " min(@timestamp) as first, max(@timestamp) as last by value | sort number desc"
    )
    rows = _ask(deployment, query, stages)
    if all("number" in row for row in rows):
        return [
            Group(
                row.get("value", ""), int(float(row["number"])), _at(row["first"]), _at(row["last"])
            )
            for row in rows
        ]
    return _counted(lines(deployment, query), distinct, value)


def lines(
    deployment: Deployment, query: Query, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the lines' fields, newest first; `at`, as `Row` has it, is added to them.

    Raises
    ------
    OperationError
        If CloudWatch does not answer.
    """
    for row in rows(deployment, query, limit):
        yield _fields(row.text) | {"at": row.at}


def rows(deployment: Deployment, query: Query, limit: int | None = None) -> Iterator[Row]:
    """Yield the lines, newest first, in answers of at most 10,000.

    After a full answer only a stretch of time is asked for that should fill the next, so that a
    walk through all lines has CloudWatch scan them about twice and not once for each answer.

    Raises
    ------
    OperationError
        If CloudWatch does not answer.
    """
    matches = [re.compile(pattern) for pattern in query.patterns]
    functions = {f"/aws/lambda/{deployment.function_names[name]}": name for name in query.names}
    since, until, left = query.since, query.until, limit
    known: set[str] = set()
    while True:
        most = _MOST if left is None else min(_MOST, left)
        found = _ask(
            deployment,
            replace(query, since=since, until=until),
            f"fields @timestamp, @message, @log | {query.filters}"
            f" | filter toMillis(@timestamp) <= {round(until * 1000)}"
            f" | sort @timestamp desc | limit {most}",
        )
        fresh = [row for row in found if row["@ptr"] not in known]
        for row in fresh:
            if all(match.search(row["@message"]) for match in matches):
                group = row.get("@log", "").rpartition(":")[2]  # AWS puts the account before it
                function = functions.get(group, query.names[0])
                yield Row(_at(row["@timestamp"]), function, row["@message"])
        left = None if left is None else left - len(fresh)
        if left is not None and left <= 0:
            return
        full = len(found) == most
        if not full and since <= query.since:
            return
        if full:
            newest, oldest = _at(found[0]["@timestamp"]), _at(found[-1]["@timestamp"])
            # what shares the oldest line's millisecond comes again, unless it fills an answer
            until = oldest if fresh else oldest - 0.001
            stretch = max(newest - oldest, 1)
        else:
            stretch, until = 4 * (until - since), since
        known = {row["@ptr"] for row in found}
        since = max(query.since, until - 2 * stretch)


def _ask(deployment: Deployment, query: Query, stages: str) -> list[dict[str, str]]:
    groups = [f"/aws/lambda/{deployment.function_names[name]}" for name in query.names]
    whose = f"log of {query.names[0]}" if len(groups) == 1 else "functions' logs"
    with aws_errors(f"ask the {whose}"):
        started = deployment.logs.start_query(
            logGroupNames=groups,
            startTime=int(query.since),
            endTime=int(query.until) + 1,
            queryString=stages,
        )["queryId"]
        deadline, pause = time.monotonic() + _WAIT_SECONDS, 0.1
        try:
            while True:
                answer = deployment.logs.get_query_results(queryId=started)
                if answer["status"] == "Complete":
                    break
                if answer["status"] in {"Failed", "Cancelled", "Timeout"} or (
                    time.monotonic() > deadline
                ):
                    raise OperationError(
                        f"CloudWatch did not answer within {_WAIT_SECONDS} s what is in the "
                        f"{whose} ({answer['status']}).",
                        "Ask for a shorter time, or try again in a minute.",
                    )
                time.sleep(pause)
                pause = min(1, pause * 1.5)
        except BaseException:
            deployment.logs.stop_query(queryId=started)
            raise
    return [{field["field"]: field["value"] for field in row} for row in answer["results"]]


def _counted(
    found: Iterator[dict[str, Any]], distinct: str, value: Callable[[dict[str, Any]], str]
) -> list[Group]:
    seen: dict[str, set[str]] = {}
    times: dict[str, list[float]] = {}
    for line in found:
        name = value(line)
        seen.setdefault(name, set()).add(str(line.get(distinct)))
        times.setdefault(name, []).append(line["at"])
    return sorted(
        (Group(name, len(seen[name]), min(times[name]), max(times[name])) for name in seen),
        key=lambda group: (-group.count, group.value),
    )


def _fields(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _at(value: str) -> float:
    """Return seconds since 1970 of milliseconds, or of Insights' ``2026-01-02 03:04:05.678``."""
    try:
        return float(value) / 1000
    except ValueError:
        return datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp()
