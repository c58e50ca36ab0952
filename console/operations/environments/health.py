"""Whether the pipeline is healthy: arrivals, failures, alarms, certificate."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import quantiles

from console.operations import migrations
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import CDN_REGION, Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.migrations import Migration

DAY = 86_400
FAILED_SECONDS = 600
MOST = 10_000
"""Lines of one answer, which is Logs Insights' own bound: there may be more."""
_QUERY_SECONDS = 30


@dataclass(frozen=True)
class Processed:
    """One upload that was processed.

    Attributes
    ----------
    at
        When, in seconds since 1970.
    seconds
        From S3's event to the avatar; None where the message was not S3's own.
    code
        Why it was rejected; empty if it became an avatar.
    """

    at: float
    seconds: float | None
    code: str


@dataclass(frozen=True)
class Alarm:
    """A CloudWatch alarm; `state` is OK, ALARM or INSUFFICIENT_DATA, `about` what it watches."""

    name: str
    state: str
    about: str
    since: datetime


@dataclass(frozen=True)
class Certificate:
    """What viewers of the CDN are shown; `expires` is None while it is not issued."""

    domain: str
    status: str
    expires: datetime | None


def processed(deployment: Deployment, seconds: float = DAY) -> list[Processed]:
    """Return the newest uploads of this time, newest first, at most `MOST`.

    Raises
    ------
    OperationError
        If the function's log can't be asked.
    """
    found = _logged(deployment, "(avatar written|upload rejected)", seconds)
    return [_processed(line) for line in found]


def failed(deployment: Deployment, seconds: float = FAILED_SECONDS) -> list[float]:
    """Return when the function failed on a message in this time, newest first, at most `MOST`.

    Raises
    ------
    OperationError
        If the function's log can't be asked.
    """
    found = _logged(deployment, "message failed", seconds)
    return [datetime.fromisoformat(str(line["time"])).timestamp() for line in found]


def _logged(deployment: Deployment, message: str, seconds: float) -> list[dict[str, object]]:
    """Return the resize function's newest lines whose message matches, newest first."""
    now = time.time()
    with aws_errors("ask the resize function's log"):
        query = deployment.logs.start_query(
            logGroupName=f"/aws/lambda/{deployment.function_names['resize']}",
            startTime=int(now - seconds),
            endTime=int(now) + 1,
            queryString=(
                "fields @timestamp, @message"
                f' | filter @message like /"message": "{message}"/'
                " | sort @timestamp desc"
                f" | limit {MOST}"
            ),
        )["queryId"]
        deadline = time.monotonic() + _QUERY_SECONDS
        while True:
            answer = deployment.logs.get_query_results(queryId=query)
            if answer["status"] == "Complete":
                break
            if answer["status"] in {"Failed", "Cancelled", "Timeout"} or (
                time.monotonic() > deadline
            ):
                raise OperationError(
                    f"CloudWatch did not answer what was processed ({answer['status']}).",
                    "Refresh the page in a minute.",
                )
            time.sleep(0.1)
    rows = ({field["field"]: field["value"] for field in row} for row in answer["results"])
    return [json.loads(row["@message"]) for row in rows]


def percentiles(values: list[float]) -> tuple[float, float] | None:
    """Return the median and the 95th percentile; None of nothing."""
    if not values:
        return None
    cuts = quantiles([*values, *values], n=20, method="inclusive")
    return cuts[9], cuts[18]


def queue_age(deployment: Deployment) -> float | None:
    """Return the age in seconds of the oldest message that waits; None while nobody measures."""
    with aws_errors("ask for the queue's age"):
        points = deployment.cloudwatch.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": deployment.queue_url.rpartition("/")[2]}],
            StartTime=datetime.now(UTC) - timedelta(minutes=10),
            EndTime=datetime.now(UTC),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
    newest = max(points, key=lambda point: point["Timestamp"], default=None)
    return newest["Maximum"] if newest else None


def alarms(deployment: Deployment) -> list[Alarm]:
    """Return this environment's alarms, those in ALARM first."""
    prefix = deployment.function_names["resize"].removesuffix("resize")
    with aws_errors("list the alarms"):
        found = {
            alarm["AlarmName"]: Alarm(
                alarm["AlarmName"].removeprefix(prefix),
                alarm["StateValue"],
                alarm.get("AlarmDescription", ""),
                alarm["StateUpdatedTimestamp"],
            )
            for region in {deployment.region, CDN_REGION}
            for page in deployment.cloudwatch_in(region)
            .get_paginator("describe_alarms")
            .paginate(AlarmNamePrefix=prefix)
            for alarm in page["MetricAlarms"]
        }
    return sorted(found.values(), key=lambda alarm: (alarm.state != "ALARM", alarm.name))


def last_migration(target: Target) -> tuple[Migration | None, int]:
    """Return the migration that was applied last, and how many wait or are not as they should."""
    lines = migrations.migrations(target.database_url())
    applied = [line for line in lines if line.applied_at]
    pending = sum(line.state not in {"applied", "baseline"} for line in lines)
    return max(applied, key=lambda line: line.revision, default=None), pending


def certificate(deployment: Deployment) -> Certificate | None:
    """Return the certificate of the CDN's own domain; None without a domain."""
    with aws_errors("look at the CDN's certificate"):
        distribution = deployment.cloudfront.get_distribution(Id=deployment.distribution_id)
        viewer = distribution["Distribution"]["DistributionConfig"].get("ViewerCertificate", {})
        arn = viewer.get("ACMCertificateArn")
        if not arn:
            return None
        found = deployment.certificates_in(CDN_REGION).describe_certificate(CertificateArn=arn)[
            "Certificate"
        ]
    return Certificate(found["DomainName"], found["Status"], found.get("NotAfter"))


def _processed(line: dict[str, object]) -> Processed:
    waited = line.get("since_upload_ms")
    return Processed(
        at=datetime.fromisoformat(str(line["time"])).timestamp(),
        seconds=float(waited) / 1000 if isinstance(waited, int | float) else None,
        code=str(line.get("code", "")),
    )
