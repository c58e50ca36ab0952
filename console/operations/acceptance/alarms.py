"""The alarms: all there, and measured under the dimensions that they watch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from console.operations.acceptance.subject import Answer, Subject
from console.operations.environments import health
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.finding import Finding, compare

AREA = "Alarms"
ALARMS, METRICS = "the alarms", "what the alarms measure"


def checks(subject: Subject) -> Iterator[Check]:
    """Yield the attempts; without Terraform's state nobody knows which alarms there should be."""
    yield Check(AREA, ALARMS, partial(_alarms, subject))
    yield Check(AREA, METRICS, partial(_metrics, subject), (ALARMS,))


def _alarms(subject: Subject) -> Iterator[Finding]:
    made = {item["alarm_name"] for item in subject.managed("aws_cloudwatch_metric_alarm")}
    prefix = subject.here.function_names["resize"].removesuffix("resize")
    found = {f"{prefix}{alarm.name}" for alarm in health.alarms(subject.here)}
    missing = sorted(made - found)
    yield compare(
        AREA, ALARMS, f"{len(made)}" if subject.state else f"{len(found)}",
        f"without {', '.join(missing)}" if missing else f"{len(made & found or found)}",
        subject.fix_by_apply,
    )  # fmt: skip


def _metrics(subject: Subject) -> Iterator[Finding]:
    if subject.emulated:
        yield Answer(
            AREA, METRICS, "unknown", "under the alarms' dimensions", "nothing is measured here",
            "AWS measures: run it there.", embedded="nothing is measured",
        )  # fmt: skip
        return
    waiting, wrong = [], []
    alarms = subject.managed("aws_cloudwatch_metric_alarm")
    for alarm in alarms:
        match _measured(subject, alarm):
            case None:
                waiting.append(alarm["alarm_name"])
            case []:
                pass
            case others:
                wrong.append(f"{alarm['alarm_name']} under {', '.join(others)}")
    yield compare(
        AREA, METRICS, "under the alarms' dimensions",
        f"otherwise: {'; '.join(wrong)}" if wrong else "under the alarms' dimensions",
        "An alarm that watches other dimensions than AWS measures never fires: please report it.",
    )  # fmt: skip
    if waiting:
        yield Answer(
            AREA, f"{METRICS}, so far", "unknown", f"all {len(alarms)}",
            f"nothing yet of {', '.join(waiting)}",
            "A new metric comes within 15 minutes of the first event; one of failures, with the "
            "first failure.",
            embedded="nothing is measured",
        )  # fmt: skip


def _measured(subject: Subject, alarm: dict[str, Any]) -> list[str] | None:
    """Return the other dimensions under which an alarm's metrics exist; None if one nowhere yet."""
    metrics = [one for query in alarm.get("metric_query") or [] for one in query["metric"]]
    others = [_measured_metric(subject, alarm, metric) for metric in metrics or [alarm]]
    known = [each for each in others if each is not None]
    return None if len(known) < len(others) else [name for each in known for name in each]


def _measured_metric(
    subject: Subject, alarm: dict[str, Any], metric: dict[str, Any]
) -> list[str] | None:
    region = alarm["arn"].split(":")[3]
    wanted = dict(metric["dimensions"])
    first = next(iter(wanted.items()))
    with aws_errors("list the metrics"):
        listed = subject.here.cloudwatch_in(region).list_metrics(
            Namespace=metric["namespace"],
            MetricName=metric["metric_name"],
            Dimensions=[{"Name": first[0], "Value": first[1]}],
        )["Metrics"]
    found = [
        {item["Name"]: item["Value"] for item in metric.get("Dimensions", [])} for metric in listed
    ]
    if not found:
        return None
    return [] if wanted in found else sorted({" ".join(sorted(each)) for each in found})
