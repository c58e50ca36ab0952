"""When a CloudWatch alarm fires, as AWS documents it.

The emulator evaluates alarms too, but over the metrics of all dimensions and over all periods at
once (docs/local-differences.md), so that a wrong dimension would fire and a right one would not
fire alone. Here the same data are asked back from it by the alarm's own settings.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef


def state_at(
    cloudwatch: CloudWatchClient, alarm: MetricAlarmTypeDef, moment: datetime
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
    assert alarm["Dimensions"], "AWS has no metric of all queues, functions or topics together"
    span = timedelta(seconds=alarm["Period"] * alarm["EvaluationPeriods"])
    percentile = alarm.get("ExtendedStatistic")
    statistic = percentile or alarm["Statistic"]
    points = cloudwatch.get_metric_statistics(
        Namespace=alarm["Namespace"],
        MetricName=alarm["MetricName"],
        Dimensions=alarm["Dimensions"],
        StartTime=moment - span,
        EndTime=moment,
        Period=alarm["Period"],
        **({"ExtendedStatistics": [percentile]} if percentile else {"Statistics": [statistic]}),  # type: ignore[arg-type]
    )["Datapoints"]
    values = [
        point["ExtendedStatistics"][statistic] if percentile else point[statistic]  # type: ignore[literal-required]
        for point in points
    ]
    breaching = [value > alarm["Threshold"] for value in values]
    return "ALARM" if breaching.count(True) == alarm["EvaluationPeriods"] else "OK"
