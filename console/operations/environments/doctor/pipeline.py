"""From an upload to the resize function: queue, dead-letter queue, event source, topic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import Finding, compare
from console.operations.releases import aliases

AREA = "Queue"
_QUEUE = "the queue"


def checks(subject: Examined) -> Iterator[Check]:
    """Yield the checks of what stands between the buckets and their listeners."""
    yield Check(AREA, _QUEUE, partial(_queue, subject))
    yield Check(AREA, "the dead-letter messages", partial(_dead_letters, subject))
    for function, needs in (("resize", (_QUEUE,)), ("cleanup", ())):
        if function in subject.here.function_names:
            name = f"the event source mapping of {function}"
            yield Check(AREA, name, partial(_mapping, subject, function), needs)
    for what, table in (
        ("limits", subject.here.limits_table),
        ("reviews", subject.here.reviews_table),
    ):
        if table:
            yield Check(AREA, f"the table of {what}", partial(_expires, subject, what, table))
    subscriptions = [
        item
        for item in subject.managed("aws_sns_topic_subscription")
        if item["topic_arn"] == subject.here.topic_arn
    ]
    if subscriptions:
        yield Check(
            AREA,
            "the topic's subscriptions",
            partial(
                _subscriptions, subject, [(item["protocol"], item["endpoint"])
                                          for item in subscriptions],
            ),
        )  # fmt: skip


def _queue(subject: Examined) -> Iterator[Finding]:
    attributes = subject.here.sqs.get_queue_attributes(
        QueueUrl=subject.here.queue_url, AttributeNames=["All"]
    )["Attributes"]
    redrive = json.loads(attributes.get("RedrivePolicy") or "{}")
    yield compare(
        AREA,
        "dead-letter queue",
        subject.dead_letter_queue_arn,
        redrive.get("deadLetterTargetArn"),
        subject.fix_by_apply,
    )
    if made := subject.made("aws_sqs_queue", url=subject.here.queue_url):
        wanted = json.loads(made["redrive_policy"])
        yield compare(
            AREA,
            "attempts and visibility",
            f"{wanted['maxReceiveCount']} attempts, {made['visibility_timeout_seconds']} s",
            f"{redrive.get('maxReceiveCount')} attempts, {attributes['VisibilityTimeout']} s",
            subject.fix_by_apply,
        )


def _dead_letters(subject: Examined) -> Iterator[Finding]:
    attributes = subject.here.sqs.get_queue_attributes(
        QueueUrl=subject.here.dead_letter_queue_url,
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        ],
    )["Attributes"]
    yield compare(
        AREA,
        "dead-letter messages",
        "0",
        str(sum(int(number) for number in attributes.values())),
        "`make logs FUNCTION=resize` says why they failed, `make redrive` tries them again.",
        "warning",
    )


def _mapping(subject: Examined, function: str) -> Iterator[Finding]:
    name = subject.here.function_names[function]
    alias = subject.made("aws_lambda_alias", function_name=name)
    mappings = [
        mapping
        for mapping in subject.here.functions.list_event_source_mappings(
            FunctionName=alias["arn"] if alias else f"{name}:{aliases.ALIAS}"
        )["EventSourceMappings"]
        if function != "resize" or mapping.get("EventSourceArn") == subject.queue_arn
    ]
    found = [
        ", ".join([mapping["State"], *mapping.get("FunctionResponseTypes", ["whole batches"])])
        for mapping in mappings
    ]
    changing = all(mapping["State"] in {"Creating", "Enabling", "Updating"} for mapping in mappings)
    yield compare(
        AREA,
        f"event source mapping to {function}",
        "Enabled, ReportBatchItemFailures",
        "; ".join(found) or "none",
        "Wait until the change has been made." if mappings and changing else subject.fix_by_apply,
        "warning" if mappings and changing else "error",
    )


def _expires(subject: Examined, what: str, table: str) -> Iterator[Finding]:
    found = subject.here.dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    attribute = found.get("AttributeName", "") if "ENABL" in found["TimeToLiveStatus"] else ""
    yield compare(
        AREA, f"table of {what}", "items expire by `expires`",
        f"items expire by `{attribute}`" if attribute else "items stay for ever",
        subject.fix_by_apply,
    )  # fmt: skip


def _subscriptions(subject: Examined, wanted: list[tuple[str, str]]) -> Iterator[Finding]:
    pages = subject.here.sns.get_paginator("list_subscriptions_by_topic").paginate(
        TopicArn=subject.here.topic_arn
    )
    live = {
        (item["Protocol"], item["Endpoint"]): item["SubscriptionArn"]
        for page in pages
        for item in page["Subscriptions"]
    }
    for protocol, endpoint in wanted:
        arn = live.get((protocol, endpoint))
        pending = arn is not None and not arn.startswith("arn:")
        yield compare(
            AREA,
            f"topic's subscription of {endpoint}",
            "confirmed",
            "not yet confirmed" if pending else "confirmed" if arn else "none",
            "The receiver must confirm it." if pending else subject.fix_by_apply,
            "warning" if pending else "error",
        )
