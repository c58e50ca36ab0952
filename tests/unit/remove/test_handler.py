"""A user's removal: a delete marker on the original of the caller, and of nobody else."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from json_log import JsonFormatter
from limits import Refusal

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CONTEXT = SimpleNamespace(aws_request_id="request-1")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "UPLOADS_BUCKET_NAME": "uploads",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(
            Bucket="uploads", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        client.put_bucket_versioning(
            Bucket="uploads", VersioningConfiguration={"Status": "Enabled"}
        )
        yield client


@pytest.fixture
def remove(s3: S3Client) -> ModuleType:
    return importlib.reload(importlib.import_module("remove.handler"))


def request(sub: Any) -> dict[str, Any]:
    return {
        "routeKey": "DELETE /avatars",
        "body": json.dumps({"key": "grace"}),
        "requestContext": {
            "requestId": "request-1",
            "authorizer": {"lambda": {"sub": sub, "username": "x"}},
        },
    }


def test_marks_the_callers_original_as_deleted_and_keeps_its_versions(
    s3: S3Client, remove: ModuleType
) -> None:
    for key in ("ada", "grace"):
        s3.put_object(Bucket="uploads", Key=key, Body=b"picture")
    answer = remove.handler(request("ada"), CONTEXT)
    assert answer["statusCode"] == 202
    assert json.loads(answer["body"]) == {"key": "ada"}
    listed = s3.list_object_versions(Bucket="uploads")
    assert [item["Key"] for item in listed["DeleteMarkers"]] == ["ada"]
    assert {item["Key"] for item in listed["Versions"]} == {"ada", "grace"}


def test_removing_what_is_not_there_succeeds(remove: ModuleType) -> None:
    assert remove.handler(request("ada"), CONTEXT)["statusCode"] == 202


def test_who_removes_without_end_is_told_when_to_go_on(
    s3: S3Client, remove: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def full(*arguments: str) -> Refusal:
        asked.append(arguments)
        return Refusal("too_many_removals", 90)

    monkeypatch.setattr(remove, "LIMITS", SimpleNamespace(count_removal=full))
    answer = remove.handler(request("ada"), CONTEXT)
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (429, "90")
    error = json.loads(answer["body"])["error"]
    assert (error["code"], error["retry_after"]) == ("too_many_removals", 90)
    assert "Wait 2 minutes" in error["message"]
    assert asked == [("ada", "request-1")]
    assert "DeleteMarkers" not in s3.list_object_versions(Bucket="uploads")


@pytest.mark.parametrize("sub", [None, "", "a/b", "ada.png", 1])
def test_a_route_without_the_authorizer_removes_nothing(
    s3: S3Client, remove: ModuleType, sub: Any
) -> None:
    answer = remove.handler(request(sub), CONTEXT)
    assert answer["statusCode"] == 401
    assert "DeleteMarkers" not in s3.list_object_versions(Bucket="uploads")


@pytest.mark.parametrize(
    "failure",
    [
        ReadTimeoutError(endpoint_url="https://s3"),
        ClientError({"Error": {"Code": "SlowDown", "Message": ""}}, "DeleteObject"),
    ],
)
def test_a_failing_s3_is_told_and_may_be_tried_again(
    remove: ModuleType, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(**_: str) -> None:
        raise failure

    monkeypatch.setattr(remove, "_s3", SimpleNamespace(delete_object=fail))
    answer = remove.handler(request("ada"), CONTEXT)
    assert answer["statusCode"] == 503
    error = json.loads(answer["body"])["error"]
    assert error["code"] == "unavailable"
    assert "Try again" in error["message"]
    assert isinstance(remove.LOG.handlers[0].formatter, JsonFormatter)


def test_a_banner_is_removed_by_its_kind_and_the_avatar_stays(
    s3: S3Client, remove: ModuleType
) -> None:
    for key in ("ada", "banners/ada"):
        s3.put_object(Bucket="uploads", Key=key, Body=b"picture")
    answer = remove.handler(request("ada") | {"queryStringParameters": {"kind": "banner"}}, CONTEXT)
    assert (answer["statusCode"], json.loads(answer["body"])) == (202, {"key": "banners/ada"})
    listed = s3.list_object_versions(Bucket="uploads")
    assert [item["Key"] for item in listed["DeleteMarkers"]] == ["banners/ada"]
    answer = remove.handler(request("ada") | {"queryStringParameters": {"kind": "all"}}, CONTEXT)
    assert answer["statusCode"] == 400
    assert "avatar, banner" in answer["body"]
    assert len(s3.list_object_versions(Bucket="uploads")["DeleteMarkers"]) == 1
