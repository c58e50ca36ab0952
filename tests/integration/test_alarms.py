"""Each alarm fires in its situation, alone, notifies the operators, and is OK otherwise.

The metrics are what AWS publishes in that situation, written here from AWS's documentation and
not from Terraform: an alarm on a metric, dimension or region that does not exist never fires.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from console.operations.environments import clients
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters
from tests.integration.alarm_rules import state_at
from tests.integration.system import wait_until

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef
    from mypy_boto3_sns.client import SNSClient
    from mypy_boto3_sqs.client import SQSClient

Values = dict[float, int]
"""What was measured within a minute, and how often."""


@dataclass(frozen=True)
class Metric:
    """A metric of AWS, and the statistics that mean something for it."""

    namespace: str
    name: str
    unit: str
    statistics: tuple[str, ...]
    dimensions: Callable[[Deployment], dict[str, str]]


@dataclass(frozen=True)
class Situation:
    """What makes an alarm fire.

    Attributes
    ----------
    worst
        A minute that is just still OK.
    bad
        A minute of the situation.
    minutes
        How long it must last.
    """

    metric: Metric
    worst: Callable[[Deployment], Values]
    bad: Callable[[Deployment], Values]
    minutes: int


def queue(metric: str, unit: str, url: Callable[[Deployment], str]) -> Metric:
    """Return a metric of AWS/SQS, which has the queue's name as its only dimension."""
    return Metric(
        "AWS/SQS", metric, unit, ("Maximum",), lambda here: {"QueueName": last(url(here))}
    )


def function(name: str, metric: str, unit: str, *statistics: str) -> Metric:
    """Return a metric of AWS/Lambda over all versions of a function."""
    return Metric(
        "AWS/Lambda",
        metric,
        unit,
        statistics,
        lambda here: {"FunctionName": here.function_names[name]},
    )


def cleanup_dead_letters(here: Deployment) -> str:
    return here.queue_url.removesuffix("uploads") + "cleanup-dead-letters"


def last(address: str) -> str:
    return address.replace(":", "/").rpartition("/")[2]


def api_id(here: Deployment) -> str:
    (api,) = (api for api in here.apis.get_apis()["Items"] if api["ApiId"] in here.api_url)
    return str(api["ApiId"])


def always(*values: float) -> Callable[[Deployment], Values]:
    return lambda _here: dict.fromkeys(values, 1)


def a_dead_letter(here: Deployment) -> Values:
    """Count a real one."""
    here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody="no event")
    count = here.sqs.get_queue_attributes(
        QueueUrl=here.dead_letter_queue_url, AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]["ApproximateNumberOfMessages"]
    (message,) = dead_letters.receive(here)
    here.sqs.delete_message(QueueUrl=here.dead_letter_queue_url, ReceiptHandle=message.receipt)
    return {float(count): 1}


def a_failed_call(name: str) -> Callable[[Deployment], Values]:
    """Count a real one: an event that the function cannot read."""

    def call(here: Deployment) -> Values:
        answer = here.functions.invoke(
            FunctionName=here.function_names[name], Payload=b'"no event"'
        )
        answer["Payload"].close()
        return {1.0 if answer.get("FunctionError") else 0.0: 1}

    return call


def near_timeout(name: str, here: Deployment) -> float:
    """Return four fifths of the function's time-out, in milliseconds."""
    settings = here.functions.get_function_configuration(FunctionName=here.function_names[name])
    return 800.0 * settings["Timeout"]


def one_call_in_200_slower(name: str) -> Callable[[Deployment], Values]:
    return lambda here: {near_timeout(name, here): 199, near_timeout(name, here) * 1.2: 1}


def two_calls_in_100_slower(name: str) -> Callable[[Deployment], Values]:
    return lambda here: {200.0: 98, near_timeout(name, here) + 1: 2}


FUNCTIONS = ("authorizer", "cleanup", "presign", "profiles", "remove", "resize")
ALARMS: dict[str, Situation] = {
    "dead-letters": Situation(
        queue("ApproximateNumberOfMessagesVisible", "Count", lambda h: h.dead_letter_queue_url),
        worst=always(0),
        bad=a_dead_letter,
        minutes=1,
    ),
    "cleanup-dead-letters": Situation(
        queue("ApproximateNumberOfMessagesVisible", "Count", cleanup_dead_letters),
        worst=always(0),
        bad=always(1),
        minutes=1,
    ),
    **{
        f"{name}-limits": Situation(
            Metric(
                "avatar-ops-local",
                "LimitsNotAsked",
                "Count",
                ("Sum",),
                lambda h, name=name: {"FunctionName": h.function_names[name]},  # type: ignore[misc]
            ),
            worst=always(0),
            bad=always(1),
            minutes=5,
        )
        for name in ("presign", "resize")
    },
    "queue-age": Situation(
        queue("ApproximateAgeOfOldestMessage", "Seconds", lambda h: h.queue_url),
        worst=always(300),
        bad=always(301),
        minutes=3,
    ),
    "api-errors": Situation(
        Metric("AWS/ApiGateway", "5xx", "Count", ("Sum",), lambda h: {"ApiId": api_id(h)}),
        worst=always(0),
        bad=always(0, 1),
        minutes=5,
    ),
    "notifications": Situation(
        Metric(
            "AWS/SNS",
            "NumberOfNotificationsRedrivenToDlq",
            "Count",
            ("Sum",),
            lambda h: {"TopicName": last(h.topic_arn)},
        ),
        worst=always(0),
        bad=always(1),
        minutes=5,
    ),
    "cdn-errors": Situation(
        Metric(
            "AWS/CloudFront",
            "5xxErrorRate",
            "Percent",
            ("Average",),
            lambda h: {"DistributionId": h.distribution_id, "Region": "Global"},
        ),
        worst=always(1),
        bad=always(1.1),
        minutes=10,
    ),
    **{
        f"{name}-errors": Situation(
            function(name, "Errors", "Count", "Sum"),
            worst=always(0),
            bad=a_failed_call(name),
            minutes=5,
        )
        for name in FUNCTIONS
    },
    **{
        f"{name}-throttles": Situation(
            function(name, "Throttles", "Count", "Sum"),
            worst=always(0),
            bad=always(1),
            minutes=5,
        )
        for name in FUNCTIONS
    },
    **{
        f"{name}-duration": Situation(
            function(name, "Duration", "Milliseconds", "p99"),
            worst=one_call_in_200_slower(name),
            bad=two_calls_in_100_slower(name),
            minutes=15,
        )
        for name in FUNCTIONS
    },
}


def cloudwatch(here: Deployment, region: str) -> CloudWatchClient:
    client: CloudWatchClient = clients.client(
        "cloudwatch", region, tuple(sorted(here.access.items()))
    )
    return client


def region_of(arn: str) -> str:
    return arn.split(":")[3]


def live_alarms(here: Deployment) -> dict[str, MetricAlarmTypeDef]:
    """Return what Terraform made, in both regions, by the name behind the prefix."""
    prefix = here.function_names["resize"].removesuffix("resize")
    return {
        alarm["AlarmName"].removeprefix(prefix): alarm
        for region in (here.region, "us-east-1")
        for page in cloudwatch(here, region)
        .get_paginator("describe_alarms")
        .paginate(AlarmNamePrefix=prefix)
        for alarm in page["MetricAlarms"]
    }


def in_alarm(here: Deployment, moment: datetime) -> set[str]:
    return {
        name
        for name, alarm in live_alarms(here).items()
        if state_at(cloudwatch(here, region_of(alarm["AlarmArn"])), alarm, moment) == "ALARM"
    }


@dataclass
class Clock:
    """Publishes a metric minute by minute, in a time that nobody else measures."""

    here: Deployment
    metric: Metric
    now: datetime

    def pass_minutes(self, minutes: int, values: Values) -> None:
        """Publish the same for each of some minutes."""
        # CloudFront's metrics are in this region alone
        region = "us-east-1" if self.metric.namespace == "AWS/CloudFront" else self.here.region
        cloudwatch(self.here, region).put_metric_data(
            Namespace=self.metric.namespace,
            MetricData=[
                {
                    "MetricName": self.metric.name,
                    "Dimensions": [
                        {"Name": name, "Value": value}
                        for name, value in self.metric.dimensions(self.here).items()
                    ],
                    "Timestamp": self.now + timedelta(minutes=minute),
                    "Unit": self.metric.unit,  # type: ignore[typeddict-item]
                    "Values": list(values),
                    "Counts": [float(count) for count in values.values()],
                }
                for minute in range(minutes)
            ],
        )
        self.now += timedelta(minutes=minutes)


@pytest.fixture(scope="module")
def times() -> Iterator[datetime]:
    """Times for each alarm to have a past of its own, within the two weeks that CloudWatch takes.

    The emulator's own, coarser evaluation doesn't look back that far.
    """
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - timedelta(hours=4 * count) for count in range(12, 72))


@dataclass(frozen=True)
class Inbox:
    """A queue that a topic tells, in the topic's region."""

    sqs: SQSClient
    url: str

    def take(self) -> list[dict[str, str]]:
        """Return what arrived since, deleting it here."""
        arrived = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        taken = []
        for message in arrived.get("Messages", []):
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            taken.append(json.loads(json.loads(message["Body"])["Message"]))
        return taken


@pytest.fixture
def operators(here: Deployment) -> Iterator[list[Inbox]]:
    """Subscribers: one of each topic that an alarm publishes to, beside the address by mail."""
    topics = {arn for alarm in live_alarms(here).values() for arn in alarm["AlarmActions"]}
    assert {region_of(topic) for topic in topics} == {here.region, "us-east-1"}
    inboxes, subscriptions = [], []
    for topic in sorted(topics):
        region, access = region_of(topic), tuple(sorted(here.access.items()))
        sqs: SQSClient = clients.client("sqs", region, access)
        sns: SNSClient = clients.client("sns", region, access)
        url = sqs.create_queue(QueueName="alarms-heard-by-a-test")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        subscribed = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        inboxes.append(Inbox(sqs, url))
        subscriptions.append((sns, subscribed["SubscriptionArn"]))
    yield inboxes
    for sns, subscription in subscriptions:
        sns.unsubscribe(SubscriptionArn=subscription)
    for inbox in inboxes:
        inbox.sqs.delete_queue(QueueUrl=inbox.url)


def test_every_alarm_has_its_situation_here(here: Deployment) -> None:
    assert live_alarms(here).keys() == ALARMS.keys()


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_fires_alone_and_when_it_should(
    name: str, here: Deployment, times: Iterator[datetime]
) -> None:
    alarm = live_alarms(here)[name]
    situation = ALARMS[name]
    assert (alarm.get("ExtendedStatistic") or alarm["Statistic"]) in situation.metric.statistics
    assert alarm.get("Unit") in (None, situation.metric.unit)
    worst, bad = situation.worst(here), situation.bad(here)
    period = alarm["Period"] // 60

    clock = Clock(here, situation.metric, next(times))
    assert in_alarm(here, clock.now) == set(), "nothing was measured yet"
    clock.pass_minutes(2 * situation.minutes, worst)
    assert in_alarm(here, clock.now) == set(), "all is OK, if only just"
    if situation.minutes > period:
        clock.pass_minutes(situation.minutes - period, bad)
        assert in_alarm(here, clock.now) == set(), "it did not last"
        clock.pass_minutes(period, worst)
    clock.pass_minutes(situation.minutes, bad)
    assert in_alarm(here, clock.now) == {name}
    clock.pass_minutes(period, worst)
    assert in_alarm(here, clock.now) == set(), "it is over"
    clock.pass_minutes(situation.minutes, bad)
    assert in_alarm(here, clock.now) == {name}
    assert in_alarm(here, clock.now + timedelta(hours=1)) == set(), "nothing was measured since"


def test_the_operators_are_notified_of_every_alarm_when_it_fires_and_when_it_ends(
    here: Deployment, operators: list[Inbox]
) -> None:
    alarms = live_alarms(here)
    before = {name: alarm["StateValue"] for name, alarm in alarms.items()}
    try:
        for state in ("ALARM", "OK"):
            for alarm in alarms.values():
                cloudwatch(here, region_of(alarm["AlarmArn"])).set_alarm_state(
                    AlarmName=alarm["AlarmName"], StateValue=state, StateReason="a test"
                )
    finally:
        for name, alarm in alarms.items():
            cloudwatch(here, region_of(alarm["AlarmArn"])).set_alarm_state(
                AlarmName=alarm["AlarmName"], StateValue=before[name], StateReason="as before"
            )

    expected = {
        (alarm["AlarmName"], state, alarm["AlarmDescription"])
        for alarm in alarms.values()
        for state in ("ALARM", "OK")
    }
    notified: set[tuple[str, str, str]] = set()

    def all_notified() -> bool:
        notified.update(
            (said["AlarmName"], said["NewStateValue"], said["AlarmDescription"])
            for inbox in operators
            for said in inbox.take()
        )
        return notified >= expected

    wait_until(all_notified, f"a notification of each of {len(expected)} changes")
    assert notified == expected
