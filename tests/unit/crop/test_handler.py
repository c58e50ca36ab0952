"""A new crop without an upload: the caller's newest original, copied over itself."""

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

from limits import Refusal

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CONTEXT = SimpleNamespace(aws_request_id="request-1")
CROP = [0.25, 0, 0.5]


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
def crop(s3: S3Client) -> ModuleType:
    return importlib.reload(importlib.import_module("crop.handler"))


def ask(function: ModuleType, sub: Any = "ada", **members: Any) -> tuple[int, dict[str, Any]]:
    event = {
        "routeKey": "POST /avatars/crop",
        "body": json.dumps({"crop": CROP} | members),
        "requestContext": {"authorizer": {"lambda": {"sub": sub, "username": "x"}}},
    }
    answer = function.handler(event, CONTEXT)
    return answer["statusCode"], json.loads(answer["body"])


def sent(s3: S3Client, key: str = "ada", **more: Any) -> str:
    stored = s3.put_object(Bucket="uploads", Key=key, Body=b"picture", **more)
    return stored["ETag"].strip('"')


def test_the_callers_newest_original_becomes_a_new_version_with_the_crop(
    s3: S3Client, crop: ModuleType
) -> None:
    sent(s3, "grace")
    etag = sent(
        s3, ContentType="image/png", Metadata={"crop": "0,0,1"}, Tagging="avatar-rejection=damaged"
    )
    status, answer = ask(crop)
    assert status == 202
    found = s3.get_object(Bucket="uploads", Key="ada")
    assert found["Body"].read() == b"picture"
    assert (found["Metadata"], found["ContentType"]) == ({"crop": "0.25,0,0.5"}, "image/png")
    assert answer == {
        "key": "ada",
        "version": f"{etag}-3d090000007a120",
        "version_id": found["VersionId"],
        "variants": ["512.jpg", "128.webp"],
    }
    assert s3.get_object_tagging(Bucket="uploads", Key="ada")["TagSet"] == []
    listed = s3.list_object_versions(Bucket="uploads")["Versions"]
    assert [item["Key"] for item in listed] == ["ada", "ada", "grace"]


def test_a_banner_is_cropped_by_its_kind_and_the_avatar_stays(
    s3: S3Client, crop: ModuleType
) -> None:
    sent(s3)
    assert ask(crop, kind="banner")[0] == 404, "it has no banner yet"
    etag = sent(s3, "banners/ada")
    status, answer = ask(crop, kind="banner")
    assert (status, answer["key"]) == (202, "banners/ada")
    assert answer["version"] == f"{etag}-3d090000007a120"
    assert answer["variants"] == ["1500x500.jpg", "600x200.webp"]
    metadata = s3.head_object(Bucket="uploads", Key="banners/ada")["Metadata"]
    assert metadata == {"crop": "0.25,0,0.5"}
    assert s3.head_object(Bucket="uploads", Key="ada")["Metadata"] == {}


def test_a_refused_avatar_is_no_refused_banner(s3: S3Client, crop: ModuleType) -> None:
    sent(s3, Tagging="avatar-rejection=not_allowed")
    sent(s3, "banners/ada")
    assert ask(crop)[0] == 403
    assert ask(crop, kind="banner")[0] == 202
    sent(s3, "banners/ada", Tagging="avatar-rejection=not_allowed")
    status, answer = ask(crop, kind="banner")
    assert (status, answer["error"]["code"]) == (403, "not_allowed")


def test_who_names_the_picture_crops_that_one_and_no_other(s3: S3Client, crop: ModuleType) -> None:
    etag = sent(s3)
    status, answer = ask(crop, version=etag)
    assert status == 202
    assert ask(crop, version=answer["version"], crop=[0, 0, 1])[0] == 202
    assert ask(crop, version=etag)[1]["version"] == answer["version"]
    again = ask(crop, version=f"{etag}-0000000000f4240")
    assert again[0] == 202, "whose answer was lost asks once more"
    before = len(s3.list_object_versions(Bucket="uploads")["Versions"])
    status, answer = ask(crop, version="0" * 32)
    assert (status, answer["error"]["code"]) == (409, "changed")
    assert len(s3.list_object_versions(Bucket="uploads")["Versions"]) == before


def test_what_operators_refused_is_cropped_no_more(s3: S3Client, crop: ModuleType) -> None:
    sent(s3, Tagging="avatar-rejection=not_allowed")
    status, answer = ask(crop)
    assert (status, answer["error"]["code"]) == (403, "not_allowed")
    assert answer["error"]["message"] == "This picture is not allowed here. Choose another one."
    assert len(s3.list_object_versions(Bucket="uploads")["Versions"]) == 1


@pytest.mark.parametrize("removed", [False, True])
def test_without_a_picture_there_is_nothing_to_crop(
    s3: S3Client, crop: ModuleType, removed: bool
) -> None:
    if removed:
        sent(s3)
        s3.delete_object(Bucket="uploads", Key="ada")
    status, answer = ask(crop)
    assert (status, answer["error"]["code"]) == (404, "no_picture")
    assert "Send one" in answer["error"]["message"]


@pytest.mark.parametrize(
    "members",
    [
        {"crop": None},
        {"crop": [0, 0, 0]},
        {"crop": [0, 0, 1, 0.3]},
        {"crop": [0, 0, 1], "version": 1},
        {"kind": "portrait"},
        {"kind": ["banner"]},
    ],
)
def test_what_is_no_crop_is_refused(s3: S3Client, crop: ModuleType, members: Any) -> None:
    sent(s3)
    status, answer = ask(crop, **members)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Refusal("too_many_uploads", 90), 429, "too_many_uploads"),
        (Refusal("locked"), 403, "locked"),
    ],
)
def test_limits_and_locks_hold_as_for_uploads(
    s3: S3Client,
    crop: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Refusal,
    status: int,
    code: str,
) -> None:
    """For both kinds together: it is the user who is counted and locked."""
    limits = SimpleNamespace(look=lambda user: refusal if user == "ada" else None)
    monkeypatch.setattr(crop, "LIMITS", limits)
    for kind, key in (("avatar", "ada"), ("banner", "banners/ada")):
        sent(s3, key)
        answered, answer = ask(crop, kind=kind)
        assert (answered, answer["error"]["code"]) == (status, code)
    assert len(s3.list_object_versions(Bucket="uploads")["Versions"]) == 2


@pytest.mark.parametrize("sub", [None, "", "a/b", "ada.png", 1])
def test_a_route_without_the_authorizer_crops_nothing(crop: ModuleType, sub: Any) -> None:
    assert ask(crop, sub)[0] == 401


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (ReadTimeoutError(endpoint_url="https://s3"), 503, "unavailable"),
        (
            ClientError({"Error": {"Code": "SlowDown", "Message": ""}}, "CopyObject"),
            503,
            "unavailable",
        ),
        (ClientError({"Error": {"Code": "PreconditionFailed"}}, "CopyObject"), 409, "changed"),
    ],
)
def test_a_failing_s3_is_told_and_a_picture_that_came_meanwhile_stays(
    s3: S3Client,
    crop: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    status: int,
    code: str,
) -> None:
    etag = sent(s3)
    asked: list[dict[str, Any]] = []

    def fail(**request: Any) -> None:
        asked.append(request)
        raise failure

    client = SimpleNamespace(
        head_object=s3.head_object, get_object_tagging=s3.get_object_tagging, copy_object=fail
    )
    monkeypatch.setattr(crop, "_s3", client)
    answered, answer = ask(crop)
    assert (answered, answer["error"]["code"]) == (status, code)
    assert asked[0]["CopySourceIfMatch"] == asked[0]["IfMatch"] == f'"{etag}"'
