"""Processing everything again: S3 Batch Operations' tasks, and the same by the queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest

from resize import store
from tests.unit.resize.test_handler import (
    BLUE,
    CONTEXT,
    GREEN,
    RED,
    announced,
    colour_of,
    picture,
    removal,
    s3_event,
    sqs_event,
    upload,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Reprocess = Callable[..., str]


def tasks(*stored: dict[str, Any], schema: str = "1.0") -> dict[str, Any]:
    """Return what S3 Batch Operations sends, as AWS documents it."""
    bucket = {"s3BucketArn": "arn:aws:s3:::uploads"} if schema == "1.0" else {"s3Bucket": "uploads"}
    return {
        "invocationSchemaVersion": schema,
        "invocationId": "YXNkbGZqYWRmaiBhc2RmdW9hZHNmZGpmaGFzbGtkaGZza2RmaAo",
        "job": {"id": "f3cc4f60-61f6-4a2b-8a21-d07600c373ce"}
        | ({} if schema == "1.0" else {"userArguments": {}}),
        "tasks": [
            {
                "taskId": f"dGFza2lkZ29lc2hlcmUK-{number}",
                "s3Key": quote_plus(each["key"]),
                "s3VersionId": each.get("versionId"),
            }
            | bucket
            for number, each in enumerate(stored)
        ],
    }


@pytest.fixture(params=["1.0", "2.0", "queue"])
def again(request: pytest.FixtureRequest, resize: ModuleType, settled: None) -> Reprocess:
    """Process an upload again, in each way that this may come."""

    def reprocess(stored: dict[str, str]) -> str:
        if request.param != "queue":
            (result,) = resize.handler(tasks(stored, schema=request.param), CONTEXT)["results"]
            return str(result["resultCode"])
        event = s3_event(stored | {"key": quote_plus(stored["key"])}, sequencer=None)
        event["Records"][0]["eventName"] = "ObjectCreated:Reprocess"
        answer = resize.handler(sqs_event(json.dumps(event)), CONTEXT)
        return "TemporaryFailure" if answer["batchItemFailures"] else "Succeeded"

    return reprocess


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let seconds have passed since the uploads."""
    later = (datetime.now(UTC) + timedelta(minutes=1)).timestamp()
    monkeypatch.setattr(store.time, "time", lambda: later)


def variants(s3: S3Client, name: str) -> set[str]:
    found = s3.list_objects_v2(Bucket="assets", Prefix=f"variants/{name}/").get("Contents", [])
    return {item["Key"].rpartition("/")[2] for item in found}


def drop_variants(s3: S3Client) -> None:
    for item in s3.list_objects_v2(Bucket="assets", Prefix="variants/").get("Contents", []):
        s3.delete_object(Bucket="assets", Key=item["Key"])


@pytest.mark.parametrize("schema", ["1.0", "2.0"])
def test_each_task_is_answered_as_s3_batch_operations_wants_it(
    s3: S3Client, resize: ModuleType, settled: None, schema: str
) -> None:
    good = upload(s3, "people/ada lövelace+1.jpg", picture("red"))
    resize.handler(s3_event(good | {"key": quote_plus(good["key"])}), CONTEXT)
    drop_variants(s3)
    event = tasks(good, {"key": "gone", "versionId": None}, schema=schema)
    event["tasks"].append({"taskId": "broken"})
    answer = resize.handler(event, CONTEXT)
    assert answer.keys() == {
        "invocationSchemaVersion",
        "invocationId",
        "treatMissingKeysAs",
        "results",
    }
    assert answer["invocationSchemaVersion"] == schema
    assert answer["invocationId"] == event["invocationId"]
    assert answer["treatMissingKeysAs"] == "PermanentFailure"
    codes = {result["taskId"]: result["resultCode"] for result in answer["results"]}
    assert codes == {
        event["tasks"][0]["taskId"]: "Succeeded",
        event["tasks"][1]["taskId"]: "Succeeded",
        "broken": "PermanentFailure",
    }
    assert all(isinstance(result["resultString"], str) for result in answer["results"])
    assert variants(s3, "people/ada lövelace+1") == {"512.jpg", "128.webp"}


def test_a_task_that_fails_now_is_tried_again_and_the_others_are_done(
    s3: S3Client, resize: ModuleType, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = [upload(s3, name, picture("red")) for name in ("ada", "bob")]
    for each in stored:
        resize.handler(s3_event(each), CONTEXT)
    read = resize.store.read

    def reading(which: Any) -> Any:
        if which.key == "ada":
            raise OSError("S3 is slow")
        return read(which)

    monkeypatch.setattr(resize.store, "read", reading)
    first, second = resize.handler(tasks(*stored), CONTEXT)["results"]
    assert (first["resultCode"], first["resultString"]) == (
        "TemporaryFailure",
        "OSError: S3 is slow",
    )
    assert second["resultCode"] == "Succeeded"


def test_what_is_shown_is_made_again_and_nobody_is_notified_of_the_same_picture(
    s3: S3Client, resize: ModuleType, again: Reprocess
) -> None:
    stored = upload(s3, "ada", picture("red"))
    resize.handler(s3_event(stored), CONTEXT)
    before = s3.head_object(Bucket="assets", Key="avatars/ada.jpg")
    drop_variants(s3)
    assert again(stored) == "Succeeded"
    assert variants(s3, "ada") == {"512.jpg", "128.webp"}
    after = s3.head_object(Bucket="assets", Key="avatars/ada.jpg")
    assert after["LastModified"] == before["LastModified"]
    assert after["Metadata"] == before["Metadata"]
    assert announced() == []


def test_another_engines_picture_takes_the_place_of_the_old_one_and_keeps_its_order(
    s3: S3Client, resize: ModuleType, again: Reprocess
) -> None:
    stored = upload(s3, "ada", picture("red"))
    resize.handler(s3_event(stored, "05"), CONTEXT)
    old = s3.head_object(Bucket="assets", Key="avatars/ada.jpg")["Metadata"]
    s3.put_object(Bucket="assets", Key="avatars/ada.jpg", Body=picture("blue"), Metadata=old)
    again(stored)
    assert colour_of(s3, "avatars/ada.jpg") == RED
    assert s3.head_object(Bucket="assets", Key="avatars/ada.jpg")["Metadata"] == old


def test_where_the_newest_is_rejected_what_is_shown_is_made_again(
    s3: S3Client, resize: ModuleType, again: Reprocess
) -> None:
    shown = upload(s3, "ada", picture("red"))
    resize.handler(s3_event(shown, "01"), CONTEXT)
    broken = upload(s3, "ada", b"no picture")
    resize.handler(s3_event(broken, "02"), CONTEXT)
    drop_variants(s3)
    assert again(broken) == "Succeeded"
    assert variants(s3, "ada") == {"512.jpg", "128.webp"}
    assert colour_of(s3, "avatars/ada.jpg") == RED


def test_what_another_engine_can_read_is_shown(
    s3: S3Client, resize: ModuleType, again: Reprocess
) -> None:
    stored = upload(s3, "ada", picture("green"))
    reject(s3, stored, "damaged")
    again(stored)
    assert colour_of(s3, "avatars/ada.jpg") == GREEN


@pytest.mark.parametrize("code", ["locked", "too_many_uploads", "not_allowed"])
def test_what_was_refused_stays_so(
    s3: S3Client, resize: ModuleType, again: Reprocess, code: str
) -> None:
    stored = upload(s3, "ada", picture("green"))
    reject(s3, stored, code)
    assert again(stored) == "Succeeded"
    assert "Contents" not in s3.list_objects_v2(Bucket="assets")


def test_what_waits_or_was_never_processed_is_left_to_its_own_message(
    s3: S3Client, resize: ModuleType, again: Reprocess
) -> None:
    again(upload(s3, "ada", picture("green")))
    assert "Contents" not in s3.list_objects_v2(Bucket="assets")


def test_an_older_version_never_overtakes_a_newer_one_or_a_removal(
    s3: S3Client, resize: ModuleType, again: Reprocess
) -> None:
    old = upload(s3, "ada", picture("red"))
    new = upload(s3, "ada", picture("blue"))
    reject(s3, old, "damaged")
    resize.handler(s3_event(new, "02"), CONTEXT)
    again(old)
    assert colour_of(s3, "avatars/ada.jpg") == BLUE
    resize.handler(removal(s3, "ada", "03"), CONTEXT)
    for stored in (old, new):
        again(stored)
    assert "removed" in s3.head_object(Bucket="assets", Key="avatars/ada.jpg")["Metadata"]


def test_what_is_shown_stays_where_another_engine_can_not_read_it(
    s3: S3Client, resize: ModuleType, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = upload(s3, "ada", picture("red"))
    resize.handler(s3_event(stored), CONTEXT)

    def refuse(*_: Any) -> Any:
        raise resize.AvatarRejected("damaged")

    monkeypatch.setattr(resize, "render", refuse)
    (result,) = resize.handler(tasks(stored), CONTEXT)["results"]
    assert result["resultCode"] == "PermanentFailure"
    assert colour_of(s3, "avatars/ada.jpg") == RED
    tags = s3.get_object_tagging(Bucket="uploads", Key="ada")["TagSet"]
    assert tags == []


def reject(s3: S3Client, stored: dict[str, str], code: str) -> None:
    s3.put_object_tagging(
        Bucket="uploads",
        Key=stored["key"],
        VersionId=stored["versionId"],
        Tagging={"TagSet": [{"Key": "avatar-rejection", "Value": code}]},
    )
