"""Reports of users: who may report what, what is kept, and that nothing is revealed."""

from __future__ import annotations

import base64
import importlib
import io
import json
import time
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from dynamodb import ConditionFailedError, TableError
from json_log import JsonFormatter

CONTEXT: Any = SimpleNamespace(aws_request_id="request-1")
SHOWN = {
    "version": "0" * 32,
    "version-id": "v1",
    "source-key": "ada",
    "uploaded": "2026-01-31T12:00:00+00:00",
}


class Moto:
    """A table of moto's, called as the functions call it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client = boto3.client("dynamodb", region_name="eu-central-1")

    def call(self, operation: str, **request: Any) -> Any:
        method = {"UpdateItem": self.client.update_item, "Query": self.client.query}[operation]
        try:
            return method(TableName=self.name, **request)  # type: ignore[operator]
        except self.client.exceptions.ConditionalCheckFailedException as error:
            raise ConditionFailedError(error.response.get("Item", {})) from error


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "ASSETS_BUCKET_NAME": "assets",
        "REVIEWS_TABLE_NAME": "reviews",
        "LIMITS_TABLE_NAME": "limits",
        "REPORTS_PER_DAY": "3",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = boto3.client("dynamodb")
        kinds = [("name", "S"), ("version", "S"), ("queue", "S"), ("since", "N"), ("user", "S")]
        attributes = [{"AttributeName": name, "AttributeType": kind} for name, kind in kinds]
        client.create_table(
            TableName="limits",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=attributes[4:],  # type: ignore[arg-type]
            KeySchema=[{"AttributeName": "user", "KeyType": "HASH"}],
        )
        client.create_table(
            TableName="reviews",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=attributes[:4],  # type: ignore[arg-type]
            KeySchema=[
                {"AttributeName": "name", "KeyType": "HASH"},
                {"AttributeName": "version", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "waiting",
                    "KeySchema": [
                        {"AttributeName": "queue", "KeyType": "HASH"},
                        {"AttributeName": "since", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        s3 = boto3.client("s3")
        s3.create_bucket(
            Bucket="assets", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        s3.put_object(Bucket="assets", Key="avatars/ada.jpg", Body=b"x", Metadata=SHOWN)
        yield client


@pytest.fixture
def report(aws: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = importlib.reload(importlib.import_module("report.handler"))
    monkeypatch.setattr(module, "_TABLE", Moto("reviews"))
    object.__setattr__(module.LIMITS, "table", Moto("limits"))
    return module


def request(body: Any, sub: Any = "grace", of: str = "ada") -> dict[str, Any]:
    return {
        "routeKey": "POST /avatars/{sub}/report",
        "pathParameters": {"sub": of},
        "body": body if isinstance(body, str | None) else json.dumps(body),
        "requestContext": {"authorizer": {"lambda": {"sub": sub, "username": "x"}}},
    }


def items(aws: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.scan(TableName="reviews")["Items"]
    return found


def reports(item: dict[str, Any]) -> list[dict[str, Any]]:
    return [value["M"] for name, value in item.items() if name.startswith("report ")]


def test_what_is_shown_is_put_on_the_list_with_what_is_said_of_it(
    aws: Any, report: ModuleType
) -> None:
    answer = report.handler(request({"reason": "nudity", "text": " look\n\u202eat it "}), CONTEXT)
    assert (answer["statusCode"], answer["body"]) == (202, "{}")
    (item,) = items(aws)
    assert (item["state"], item["version"]) == ({"S": "reported"}, {"S": "v1"})
    assert item["queue"] == {"S": "review"}
    (said,) = reports(item)
    assert (said["reason"]["S"], said["text"]["S"]) == ("nudity", "look  at it")
    assert "grace" not in json.dumps(item), "who reports is not kept"


def test_a_banner_is_put_on_the_list_by_its_own_name(aws: Any, report: ModuleType) -> None:
    wish = {"reason": "hate", "kind": "banner"}
    assert report.handler(request(wish), CONTEXT)["statusCode"] == 202
    assert items(aws) == [], "only an avatar is shown"
    banner = SHOWN | {"version-id": "b1", "version": "2" * 32}
    s3 = boto3.client("s3")
    s3.put_object(Bucket="assets", Key="avatars/banners/ada.jpg", Body=b"y", Metadata=banner)
    report.handler(request(wish | {"version": "0" * 32}, "mary"), CONTEXT)
    assert items(aws) == []
    report.handler(request(wish | {"version": banner["version"]}), CONTEXT)
    (item,) = items(aws)
    assert (item["name"], item["version"]) == ({"S": "banners/ada"}, {"S": "b1"})
    assert (item["key"], item["etag"]) == ({"S": "banners/ada"}, {"S": "2" * 32})
    assert item["reporters"] == {"N": "1"}
    report.handler(request({"reason": "hate", "kind": "avatar"}), CONTEXT)
    assert {item["name"]["S"] for item in items(aws)} == {"ada", "banners/ada"}


def test_one_user_counts_once_for_a_version(aws: Any, report: ModuleType) -> None:
    for reporter in ("grace", "grace", "mary"):
        answer = report.handler(request({"reason": "hate"}, reporter), CONTEXT)
        assert answer["statusCode"] == 202
    (item,) = items(aws)
    assert item["reporters"] == {"N": "2"}
    assert len(reports(item)) == 2
    changed = SHOWN | {"version-id": "v2", "version": "1" * 32}
    s3 = boto3.client("s3")
    s3.put_object(Bucket="assets", Key="avatars/ada.jpg", Body=b"y", Metadata=changed)
    report.handler(request({"reason": "hate"}), CONTEXT)
    assert sorted(item["version"]["S"] for item in items(aws)) == ["v1", "v2"]


@pytest.mark.parametrize("state", ["approved", "refused"])
def test_what_was_decided_stays_decided(aws: Any, report: ModuleType, state: str) -> None:
    item = {"name": {"S": "ada"}, "version": {"S": "v1"}, "state": {"S": state}}
    aws.put_item(TableName="reviews", Item=item)
    assert report.handler(request({"reason": "hate"}), CONTEXT)["statusCode"] == 202
    assert items(aws) == [item]


def test_an_item_has_its_bounds(
    aws: Any, report: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_REPORTERS", 2)
    answers = [
        report.handler(request({"reason": "other", "text": "x" * 500}, f"user-{n}"), CONTEXT)
        for n in range(4)
    ]
    assert {answer["statusCode"] for answer in answers} == {202}
    assert items(aws)[0]["reporters"] == {"N": "2"}


@pytest.mark.parametrize(
    "asked",
    [
        request({"reason": "hate"}, of="nobody"),
        request({"reason": "hate", "version": "9" * 32}),
        request({"reason": "hate"}, of="removed"),
        request({"reason": "hate"}, of="removed-by-user"),
        request({"reason": "hate", "version": SHOWN["version"]}, of="removed-by-user"),
        request({"reason": "hate"}, of="by-hand"),
    ],
    ids=["nobody", "another version", "removed", "by its user", "by its user, seen", "by hand"],
)
def test_who_reports_learns_nothing(aws: Any, report: ModuleType, asked: dict[str, Any]) -> None:
    s3 = boto3.client("s3")
    removed = {"removed": SHOWN["uploaded"], "uploaded": SHOWN["uploaded"]}
    s3.put_object(Bucket="assets", Key="avatars/removed.jpg", Body=b"", Metadata=removed)
    by_user = removed | {"source-key": "removed-by-user", "version-id": "v3", "sequencer": "00A"}
    s3.put_object(Bucket="assets", Key="avatars/removed-by-user.jpg", Body=b"", Metadata=by_user)
    s3.put_object(Bucket="assets", Key="avatars/by-hand.jpg", Body=b"")
    taken = report.handler(request({"reason": "hate"}), CONTEXT)
    nothing = report.handler(asked, CONTEXT)
    assert nothing == taken
    assert len(items(aws)) == 1


@pytest.mark.parametrize(
    ("body", "of"),
    [
        (None, "ada"),
        ("[]", "ada"),
        ("{", "ada"),
        ({}, "ada"),
        ({"reason": "because"}, "ada"),
        ({"reason": ["hate"]}, "ada"),
        ({"reason": "hate", "text": "x" * 501}, "ada"),
        ({"reason": "hate", "text": 1}, "ada"),
        ({"reason": "hate", "version": 1}, "ada"),
        ({"reason": "hate", "kind": "portrait"}, "ada"),
        ("x" * 5000, "ada"),
        ({"reason": "hate"}, "people/ada"),
        ({"reason": "hate"}, "banners/ada"),
        ({"reason": "hate"}, "_default"),
        ({"reason": "hate"}, ""),
    ],
)
def test_what_can_not_be_read_is_refused_with_what_to_send(
    aws: Any, report: ModuleType, body: Any, of: str
) -> None:
    answer = report.handler(request(body, of=of), CONTEXT)
    assert answer["statusCode"] == 400
    error = json.loads(answer["body"])["error"]
    assert error["code"] == "invalid_request"
    assert error["message"]
    assert items(aws) == []


def test_a_body_in_base64_is_read(aws: Any, report: ModuleType) -> None:
    asked = request(base64.b64encode(b'{"reason": "hate"}').decode()) | {"isBase64Encoded": True}
    assert report.handler(asked, CONTEXT)["statusCode"] == 202
    assert len(items(aws)) == 1


def test_a_user_reports_so_much_a_day(aws: Any, report: ModuleType) -> None:
    answers = [report.handler(request({"reason": "hate"}), CONTEXT) for _ in range(4)]
    assert [answer["statusCode"] for answer in answers] == [202, 202, 202, 429]
    error = json.loads(answers[3]["body"])["error"]
    assert error["code"] == "too_many_reports"
    assert 0 < error["retry_after"] <= 86_400
    assert answers[3]["headers"]["retry-after"] == str(error["retry_after"])
    assert report.handler(request({"reason": "hate"}, "mary"), CONTEXT)["statusCode"] == 202


def test_a_locked_user_reports_nothing(aws: Any, report: ModuleType) -> None:
    aws.put_item(TableName="limits", Item={"user": {"S": "grace"}, "locked": {"N": "1"}})
    answer = report.handler(request({"reason": "hate"}), CONTEXT)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (403, "locked")
    assert items(aws) == []
    assert "expires" not in aws.scan(TableName="limits")["Items"][0], "a lock does not expire"


@pytest.mark.parametrize("sub", [None, "", "a/b"])
def test_a_route_without_the_authorizer_takes_nothing(
    aws: Any, report: ModuleType, sub: Any
) -> None:
    assert report.handler(request({"reason": "hate"}, sub), CONTEXT)["statusCode"] == 401
    assert items(aws) == []


def test_without_the_counter_reports_are_taken(aws: Any, report: ModuleType) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise TableError("away")

    object.__setattr__(report.LIMITS, "table", SimpleNamespace(call=fail))
    assert report.handler(request({"reason": "hate"}), CONTEXT)["statusCode"] == 202


@pytest.mark.parametrize("away", ["_TABLE", "_s3"])
def test_what_is_away_is_told_and_may_be_tried_again(
    report: ModuleType, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        if away == "_s3":
            raise ReadTimeoutError(endpoint_url="https://s3")
        raise TableError("away")

    monkeypatch.setattr(report, away, SimpleNamespace(call=fail, head_object=fail))
    answer = report.handler(request({"reason": "hate"}), CONTEXT)
    assert answer["statusCode"] == 503
    assert "Try again" in json.loads(answer["body"])["error"]["message"]


def test_its_schedule_has_it_log_how_long_the_oldest_waits(aws: Any, report: ModuleType) -> None:
    logged = io.StringIO()
    for handler in report.LOG.handlers:
        if isinstance(handler.formatter, JsonFormatter):
            handler.setStream(logged)
    scheduled = {"source": "aws.events", "detail-type": "Scheduled Event"}
    assert report.handler(scheduled, CONTEXT) == {"seconds": 0}
    now = time.time()
    for number, seconds in enumerate((100, 5000)):
        aws.put_item(
            TableName="reviews",
            Item={
                "name": {"S": "ada"},
                "version": {"S": str(number)},
                "queue": {"S": "review"},
                "since": {"N": str(round((now - seconds) * 1000))},
            },
        )
    assert report.handler(scheduled, CONTEXT)["seconds"] == pytest.approx(5000, abs=5)
    line = json.loads(logged.getvalue().splitlines()[-1])
    assert (line["message"], line["seconds"] >= 5000) == ("oldest review", True)
