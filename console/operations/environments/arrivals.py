"""How many uploads came, what became of them and how long they took: counted, not listed.

The resize function has CloudWatch derive metrics from its own lines, so that a look costs the same
whatever came. Nobody derives any on the embedded AWS: there the lines themselves are counted.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from console.operations.environments import insights
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.insights import Query

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

NAMESPACE = "AvatarOps"
OUTCOMES = ("written", "superseded", "rejected", "held", "removed")
BINS = {3600: 60, 86_400: 900, 7 * 86_400: 7200, 90 * 86_400: 86_400}
"""Into how wide spans each time is divided, both in seconds; CloudWatch keeps such for as long."""
_PARTS = {"p50": "p50", "p95": "p95", "slowest": "Maximum"}


@dataclass(frozen=True)
class Bin:
    """What came within one span of time.

    Attributes
    ----------
    at
        When it begins, in seconds since 1970.
    uploads, rejected
        How many ended so or otherwise, and how many of them were rejected.
    p50, p95, slowest
        Seconds from S3's event to the avatar; None where none was written.
    """

    at: float
    uploads: int = 0
    rejected: int = 0
    p50: float | None = None
    p95: float | None = None
    slowest: float | None = None


@dataclass(frozen=True)
class Arrivals:
    """What came within a time.

    Attributes
    ----------
    outcomes, codes
        How many uploads ended how, and were rejected why.
    percentiles
        Seconds from S3's event to the avatar: p50, p95, p99; empty where none was written.
    bins
        The same by spans, oldest first; without those in which nothing came.
    width
        Of a span, in seconds.
    """

    width: int
    outcomes: Mapping[str, int] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)
    percentiles: tuple[float, ...] = ()
    bins: tuple[Bin, ...] = ()

    @property
    def uploads(self) -> int:
        """How many pictures came, whatever became of them."""
        return sum(count for outcome, count in self.outcomes.items() if outcome != "removed")


def within(deployment: Deployment, seconds: int) -> Arrivals:
    """Return what came within the last so many seconds, a key of `BINS`.

    Raises
    ------
    OperationError
        If CloudWatch does not answer.
    """
    if deployment.access.get("AWS_ENDPOINT_URL"):
        return _of_lines(deployment, seconds)
    return _of_metrics(deployment, seconds)


def failed(deployment: Deployment, seconds: float) -> int:
    """Return on how many messages the resize function failed within the last so many seconds.

    Raises
    ------
    OperationError
        If the function's log can't be asked.
    """
    now = time.time()
    query = Query("resize", (insights.field("message", "message failed"),), now - seconds, now)
    by = " | fields message as value"
    groups = insights.groups(deployment, query, by, "message_id", lambda _: "message failed")
    return sum(group.count for group in groups)


def _of_metrics(deployment: Deployment, seconds: int) -> Arrivals:
    width = BINS[seconds]
    end = -(-int(time.time()) // width) * width  # so that whole spans are asked for
    name = deployment.function_names["resize"]

    def metric(key: str, metric: str, outcome: str, stat: str, period: int) -> Any:
        dimensions = {"function": name, "outcome": outcome}
        return {
            "Id": key,
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()],
                },
                "Period": period,
                "Stat": stat,
            },
        }

    queries: list[MetricDataQueryTypeDef] = [
        *(metric(outcome, "ms", outcome, "SampleCount", width) for outcome in OUTCOMES),
        *(metric(n, "since_upload_ms", "written", stat, width) for n, stat in _PARTS.items()),
        *(
            metric(f"all_{n}", "since_upload_ms", "written", n, seconds)
            for n in ("p50", "p95", "p99")
        ),
        {
            "Id": "codes",
            "Expression": f'SEARCH(\'{{{NAMESPACE},function,outcome,code}} MetricName="ms" '
            f"function=\"{name}\"', 'SampleCount', {width})",
            "Label": "${PROP('Dim.code')}",
        },
    ]
    spans: defaultdict[float, dict[str, float]] = defaultdict(dict)
    codes: Counter[str] = Counter()
    whole: dict[str, float] = {}
    with aws_errors("ask for the uploads' metrics"):
        pages = deployment.cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(end - seconds, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                key = result["Id"]
                for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                    if key == "codes":
                        codes[result["Label"]] += round(value)
                    elif key.startswith("all_"):
                        whole.setdefault(key, value / 1000)
                    else:
                        spans[at.timestamp()][key] = value
    bins = [
        Bin(
            at,
            round(sum(values.get(outcome, 0) for outcome in OUTCOMES if outcome != "removed")),
            round(values.get("rejected", 0)),
            **{name: values[name] / 1000 for name in _PARTS if name in values},
        )
        for at, values in sorted(spans.items())
    ]
    return Arrivals(
        width,
        {outcome: round(sum(v.get(outcome, 0) for v in spans.values())) for outcome in OUTCOMES},
        dict(codes),
        tuple(whole.values()),
        tuple(bins),
    )


def _of_lines(deployment: Deployment, seconds: int) -> Arrivals:
    now, width = time.time(), BINS[seconds]
    lines = insights.lines(deployment, Query("resize", ('"outcome": "',), now - seconds, now))
    spans: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        spans[int(line["at"] // width)].append(line)
    every = [line for found in spans.values() for line in found]
    return Arrivals(
        width,
        Counter(str(line["outcome"]) for line in every),
        Counter(str(line["code"]) for line in every if line["outcome"] == "rejected"),
        _percentiles(_waits(every), (50, 95, 99)),
        tuple(_bin(number * width, found) for number, found in sorted(spans.items())),
    )


def _bin(at: float, lines: Sequence[Mapping[str, Any]]) -> Bin:
    waits = _waits(lines)
    p50, p95 = _percentiles(waits, (50, 95)) or (None, None)
    outcomes = Counter(line["outcome"] for line in lines)
    uploads = outcomes.total() - outcomes["removed"]
    return Bin(at, uploads, outcomes["rejected"], p50, p95, max(waits, default=None))


def _waits(lines: Iterable[Mapping[str, Any]]) -> list[float]:
    return [
        line["since_upload_ms"] / 1000
        for line in lines
        if line["outcome"] == "written" and "since_upload_ms" in line
    ]


def _percentiles(values: Sequence[float], wanted: Sequence[int]) -> tuple[float, ...]:
    if not values:
        return ()
    cuts = quantiles([*values, *values], n=100, method="inclusive")
    return tuple(cuts[each - 1] for each in wanted)
