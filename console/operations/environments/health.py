"""Whether the system is healthy: the queue, alarms, migrations, the certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from console.operations import migrations
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import CDN_REGION, Deployment
from console.operations.environments.target import Target
from console.operations.migrations import Migration

DAY = 86_400
FAILED_SECONDS = 600


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


def metrics_read(deployment: Deployment) -> int:
    """Return how many metrics this environment's alarms read: what they cost."""
    prefix = deployment.function_names["resize"].removesuffix("resize")
    with aws_errors("list the alarms"):
        return sum(
            max(1, sum("MetricStat" in part for part in alarm.get("Metrics", [])))
            for region in {deployment.region, CDN_REGION}
            for page in deployment.cloudwatch_in(region)
            .get_paginator("describe_alarms")
            .paginate(AlarmNamePrefix=prefix)
            for alarm in page["MetricAlarms"]
        )


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
