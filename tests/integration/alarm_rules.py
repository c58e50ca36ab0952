"""When a CloudWatch alarm fires, as AWS documents it.

The emulator evaluates alarms too, but over the metrics of all dimensions and over all periods at
once, and drops metric math (docs/local-differences.md): a wrong dimension would fire and a right
one would not fire alone. Here the same data are asked back from it by the alarm's own settings.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient

Alarm = Mapping[str, Any]
"""As PutMetricAlarm takes it."""


def queries(alarm: Alarm) -> list[Alarm]:
    """Return the metrics that the alarm reads, and its expression last if it has one."""
    if "Metrics" in alarm:
        return list(alarm["Metrics"])
    metric = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions")}
    stat = alarm.get("ExtendedStatistic") or alarm["Statistic"]
    return [{"Id": "it", "MetricStat": {"Metric": metric, "Period": alarm["Period"], "Stat": stat}}]


def period(alarm: Alarm) -> int:
    """Return the seconds that a value of the alarm is of."""
    return int(queries(alarm)[0]["MetricStat"]["Period"])


def state_at(
    cloudwatch: CloudWatchClient, alarm: Alarm, moment: datetime
) -> Literal["OK", "ALARM"]:
    """Return the alarm's state as of a moment: ALARM if each of its last periods breaches.

    Raises
    ------
    AssertionError
        If the alarm has a setting that this doesn't know.
    """
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) == alarm["EvaluationPeriods"]
    step = timedelta(seconds=period(alarm))
    for count in range(alarm["EvaluationPeriods"]):
        value = _value(cloudwatch, alarm, moment - (count + 1) * step, moment - count * step)
        if value is None or value <= alarm["Threshold"]:
            return "OK"
    return "ALARM"


def _value(
    cloudwatch: CloudWatchClient, alarm: Alarm, start: datetime, end: datetime
) -> float | None:
    """Return what the alarm compares with its threshold; None where there are no data."""
    values: dict[str, float | None] = {}
    value = None
    for query in queries(alarm):
        if "Expression" in query:
            value = calculated(query["Expression"], values)
        else:
            value = _statistic(cloudwatch, query["MetricStat"], start, end)
        values[query["Id"]] = value
    return value


def _statistic(
    cloudwatch: CloudWatchClient, wanted: Alarm, start: datetime, end: datetime
) -> float | None:
    metric, name = wanted["Metric"], wanted["Stat"]
    assert metric["Dimensions"], "AWS has no metric of all queues, functions or topics together"
    extended = name.startswith("p")
    points = cloudwatch.get_metric_statistics(
        Namespace=metric["Namespace"],
        MetricName=metric["MetricName"],
        Dimensions=metric["Dimensions"],
        StartTime=start,
        EndTime=end,
        Period=wanted["Period"],
        **({"ExtendedStatistics": [name]} if extended else {"Statistics": [name]}),
    )["Datapoints"]
    assert len(points) <= 1, "the time given is one period"
    for point in points:
        return float(point["ExtendedStatistics"][name] if extended else point[name])  # type: ignore[literal-required]
    return None


def calculated(expression: str, values: Mapping[str, float | None]) -> float | None:
    """Return the value of metric math: arithmetic, and ``FILL`` for what is missing.

    Arithmetic with what is missing, and a division by zero, has no value.
    """

    def of(node: ast.expr) -> float | None:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return values[name]
            case ast.Call(
                func=ast.Name(id="FILL"), args=[series, ast.Constant(value=int() as other)]
            ):
                found = of(series)
                return float(other) if found is None else found
            case ast.BinOp(left=left, op=operator, right=right):
                one, two = of(left), of(right)
                if one is None or two is None:
                    return None
                if isinstance(operator, ast.Mult):
                    return one * two
                if isinstance(operator, ast.Add):
                    return one + two
                assert isinstance(operator, ast.Div)
                return one / two if two else None
        raise AssertionError(f"metric math that is not known here: {ast.unparse(node)}")

    return of(ast.parse(expression, mode="eval").body)
