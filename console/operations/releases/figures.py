"""How each version of a function does: calls, errors, durations."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import quantiles
from typing import TYPE_CHECKING

from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.releases.aliases import ALIAS, Alias

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

_STATISTICS = {
    "calls": ("Invocations", "Sum"),
    "errors": ("Errors", "Sum"),
    "p50": ("Duration", "p50"),
    "p99": ("Duration", "p99"),
}
_STREAM = re.compile(r"/\[(\d+)\]")
_DURATION = re.compile(r"^REPORT .*?\bDuration: ([\d.]+) ms")
_FAILED = re.compile(r"^(Traceback \(most recent call last\):|.* Task timed out after )")


@dataclass(frozen=True)
class Figures:
    """What a version did; durations are in milliseconds, None without a call."""

    calls: int = 0
    errors: int = 0
    p50: float | None = None
    p99: float | None = None


def by_version(
    deployment: Deployment, aliases: Sequence[Alias], seconds: int
) -> dict[tuple[str, str], Figures]:
    """Return what each version that is live, on trial or was before did, by function and version.

    One call of CloudWatch for all of them. The embedded AWS has no metrics of versions: there it is
    counted in the functions' lines.
    """
    wanted = [(alias, version) for alias in aliases for version in alias.compared]
    if deployment.access.get("AWS_ENDPOINT_URL"):
        return _of_lines(deployment, wanted, seconds)
    return _of_metrics(deployment, wanted, seconds)


def _of_metrics(
    deployment: Deployment, wanted: Sequence[tuple[Alias, str]], seconds: int
) -> dict[tuple[str, str], Figures]:
    queries: list[MetricDataQueryTypeDef] = [
        {
            "Id": f"{figure}_{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "FunctionName", "Value": alias.name},
                        {"Name": "Resource", "Value": f"{alias.name}:{ALIAS}"},
                        {"Name": "ExecutedVersion", "Value": version},
                    ],
                },
                "Period": seconds,
                "Stat": stat,
            },
        }
        for number, (alias, version) in enumerate(wanted)
        for figure, (metric, stat) in _STATISTICS.items()
    ]
    now = int(time.time()) // 60 * 60
    found: dict[str, float] = {}
    with aws_errors("ask for the versions' metrics"):
        pages = deployment.cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(now - seconds, UTC),
            EndTime=datetime.fromtimestamp(now, UTC),
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                if result["Values"]:
                    found[result["Id"]] = result["Values"][0]
    return {
        (alias.function, version): Figures(
            calls=round(found.get(f"calls_{number}", 0)),
            errors=round(found.get(f"errors_{number}", 0)),
            p50=found.get(f"p50_{number}"),
            p99=found.get(f"p99_{number}"),
        )
        for number, (alias, version) in enumerate(wanted)
    }


def _of_lines(
    deployment: Deployment, wanted: Sequence[tuple[Alias, str]], seconds: int
) -> dict[tuple[str, str], Figures]:
    start = int(time.time() - seconds) * 1000
    durations: dict[tuple[str, str], list[float]] = {}
    failed: dict[tuple[str, str], int] = {}
    for alias in {alias.function: alias for alias, _ in wanted}.values():
        with aws_errors(f"read the logs of {alias.function}"):
            pages = deployment.logs.get_paginator("filter_log_events").paginate(
                logGroupName=f"/aws/lambda/{alias.name}", startTime=start
            )
            for page in pages:
                for event in page["events"]:
                    stream = _STREAM.search(event["logStreamName"])
                    if not stream:
                        continue
                    place = (alias.function, stream[1])
                    if took := _DURATION.match(event["message"]):
                        durations.setdefault(place, []).append(float(took[1]))
                    elif _FAILED.match(event["message"]):
                        failed[place] = failed.get(place, 0) + 1
    figures = {}
    for alias, version in wanted:
        place = (alias.function, version)
        took_each = durations.get(place, [])
        cuts = quantiles([*took_each, *took_each], n=100, method="inclusive") if took_each else []
        figures[place] = Figures(
            calls=len(took_each),
            errors=min(failed.get(place, 0), len(took_each)),
            p50=cuts[49] if cuts else None,
            p99=cuts[98] if cuts else None,
        )
    return figures
