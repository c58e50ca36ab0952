"""Each alarm fires in its situation, alone, notifies the operators, and is OK otherwise.

The metrics are what AWS publishes in that situation, written here from AWS's documentation and
not from Terraform: an alarm on a metric, dimension or region that does not exist never fires.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from console.operations import progress
from console.operations.environments import clients
from console.operations.environments.deployment import Deployment
from console.operations.environments.terraform import Workspace
from console.operations.pipeline import dead_letters
from console.operations.releases.aliases import ALIAS
from tests.integration.alarm_rules import Alarm, period, queries, state_at
from tests.integration.system import System, wait_until

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
class Beside:
    """What else AWS counts meanwhile, such as calls beside failed calls.

    Attributes
    ----------
    worst, bad
        How many in a minute that is just still OK, and in one of the situation; None where AWS
        publishes nothing.
    includes
        Whether what is wrong is counted here too.
    """

    metric: Metric
    worst: int
    bad: int | None
    includes: bool


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
    beside
        If the alarm is about a share of something.
    """

    metric: Metric
    worst: Callable[[Deployment], Values]
    bad: Callable[[Deployment], Values]
    minutes: int
    beside: Beside | None = None


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
            FunctionName=here.function_names[name], Qualifier=ALIAS, Payload=b'"no event"'
        )
        answer["Payload"].close()
        return {1.0 if answer.get("FunctionError") else 0.0: 1}

    return call


def nothing_readable_by_the_cdn(here: Deployment) -> Values:
    """Count a real one: the bucket policy no longer admits the distribution."""
    policy = here.s3.get_bucket_policy(Bucket=here.assets_bucket)["Policy"]
    here.s3.delete_bucket_policy(Bucket=here.assets_bucket)
    try:
        answer = here.functions.invoke(
            FunctionName=here.function_names["probe"], Qualifier=ALIAS, Payload=b"{}"
        )
        said = json.loads(answer["Payload"].read())
    finally:
        here.s3.put_bucket_policy(Bucket=here.assets_bucket, Policy=policy)
    assert said["errorMessage"].startswith("avatars/_default.jpg: status 403"), said
    return {1.0 if answer.get("FunctionError") else 0.0: 1}


def near_timeout(name: str, here: Deployment) -> float:
    """Return four fifths of the function's time-out, in milliseconds."""
    settings = here.functions.get_function_configuration(FunctionName=here.function_names[name])
    return 800.0 * settings["Timeout"]


def one_call_in_200_slower(name: str) -> Callable[[Deployment], Values]:
    return lambda here: {near_timeout(name, here): 199, near_timeout(name, here) * 1.2: 1}


def two_calls_in_100_slower(name: str) -> Callable[[Deployment], Values]:
    return lambda here: {200.0: 98, near_timeout(name, here) + 1: 2}


FUNCTIONS = ("authorizer", "cleanup", "crop", "presign", "profiles", "remove", "report", "resize")
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
            worst=always(1),
            bad=always(1),
            minutes=5,
            beside=Beside(
                function(name, "Invocations", "Count", "Sum"), worst=100, bad=1, includes=True
            ),
        )
        for name in ("presign", "resize")
    },
    "oldest-review": Situation(
        Metric(
            "avatar-ops-local",
            "OldestReviewSeconds",
            "Seconds",
            ("Maximum",),
            lambda h: {"FunctionName": h.function_names["report"]},
        ),
        worst=always(86_400),
        bad=always(86_401),
        minutes=5,
    ),
    "queue-age": Situation(
        queue("ApproximateAgeOfOldestMessage", "Seconds", lambda h: h.queue_url),
        worst=always(300),
        bad=always(301),
        minutes=3,
    ),
    "api-errors": Situation(
        Metric("AWS/ApiGateway", "5xx", "Count", ("Sum",), lambda h: {"ApiId": api_id(h)}),
        worst=always(1),
        bad=always(0, 1),
        minutes=5,
        beside=Beside(
            Metric("AWS/ApiGateway", "Count", "Count", ("Sum",), lambda h: {"ApiId": api_id(h)}),
            worst=100,
            bad=2,
            includes=True,
        ),
    ),
    "notifications": Situation(
        Metric(
            "AWS/SNS",
            "NumberOfNotificationsRedrivenToDlq",
            "Count",
            ("Sum",),
            lambda h: {"TopicName": last(h.topic_arn)},
        ),
        worst=always(1),
        bad=always(1),
        minutes=5,
        beside=Beside(
            Metric(
                "AWS/SNS",
                "NumberOfMessagesPublished",
                "Count",
                ("Sum",),
                lambda h: {"TopicName": last(h.topic_arn)},
            ),
            worst=99,
            bad=None,
            includes=False,
        ),
    ),
    "images-not-served": Situation(
        function("probe", "Errors", "Count", "Sum"),
        worst=always(0),
        bad=nothing_readable_by_the_cdn,
        minutes=3,
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
            worst=always(1),
            bad=a_failed_call(name),
            minutes=5,
            beside=Beside(
                function(name, "Invocations", "Count", "Sum"), worst=100, bad=1, includes=True
            ),
        )
        for name in FUNCTIONS
    },
    **{
        f"{name}-throttles": Situation(
            function(name, "Throttles", "Count", "Sum"),
            worst=always(1),
            bad=always(1),
            minutes=5,
            beside=Beside(
                function(name, "Invocations", "Count", "Sum"), worst=99, bad=None, includes=False
            ),
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


@pytest.fixture(scope="module")
def metric_math(system: System) -> dict[str, list[dict[str, Any]]]:
    """The queries of alarms about shares by the alarms' names, as a plan has them.

    The emulator doesn't keep them.
    """
    workspace = Workspace(system.target())
    with workspace.planned(progress.ignore) as plan:
        planned = json.loads(workspace._run("show", "-json", str(plan.path)))["resource_changes"]
    alarms = [
        change["change"]["after"]
        for change in planned
        if change["type"] == "aws_cloudwatch_metric_alarm"
    ]
    return {
        # a set to Terraform: metrics before the expression that names them
        alarm["alarm_name"]: [
            _query(written)
            for written in sorted(
                alarm["metric_query"], key=lambda one: (bool(one["expression"]), one["id"])
            )
        ]
        for alarm in alarms
        if alarm["metric_query"]
    }


def _query(written: dict[str, Any]) -> dict[str, Any]:
    """Return a query as the provider sends it."""
    if written["expression"]:
        assert written["return_data"]
        return {"Id": written["id"], "Expression": written["expression"]}
    assert not written["return_data"], "an alarm has one result"
    (metric,) = written["metric"]
    name = {
        "Namespace": metric["namespace"],
        "MetricName": metric["metric_name"],
        "Dimensions": [{"Name": key, "Value": text} for key, text in metric["dimensions"].items()],
    }
    stat = {"Metric": name, "Period": metric["period"], "Stat": metric["stat"]}
    return {"Id": written["id"], "MetricStat": stat}


@pytest.fixture
def alarms(here: Deployment, metric_math: dict[str, list[dict[str, Any]]]) -> dict[str, Alarm]:
    """What Terraform made, by the name behind the prefix, with what the emulator drops."""
    return {
        name: dict(alarm)
        | ({"Metrics": metric_math[alarm["AlarmName"]]} if not alarm.get("MetricName") else {})
        for name, alarm in live_alarms(here).items()
    }


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


def in_alarm(here: Deployment, alarms: dict[str, Alarm], moment: datetime) -> set[str]:
    return {
        name
        for name, alarm in alarms.items()
        if state_at(cloudwatch(here, region_of(alarm["AlarmArn"])), alarm, moment) == "ALARM"
    }


@dataclass
class Clock:
    """Publishes a metric minute by minute, in a time that nobody else measures."""

    here: Deployment
    metric: Metric
    now: datetime

    def pass_minutes(
        self, minutes: int, values: Values, beside: Metric | None = None, others: int | None = None
    ) -> None:
        """Publish the same for each of some minutes; `others` is what is counted beside it."""
        self._publish(self.metric, minutes, values)
        if beside and others is not None:
            self._publish(beside, minutes, {float(others): 1})
        self.now += timedelta(minutes=minutes)

    def _publish(self, metric: Metric, minutes: int, values: Values) -> None:
        # CloudFront's metrics are in this region alone
        region = "us-east-1" if metric.namespace == "AWS/CloudFront" else self.here.region
        data: Any = [self._datum(metric, minute, values) for minute in range(minutes)]
        cloudwatch(self.here, region).put_metric_data(Namespace=metric.namespace, MetricData=data)

    def _datum(self, metric: Metric, minute: int, values: Values) -> dict[str, Any]:
        return {
            "MetricName": metric.name,
            "Dimensions": [
                {"Name": name, "Value": value}
                for name, value in metric.dimensions(self.here).items()
            ],
            "Timestamp": self.now + timedelta(minutes=minute),
            "Unit": metric.unit,
            "Values": list(values),
            "Counts": [float(count) for count in values.values()],
        }


@pytest.fixture(scope="module")
def times() -> Iterator[datetime]:
    """Times for each alarm to have a past of its own, within the two weeks that CloudWatch takes.

    The emulator's own, coarser evaluation doesn't look back that far.
    """
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - timedelta(hours=4 * count) for count in range(12, 80))


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


def check_settings(alarm: Alarm, situation: Situation) -> None:
    """Check that what the alarm reads is what AWS publishes: metric, statistic, unit."""
    wanted = [situation.metric, *([situation.beside.metric] if situation.beside else [])]
    read = [query["MetricStat"] for query in queries(alarm) if "MetricStat" in query]
    names = [(one["Metric"]["Namespace"], one["Metric"]["MetricName"]) for one in read]
    assert names == [(metric.namespace, metric.name) for metric in wanted]
    for one, metric in zip(read, wanted, strict=True):
        assert one["Stat"] in metric.statistics
    assert alarm.get("Unit") in (None, situation.metric.unit)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_fires_alone_and_when_it_should(
    name: str, here: Deployment, alarms: dict[str, Alarm], times: Iterator[datetime]
) -> None:
    situation = ALARMS[name]
    check_settings(alarms[name], situation)
    worst, bad = situation.worst(here), situation.bad(here)
    step = period(alarms[name]) // 60
    clock = Clock(here, situation.metric, next(times))

    def ok(minutes: int) -> None:
        one = situation.beside
        clock.pass_minutes(minutes, worst, one and one.metric, one and one.worst)

    def situation_lasts(minutes: int) -> None:
        one = situation.beside
        clock.pass_minutes(minutes, bad, one and one.metric, one and one.bad)

    assert in_alarm(here, alarms, clock.now) == set(), "nothing was measured yet"
    ok(2 * situation.minutes)
    assert in_alarm(here, alarms, clock.now) == set(), "all is OK, if only just"
    if situation.minutes > step:
        situation_lasts(situation.minutes - step)
        assert in_alarm(here, alarms, clock.now) == set(), "it did not last"
        ok(step)
    situation_lasts(situation.minutes)
    assert in_alarm(here, alarms, clock.now) == {name}
    ok(step)
    assert in_alarm(here, alarms, clock.now) == set(), "it is over"
    situation_lasts(situation.minutes)
    assert in_alarm(here, alarms, clock.now) == {name}
    later = clock.now + timedelta(hours=1)
    assert in_alarm(here, alarms, later) == set(), "nothing was measured since"


def test_a_count_is_read_beside_what_it_is_a_part_of_unless_no_size_changes_it() -> None:
    """One dead-letter message is somebody's picture; the probe is called once a minute."""
    alone = {name for name, it in ALARMS.items() if it.metric.unit == "Count" and not it.beside}
    assert alone == {"dead-letters", "cleanup-dead-letters", "images-not-served"}


@pytest.mark.parametrize("name", [name for name, it in ALARMS.items() if it.beside])
def test_at_a_thousand_calls_a_second_a_share_fires_and_a_few_failures_do_not(
    name: str, here: Deployment, alarms: dict[str, Alarm], times: Iterator[datetime]
) -> None:
    situation = ALARMS[name]
    beside, calls = situation.beside, 60_000
    assert beside
    clock = Clock(here, situation.metric, next(times))
    for failed, expected in ((600, set()), (606, {name}), (1, set())):
        others = calls if beside.includes else calls - failed
        clock.pass_minutes(5, {float(failed): 1}, beside.metric, others)
        assert in_alarm(here, alarms, clock.now) == expected, f"{failed} a minute"


def test_the_operators_are_notified_of_every_alarm_when_it_fires_and_when_it_ends(
    here: Deployment, operators: list[Inbox]
) -> None:
    live = live_alarms(here)
    before = {name: alarm["StateValue"] for name, alarm in live.items()}
    try:
        for state in ("ALARM", "OK"):
            for alarm in live.values():
                cloudwatch(here, region_of(alarm["AlarmArn"])).set_alarm_state(
                    AlarmName=alarm["AlarmName"], StateValue=state, StateReason="a test"
                )
    finally:
        for name, alarm in live.items():
            cloudwatch(here, region_of(alarm["AlarmArn"])).set_alarm_state(
                AlarmName=alarm["AlarmName"], StateValue=before[name], StateReason="as before"
            )

    expected = {
        (alarm["AlarmName"], state, alarm["AlarmDescription"])
        for alarm in live.values()
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
