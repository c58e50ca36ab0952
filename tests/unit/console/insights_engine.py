"""CloudWatch Logs Insights as AWS documents it, at the API's edge: what moto leaves out of it."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from datetime import UTC, datetime
from typing import Any

from console.operations.environments.deployment import Deployment
from tests.unit.console import deployments

_LIMIT = re.compile(r"limit (\d+)")
_UNTIL = re.compile(r"toMillis\(@timestamp\) <= (\d+)")


class InsightsEngine:
    """Answers `stats` with the groups that it was given, and the rest with lines, newest first.

    Attributes
    ----------
    lines
        Time in milliseconds and text, oldest first.
    groups
        Value, number, first and last time in milliseconds.
    queries
        What was asked for.
    """

    def __init__(
        self,
        here: Deployment,
        lines: list[tuple[int, str]],
        groups: tuple[tuple[str, int, int, int], ...] = (),
    ) -> None:
        self.lines, self.groups = lines, groups
        self.queries: list[dict[str, Any]] = []
        self.scanned = 0
        deployments.instead_of(here.logs, "StartQuery", self._start)
        deployments.instead_of(here.logs, "GetQueryResults", self._results)

    def _start(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.queries.append(asked)
        return {"queryId": str(len(self.queries))}

    def _results(self, asked: dict[str, Any]) -> dict[str, Any]:
        query = self.queries[int(asked["queryId"]) - 1]
        text = query["queryString"]
        rows = self._counted() if "| stats " in text else self._newest(query, text)
        return {
            "status": "Complete",
            "results": [[{"field": k, "value": v} for k, v in row.items()] for row in rows],
        }

    def _counted(self) -> list[dict[str, str]]:
        return [
            {"value": value, "number": str(number), "first": str(first), "last": str(last)}
            for value, number, first, last in self.groups
        ]

    def _newest(self, query: dict[str, Any], text: str) -> list[dict[str, str]]:
        until, limit = _UNTIL.search(text), _LIMIT.search(text)
        assert until
        assert limit
        latest = min(int(until[1]), query["endTime"] * 1000)
        start = bisect_right(self.lines, (query["startTime"] * 1000,))
        end = bisect_right(self.lines, (latest, "\uffff"))
        self.scanned += end - start
        first = max(start, end - int(limit[1]))
        return [
            {
                "@timestamp": _written(self.lines[index][0]),
                "@message": self.lines[index][1],
                "@ptr": str(index),
            }
            for index in range(end - 1, first - 1, -1)
        ]


def failed(message_id: str, key: str) -> str:
    """Return the line of a message's last try."""
    return json.dumps(
        {
            "message": "message failed",
            "message_id": message_id,
            "key": key,
            "receives": "3",
            "error": "ClientError",
            "reason": "An error occurred (NoSuchBucket) when calling the PutObject operation: no.",
            "stack": "Traceback\nbotocore.errorfactory.NoSuchBucket: no.",
        }
    )


def _written(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
