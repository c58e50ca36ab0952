"""What an avatar no longer shows is deleted, once it can't be about to be shown."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from sqs_batch import BatchFailedError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CONTEXT = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 30_000)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "ASSETS_BUCKET_NAME": "assets",
        "UPLOADS_BUCKET_NAME": "uploads",
        "AVATAR_VARIANTS": "512.jpg,128.webp",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(
            Bucket="assets", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        queue = boto3.client("sqs").create_queue(QueueName="uploads")
        monkeypatch.setenv("QUEUE_URL", queue["QueueUrl"])
        yield client


@pytest.fixture
def cleanup(s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The handler's module, for which everything that is there is old."""
    module = importlib.reload(importlib.import_module("cleanup.handler"))
    rules = importlib.import_module("cleanup.leftovers")
    monkeypatch.setattr(module.leftovers, "_resize", -2 * rules._MARGIN)
    dated(module)
    return module


def dated(module: ModuleType) -> None:
    """Let moto say the time, as S3 does with every answer."""

    def date(parsed: Any, **_: Any) -> None:
        parsed["ResponseMetadata"]["HTTPHeaders"]["date"] = format_datetime(datetime.now(UTC))

    module.leftovers._s3.meta.events.register("after-call.s3.HeadObject", date)


def store(s3: S3Client, name: str, *versions: str) -> None:
    for version in versions:
        for variant in ("512.jpg", "128.webp"):
            s3.put_object(Bucket="assets", Key=f"variants/{name}/{version}/{variant}", Body=b"")
        s3.put_object(Bucket="assets", Key=f"rejections/{name}/{version}.json", Body=b"")


def show(s3: S3Client, name: str, **metadata: str) -> None:
    s3.put_object(Bucket="assets", Key=f"avatars/{name}.jpg", Body=b"", Metadata=metadata)


def clean(cleanup: ModuleType, *names: str) -> list[str]:
    """Clean these up, and return the messages that come again."""
    records = [
        {
            "messageId": name,
            "body": json.dumps({"name": name}) if name else "no JSON",
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        for name in names
    ]
    answer = cleanup.handler({"Records": records}, CONTEXT)
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


def left(s3: S3Client) -> set[str]:
    found = s3.list_objects_v2(Bucket="assets").get("Contents", [])
    return {item["Key"] for item in found} - {"avatars/ada.jpg"}


def images(name: str, version: str) -> set[str]:
    return {f"variants/{name}/{version}/{variant}" for variant in ("512.jpg", "128.webp")}


def test_what_is_shown_stays_without_the_record_that_it_was_rejected_once(
    s3: S3Client, cleanup: ModuleType
) -> None:
    store(s3, "ada", "old", "older", "shown")
    s3.put_object(Bucket="assets", Key="rejections/ada/bad.json", Body=b"")
    show(s3, "ada", version="shown")
    assert clean(cleanup, "ada") == []
    assert left(s3) == images("ada", "shown") | {"rejections/ada/bad.json"}


def test_nothing_is_left_of_a_removed_avatar(s3: S3Client, cleanup: ModuleType) -> None:
    store(s3, "ada", "old", "older")
    s3.put_object(Bucket="assets", Key="rejections/ada/bad.json", Body=b"")
    show(s3, "ada", removed="2026-01-31T12:00:00+00:00")
    assert clean(cleanup, "ada") == []
    assert left(s3) == set()


def test_names_that_begin_alike_or_lie_below_are_others(s3: S3Client, cleanup: ModuleType) -> None:
    for name in ("ada", "adam", "ada/lovelace"):
        store(s3, name, "old")
    show(s3, "ada", removed="2026-01-31T12:00:00+00:00")
    clean(cleanup, "ada")
    assert {key.split("/old")[0] for key in left(s3)} == {
        f"{folder}/{name}"
        for folder in ("variants", "rejections")
        for name in ("adam", "ada/lovelace")
    }


def test_what_may_be_about_to_be_shown_is_left(s3: S3Client, cleanup: ModuleType) -> None:
    module = importlib.reload(cleanup)  # as it is
    dated(module)
    store(s3, "ada", "new")
    show(s3, "ada", version="shown")
    clean(module, "ada")
    assert left(s3) == images("ada", "new") | {"rejections/ada/new.json"}


@pytest.mark.parametrize("metadata", [None, {}], ids=["no avatar", "put there by hand"])
def test_where_nothing_says_what_is_to_go_nothing_goes(
    s3: S3Client, cleanup: ModuleType, metadata: dict[str, str] | None
) -> None:
    store(s3, "ada", "old")
    if metadata is not None:
        show(s3, "ada", **metadata)
    assert clean(cleanup, "ada") == []
    assert images("ada", "old") <= left(s3)


@pytest.mark.parametrize(
    ("source_key", "key"),
    [("people/ada%20l.png", "people/ada%20l.png"), ("base64:w6QrYg==", "%C3%A4%2Bb")],
)
def test_missing_images_of_what_is_shown_are_made_again(
    s3: S3Client, cleanup: ModuleType, source_key: str, key: str
) -> None:
    store(s3, "ada", "old")
    show(s3, "ada", version="shown", **{"source-key": source_key, "version-id": "v1"})
    clean(cleanup, "ada")
    sqs, url = boto3.client("sqs"), cleanup.env_settings.text("QUEUE_URL")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    (record,) = json.loads(message["Body"])["Records"]
    assert record["s3"] == {
        "bucket": {"name": "uploads"},
        "object": {"key": key, "versionId": "v1"},
    }
    assert record["eventName"].startswith("ObjectCreated:")


def test_only_the_failed_messages_of_a_batch_come_again(
    s3: S3Client, cleanup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(s3, "ada", "old")
    show(s3, "ada", version="shown")
    assert clean(cleanup, "", "ada") == [""]
    assert left(s3) == set()


def test_what_s3_refuses_to_delete_comes_again(
    s3: S3Client, cleanup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(s3, "ada", "old")
    show(s3, "ada", version="shown")
    refused: Any = {"Errors": [{"Key": "variants/ada/old/512.jpg", "Message": "no"}]}
    monkeypatch.setattr(cleanup.leftovers._s3, "delete_objects", lambda **_: refused)
    with pytest.raises(BatchFailedError, match="all 1 messages failed"):
        clean(cleanup, "ada")
    assert clean(cleanup, "ada", "nobody") == ["ada"]


def test_a_banner_is_whole_with_its_own_variants_and_the_avatar_keeps_its(
    s3: S3Client, cleanup: ModuleType
) -> None:
    store(s3, "ada", "a")
    show(s3, "ada", version="a", **{"version-id": "1", "source-key": "ada"})
    for version in ("old", "new"):
        for variant in ("1500x500.jpg", "600x200.webp"):
            key = f"variants/banners/ada/{version}/{variant}"
            s3.put_object(Bucket="assets", Key=key, Body=b"")
    shown = {"version-id": "2", "source-key": "banners/ada"}
    show(s3, "banners/ada", version="new", **shown)
    before = cleanup.leftovers.delete("banners/ada")
    assert (before["version"], before["made_again"]) == ("new", False)
    kept = {item["Key"] for item in s3.list_objects_v2(Bucket="assets")["Contents"]}
    assert {key for key in kept if "banners" in key} == {
        "avatars/banners/ada.jpg",
        "variants/banners/ada/new/1500x500.jpg",
        "variants/banners/ada/new/600x200.webp",
    }
    assert "variants/ada/a/512.jpg" in kept
    s3.delete_object(Bucket="assets", Key="variants/banners/ada/new/600x200.webp")
    assert cleanup.leftovers.delete("banners/ada")["made_again"]
