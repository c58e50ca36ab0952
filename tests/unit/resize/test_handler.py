from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from blurhash_rs import blurhash_decode
from botocore.exceptions import ClientError
from PIL import Image

import avatar_variants
from env_settings import SettingsError
from json_log import JsonFormatter
from limits import Refusal
from resize import store
from resize.rejection import REJECTIONS
from sqs_batch import BatchFailedError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CONTEXT = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 30_000)


def picture(colour: str, size: tuple[int, int] = (600, 400)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "JPEG")
    return stream.getvalue()


def upload(s3: S3Client, key: str, body: bytes) -> dict[str, str]:
    stored = s3.put_object(Bucket="uploads", Key=key, Body=body)
    return {"key": key, "versionId": stored["VersionId"], "eTag": stored["ETag"].strip('"')}


def code_of(s3: S3Client, name: str, stored: dict[str, str]) -> str:
    """Return why an upload was rejected, as its user is told."""
    key = f"rejections/{name}/{stored['eTag']}.json"
    return str(json.loads(s3.get_object(Bucket="assets", Key=key)["Body"].read())["code"])


def s3_event(stored: dict[str, str], sequencer: str | None = "01") -> dict[str, Any]:
    described = dict(stored) | ({"sequencer": sequencer} if sequencer else {})
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "uploads"}, "object": described},
            }
        ]
    }


def sqs_event(*bodies: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventSource": "aws:sqs",
                "messageId": f"message-{index}",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1"},
            }
            for index, body in enumerate(bodies)
        ]
    }


def colour_of(s3: S3Client, key: str) -> tuple[int, ...]:
    body = s3.get_object(Bucket="assets", Key=key)["Body"].read()
    return rounded(Image.open(io.BytesIO(body)).convert("RGB").getpixel((5, 5)))


def rounded(pixel: object) -> tuple[int, ...]:
    assert isinstance(pixel, tuple)
    return tuple(round(channel / 255) for channel in pixel)


def removal(s3: S3Client, key: str, sequencer: str) -> dict[str, Any]:
    """Put a delete marker, and return S3's event of it."""
    s3.delete_object(Bucket="uploads", Key=key)
    markers = s3.list_object_versions(Bucket="uploads", Prefix=key)["DeleteMarkers"]
    event = s3_event({"key": key, "versionId": markers[0]["VersionId"], "eTag": ""}, sequencer)
    event["Records"][0]["eventName"] = "ObjectRemoved:DeleteMarkerCreated"
    return event


def announced() -> list[str]:
    """Return the names that were announced for cleanup."""
    sqs, url = boto3.client("sqs"), os.environ["CLEANUP_QUEUE_URL"]
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [json.loads(message["Body"])["name"] for message in answer.get("Messages", [])]


RED, GREEN, BLUE = (1, 0, 0), (0, 1, 0), (0, 0, 1)


def test_sqs_and_direct_events_make_avatar_and_variants(s3: S3Client, resize: ModuleType) -> None:
    first, second = upload(s3, "a/ada.jpg", picture("red")), upload(s3, "bob", picture("blue"))
    assert resize.handler(sqs_event(json.dumps(s3_event(first))), CONTEXT) == {
        "batchItemFailures": []
    }
    assert resize.handler(s3_event(second), CONTEXT) is None
    keys = {item["Key"] for item in s3.list_objects_v2(Bucket="assets")["Contents"]}
    assert keys == {
        f"variants/{name}/{version}/{variant}"
        for name, version in (("a/ada", first["eTag"]), ("bob", second["eTag"]))
        for variant in ("512.jpg", "128.webp")
    } | {"avatars/a/ada.jpg", "avatars/bob.jpg"}
    avatar = s3.head_object(Bucket="assets", Key="avatars/a/ada.jpg")
    assert avatar["Metadata"]["version"] == first["eTag"]
    assert avatar["ContentType"] == "image/jpeg"


def test_two_crops_of_the_same_bytes_are_two_versions(s3: S3Client, resize: ModuleType) -> None:
    halves = Image.new("RGB", (400, 400), "red")
    halves.paste("blue", (200, 0, 400, 400))
    stream = io.BytesIO()
    halves.save(stream, "PNG")
    versions = []
    for number, crop in enumerate(("0,0,0.5", "0.5,0,0.5")):
        stored = s3.put_object(
            Bucket="uploads", Key="ada", Body=stream.getvalue(), Metadata={"crop": crop}
        )
        event = s3_event({"key": "ada", "versionId": stored["VersionId"]}, f"0{number}")
        resize.handler(event, CONTEXT)
        shown = s3.head_object(Bucket="assets", Key="avatars/ada.jpg")["Metadata"]
        versions.append(shown["version"])
        assert shown["version"].startswith(stored["ETag"].strip('"') + "-")
        assert shown["version-id"] == stored["VersionId"]
    assert versions[0] != versions[1]
    left, right = (f"variants/ada/{version}/512.jpg" for version in versions)
    assert (colour_of(s3, left), colour_of(s3, right)) == (RED, BLUE)
    assert colour_of(s3, "avatars/ada.jpg") == BLUE


def test_the_avatar_names_what_stands_for_it_and_a_removed_one_nothing(
    s3: S3Client, resize: ModuleType
) -> None:
    seen = []
    for number, colour in enumerate(("red", "blue")):
        resize.handler(s3_event(upload(s3, "ada", picture(colour)), f"0{number}"), CONTEXT)
        found = s3.head_object(Bucket="assets", Key="avatars/ada.jpg")["Metadata"]
        seen.append(rounded(blurhash_decode(found["placeholder"], 1, 1).getpixel((0, 0))))
    assert seen == [RED, BLUE]
    resize.handler(removal(s3, "ada", "02"), CONTEXT)
    assert "placeholder" not in s3.head_object(Bucket="assets", Key="avatars/ada.jpg")["Metadata"]


def test_a_rejected_crop_is_recorded_under_its_version(s3: S3Client, resize: ModuleType) -> None:
    stored = s3.put_object(
        Bucket="uploads", Key="ada", Body=b"no picture", Metadata={"crop": "0,0,1"}
    )
    resize.handler(s3_event({"key": "ada", "versionId": stored["VersionId"]}), CONTEXT)
    (record,) = s3.list_objects_v2(Bucket="assets", Prefix="rejections/")["Contents"]
    version = record["Key"].removeprefix("rejections/ada/").removesuffix(".json")
    assert version == stored["ETag"].strip('"') + "-0000000000f4240"


def test_only_the_failed_messages_of_a_batch_come_again(s3: S3Client, resize: ModuleType) -> None:
    logged = io.StringIO()
    for handler in resize.log.handlers:
        if isinstance(handler.formatter, JsonFormatter):
            handler.setStream(logged)
    good = json.dumps(s3_event(upload(s3, "good", picture("red"))))
    test_event = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})
    lost_bucket = json.dumps(s3_event({"key": "other"})).replace("uploads", "elsewhere")
    answer = resize.handler(sqs_event(test_event, "no JSON", good, lost_bucket), CONTEXT)
    assert [item["itemIdentifier"] for item in answer["batchItemFailures"]] == [
        "message-1",
        "message-3",
    ]
    assert colour_of(s3, "avatars/good.jpg") == RED
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    failed = [line for line in lines if line["message"] == "message failed"]
    assert [line.get("key") for line in failed] == [None, "other"]
    reasons = [line["reason"] for line in failed]
    assert "Expecting value" in reasons[0]
    assert "(NoSuchBucket) when calling" in reasons[1]
    assert {line["request_id"] for line in lines} == {"request-1"}


@pytest.mark.parametrize("bodies", [["no JSON"], ["no JSON", "neither", "nor this"]])
def test_a_batch_that_fails_whole_is_an_error_of_the_function(
    resize: ModuleType, bodies: list[str]
) -> None:
    """Lambda counts none of the messages that are only named."""
    with pytest.raises(BatchFailedError, match=rf"all {len(bodies)} messages .* Expecting value"):
        resize.handler(sqs_event(*bodies), CONTEXT)


@pytest.mark.parametrize("hours", [-24, 24])
def test_the_order_of_uploads_does_not_depend_on_the_functions_clock(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    class WrongClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=hours)

    uploads = [upload(s3, "ada", picture(colour)) for colour in ("red", "green", "blue")]
    resize.handler(s3_event(uploads[1], "02"), CONTEXT)
    monkeypatch.setattr(resize, "datetime", WrongClock)
    resize.handler(s3_event(uploads[0], "01"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == GREEN
    resize.handler(s3_event(uploads[2], "03"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == BLUE


def test_the_newest_upload_wins_in_whatever_order_events_come(
    s3: S3Client, resize: ModuleType
) -> None:
    old, new = upload(s3, "ada", picture("red")), upload(s3, "ada", picture("blue"))
    resize.handler(s3_event(new, "0B"), CONTEXT)
    resize.handler(s3_event(old, "0A"), CONTEXT)
    resize.handler(s3_event(new, "0B"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == BLUE


def test_messages_without_order_make_the_newest_version_the_avatar(
    s3: S3Client, resize: ModuleType
) -> None:
    old, new = upload(s3, "ada", picture("red")), upload(s3, "ada", picture("blue"))
    resize.handler(s3_event({"key": "ada"}, None), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == BLUE
    resize.handler(s3_event(old, "0A"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == BLUE
    newest = upload(s3, "ada", picture("lime"))
    resize.handler(s3_event(newest, "0C"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == GREEN
    resize.handler(s3_event(new, "0B"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == GREEN


def test_a_message_without_order_waits_until_uploads_can_be_told_apart(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three uploads within a second, S3 says only which is the newest, here a rejected one."""
    upload(s3, "ada", picture("red"))
    later: list[dict[str, str]] = []

    def meanwhile(seconds: float) -> None:
        later.extend(upload(s3, "ada", body) for body in (picture("blue"), b"no picture"))
        time.sleep(seconds)

    monkeypatch.setattr(store, "time", SimpleNamespace(time=time.time, sleep=meanwhile))
    resize.handler(s3_event({"key": "ada"}, None), CONTEXT)
    good, bad = later[:2]
    resize.handler(s3_event(bad, "0C"), CONTEXT)
    resize.handler(s3_event(good, "0B"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == BLUE


def test_a_pointer_written_meanwhile_is_not_overwritten_by_an_older_upload(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = upload(s3, "ada", picture("red")), upload(s3, "ada", picture("blue"))
    render = resize.render

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(resize, "render", render)
        resize.handler(s3_event(new, "0B"), CONTEXT)
        return render(*arguments)

    monkeypatch.setattr(resize, "render", overtaken)
    resize.handler(s3_event(old, "0A"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == BLUE


def test_the_same_picture_sent_again_is_not_overwritten_by_one_sent_in_between(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    resize.handler(s3_event(upload(s3, "ada", picture("red")), "0A"), CONTEXT)
    between, again = upload(s3, "ada", picture("blue")), upload(s3, "ada", picture("red"))
    render = resize.render

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(resize, "render", render)
        resize.handler(s3_event(again, "0C"), CONTEXT)
        return render(*arguments)

    monkeypatch.setattr(resize, "render", overtaken)
    resize.handler(s3_event(between, "0B"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == RED


def test_of_two_keys_in_the_same_second_the_one_that_is_shown_stays(
    s3: S3Client, resize: ModuleType
) -> None:
    first, second = upload(s3, "ada", picture("red")), upload(s3, "ada.png", picture("blue"))
    resize.handler(s3_event(first, "0A"), CONTEXT)
    shown = s3.get_object(Bucket="assets", Key="avatars/ada.jpg")
    same_second = s3.head_object(Bucket="uploads", Key="ada.png")["LastModified"].isoformat()
    s3.put_object(
        Bucket="assets",
        Key="avatars/ada.jpg",
        Body=shown["Body"].read(),
        Metadata=shown["Metadata"] | {"uploaded": same_second},
    )
    for stored, sequencer in ((second, "0B"), (first, "0A"), (second, "0B")):
        resize.handler(s3_event(stored, sequencer), CONTEXT)
        assert colour_of(s3, "avatars/ada.jpg") == RED


def test_a_good_upload_is_not_lost_between_a_reconciled_and_a_rejected_one(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(s3, "ada", picture("red"))
    resize.handler(s3_event({"key": "ada"}, None), CONTEXT)
    avatar = s3.get_object(Bucket="assets", Key="avatars/ada.jpg")
    earlier = avatar["Metadata"] | {"uploaded": "2026-01-01T00:00:00+00:00"}
    s3.put_object(
        Bucket="assets", Key="avatars/ada.jpg", Body=avatar["Body"].read(), Metadata=earlier
    )
    good, bad = upload(s3, "ada", picture("blue")), upload(s3, "ada", b"no picture")
    resize.handler(s3_event(bad, "0C"), CONTEXT)
    resize.handler(s3_event(good, "0B"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == BLUE


def test_a_rejection_is_recorded_marked_and_final(s3: S3Client, resize: ModuleType) -> None:
    good, bad = upload(s3, "ada", picture("red")), upload(s3, "ada", b"no picture")
    resize.handler(s3_event(good, "0A"), CONTEXT)
    answer = resize.handler(sqs_event(json.dumps(s3_event(bad, "0B"))), CONTEXT)
    assert answer == {"batchItemFailures": []}
    record = json.loads(
        s3.get_object(Bucket="assets", Key=f"rejections/ada/{bad['eTag']}.json")["Body"].read()
    )
    assert record["code"] in REJECTIONS
    assert record["message"]
    tags = s3.get_object_tagging(Bucket="uploads", Key="ada", VersionId=bad["versionId"])
    assert tags["TagSet"] == [{"Key": "avatar-rejection", "Value": record["code"]}]
    assert colour_of(s3, "avatars/ada.jpg") == RED


def test_a_good_upload_before_a_rejected_one_still_becomes_the_avatar(
    s3: S3Client, resize: ModuleType
) -> None:
    good, bad = upload(s3, "ada", picture("red")), upload(s3, "ada", b"no picture")
    resize.handler(s3_event(bad, "0B"), CONTEXT)
    resize.handler(s3_event(good, "0A"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == RED


def test_too_many_bytes_are_rejected_unread(s3: S3Client, resize: ModuleType) -> None:
    large = upload(s3, "ada", b"\0" * 100_001)
    resize.handler(s3_event(large), CONTEXT)
    record = s3.get_object(Bucket="assets", Key=f"rejections/ada/{large['eTag']}.json")
    assert json.loads(record["Body"].read())["code"] == "too_many_bytes"


def test_folders_and_deleted_uploads_are_done_without_a_trace(
    s3: S3Client, resize: ModuleType
) -> None:
    gone = upload(s3, "ada", picture("red"))
    s3.delete_object(Bucket="uploads", Key="ada", VersionId=gone["versionId"])
    resize.handler(s3_event(gone), CONTEXT)
    resize.handler(s3_event(upload(s3, "folder/", b"")), CONTEXT)
    assert "Contents" not in s3.list_objects_v2(Bucket="assets")


@pytest.mark.parametrize(
    ("code", "minutes", "again"),
    [
        ("NoSuchVersion", 0, False),
        ("NoSuchVersion", 16, False),
        ("NoSuchKey", 0, True),
        ("NoSuchKey", 14, True),
        ("404", 14, True),
        ("NoSuchKey", 16, False),
        ("NoSuchKey", None, False),  # reconciled: run it again
    ],
)
def test_a_new_upload_whose_key_is_not_found_comes_again(
    s3: S3Client,
    resize: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    minutes: int | None,
    again: bool,
) -> None:
    """S3 may not find keys for 15 minutes after versioning was enabled."""

    def missing(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": code}}, "GetObject")

    event = s3_event(upload(s3, "ada", picture("red")))
    if minutes is not None:
        sent = datetime.now(UTC) - timedelta(minutes=minutes)
        event["Records"][0]["eventTime"] = sent.isoformat()
    monkeypatch.setattr(resize.store._s3, "get_object", missing)
    message = sqs_event(json.dumps(event))
    with pytest.raises(BatchFailedError) if again else contextlib.nullcontext():
        resize.handler(message, CONTEXT)


def test_the_avatar_is_made_whatever_the_variants(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVATAR_VARIANTS", "1024.webp,64.webp")
    importlib.reload(resize)
    stored = upload(s3, "ada", picture("red"))
    resize.handler(s3_event(stored), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == RED
    keys = {item["Key"] for item in s3.list_objects_v2(Bucket="assets", Prefix="v")["Contents"]}
    folder = f"variants/ada/{stored['eTag']}"
    assert keys == {f"{folder}/1024.webp", f"{folder}/64.webp"}
    for size in (1024, 64):
        assert colour_of(s3, f"{folder}/{size}.webp") == RED


def test_the_old_settings_are_taken_for_one_version_with_a_warning(
    s3: S3Client,
    resize: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each size in each format, and always 512.jpg."""
    monkeypatch.delenv("AVATAR_VARIANTS")
    monkeypatch.setenv("AVATAR_SIZES", "64")
    monkeypatch.setenv("AVATAR_FORMATS", "webp")
    for handler in resize.log.handlers:
        resize.log.removeHandler(handler)
    importlib.reload(resize)
    line = json.loads(capsys.readouterr().out)
    assert line["level"] == "WARNING"
    assert line["AVATAR_VARIANTS"] == "512.jpg,512.webp,64.jpg,64.webp"
    stored = upload(s3, "ada", picture("red"))
    resize.handler(s3_event(stored), CONTEXT)
    assert colour_of(s3, f"variants/ada/{stored['eTag']}/64.jpg") == RED


def test_the_avatar_stays_if_a_variant_could_not_be_written(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = resize.store._s3
    put = client.put_object

    def failing(**arguments: Any) -> Any:
        if arguments["Key"].endswith("128.webp"):
            raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")
        return put(**arguments)

    monkeypatch.setattr(client, "put_object", failing)
    message = sqs_event(json.dumps(s3_event(upload(s3, "ada", picture("red")))))
    with pytest.raises(BatchFailedError):
        resize.handler(message, CONTEXT)
    assert "Contents" not in s3.list_objects_v2(Bucket="assets", Prefix="avatars/")
    monkeypatch.undo()
    assert not resize.handler(message, CONTEXT)["batchItemFailures"]
    assert colour_of(s3, "avatars/ada.jpg") == RED


def test_what_does_not_depend_on_another_is_asked_at_the_same_time(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The original and the avatar; the variants, the last made while the first is written."""
    client = resize.store._s3
    together = {name: threading.Barrier(2, timeout=10) for name in ("read", "write")}

    def meeting(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            if not arguments["Key"].startswith("avatars/") or name == "read":
                together[name].wait()
            return operation(**arguments)

        return call

    monkeypatch.setattr(client, "get_object", meeting("read", client.get_object))
    monkeypatch.setattr(client, "head_object", meeting("read", client.head_object))
    monkeypatch.setattr(client, "put_object", meeting("write", client.put_object))
    resize.handler(s3_event(upload(s3, "ada", picture("red"))), CONTEXT)
    monkeypatch.undo()
    assert colour_of(s3, "avatars/ada.jpg") == RED


def test_a_message_is_not_begun_that_a_slow_s3_could_keep_beyond_the_timeout(
    s3: S3Client, resize: ModuleType
) -> None:
    """The first is always begun, or nothing ever were."""
    left = iter([11_000, 11_999])
    context = SimpleNamespace(
        aws_request_id="request-1", get_remaining_time_in_millis=lambda: next(left)
    )
    bodies = [json.dumps(s3_event(upload(s3, name, picture("red")))) for name in ("a", "b", "c")]
    answer = resize.handler(sqs_event(*bodies), context)
    assert [item["itemIdentifier"] for item in answer["batchItemFailures"]] == [
        "message-1",
        "message-2",
    ]
    assert colour_of(s3, "avatars/a.jpg") == RED


def test_the_avatar_begins_as_jpeg_readers_expect(s3: S3Client, resize: ModuleType) -> None:
    """Some look for JFIF at the sixth byte, or for no other marker than E0, E1 and DB."""
    resize.handler(s3_event(upload(s3, "ada", picture("red"))), CONTEXT)
    avatar = s3.get_object(Bucket="assets", Key="avatars/ada.jpg")["Body"].read()
    assert avatar[:4] == b"\xff\xd8\xff\xe0"
    assert avatar[6:10] == b"JFIF"
    assert len(Image.open(io.BytesIO(avatar)).info["comment"]) == 32


@pytest.mark.parametrize("letters", ["ä" * 460, "🦊" * 230, " " * 900])
def test_a_key_of_any_length_fits_the_avatars_metadata(
    s3: S3Client, resize: ModuleType, letters: str
) -> None:
    """S3 takes 2 KB; moto doesn't mind."""
    key = f"{letters}/ada"
    old, new = upload(s3, key, picture("red")), upload(s3, key, picture("blue"))
    resize.handler(s3_event(new, "0" * 30 + "B"), CONTEXT)
    resize.handler(s3_event(old, "0" * 30 + "A"), CONTEXT)
    assert colour_of(s3, f"avatars/{key}.jpg") == BLUE
    metadata = s3.head_object(Bucket="assets", Key=f"avatars/{key}.jpg")["Metadata"]
    assert sum(len(name) + len(value) for name, value in metadata.items()) < 2048


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ASSETS_BUCKET_NAME", ""),
        *(
            ("AVATAR_VARIANTS", value)
            for value in ("512", "512.gif", "8.jpg", "4096.jpg", "0512.jpg", "512.jpg,512.jpg", ",")
        ),
        ("MAX_UPLOAD_BYTES", "10MB"),
        ("MAX_UPLOAD_BYTES", "33554433"),
        ("MAX_UPLOAD_BYTES", "0"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(
    resize: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        importlib.reload(resize)


def test_no_upload_becomes_the_default_avatar(resize: ModuleType, s3: S3Client) -> None:
    s3.put_object(Bucket="assets", Key="avatars/_default.jpg", Body=b"default")
    stored = upload(s3, "_default.jpg", picture("red"))
    resize.handler(s3_event(stored), CONTEXT)
    shown = s3.get_object(Bucket="assets", Key="avatars/_default.jpg")
    assert shown["Body"].read() == b"default"
    record = s3.get_object(Bucket="assets", Key=f"rejections/_default/{stored['eTag']}.json")
    assert json.loads(record["Body"].read())["code"] == "reserved_name"


@pytest.mark.parametrize(
    ("length", "recorded"), [(961, True), (975, True), (976, False), (1024, False)]
)
def test_a_name_too_long_for_its_variants_is_rejected(
    resize: ModuleType, s3: S3Client, length: int, recorded: bool
) -> None:
    key = "ä" * (length // 2) + "a" * (length % 2)
    stored = upload(s3, key, picture("red"))
    answer = resize.handler(sqs_event(json.dumps(s3_event(stored))), CONTEXT)
    assert answer == {"batchItemFailures": []}
    tags = s3.get_object_tagging(Bucket="uploads", Key=key)["TagSet"]
    assert tags == [{"Key": store.REJECTION_TAG, "Value": "name_too_long"}]
    made = s3.list_objects_v2(Bucket="assets").get("Contents", [])
    record = f"rejections/{key}/{stored['eTag']}.json"
    assert [item["Key"] for item in made] == ([record] if recorded else [])


@pytest.mark.parametrize(("seconds", "shown"), [(-1, True), (0, False), (1, False)])
@pytest.mark.parametrize("sequencer", ["FF", None])
def test_after_a_removal_only_a_later_upload_is_shown(
    resize: ModuleType,
    s3: S3Client,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    shown: bool,
    sequencer: str | None,
) -> None:
    """The removal counts as later than all uploads of its second."""
    monkeypatch.setattr(store, "_SETTLED_SECONDS", 0)
    stored = upload(s3, "people/ada.png", picture("red"))
    uploaded = s3.head_object(Bucket="uploads", Key="people/ada.png")["LastModified"]
    removed = (uploaded + timedelta(seconds=seconds)).isoformat()
    avatar = {"Bucket": "assets", "Key": "avatars/people/ada.jpg"}
    s3.put_object(**avatar, Body=b"default", Metadata={"removed": removed, "uploaded": removed})
    resize.handler(s3_event(stored, sequencer), CONTEXT)
    metadata = s3.head_object(**avatar)["Metadata"]
    assert ("removed" not in metadata) == shown
    assert metadata.get("version") == (stored["eTag"] if shown else None)


# Removals by users


def test_a_removed_avatar_shows_the_default_picture_and_says_when(
    s3: S3Client, resize: ModuleType
) -> None:
    s3.put_object(Bucket="assets", Key="avatars/_default.jpg", Body=picture("blue"))
    resize.handler(s3_event(upload(s3, "ada", picture("red")), "01"), CONTEXT)
    resize.handler(removal(s3, "ada", "02"), CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == BLUE
    metadata = s3.head_object(Bucket="assets", Key="avatars/ada.jpg")["Metadata"]
    assert metadata["removed"] == metadata["uploaded"]
    assert "version" not in metadata
    tags = s3.get_object_tagging(Bucket="assets", Key="avatars/ada.jpg")["TagSet"]
    assert tags == [{"Key": "avatar-removed", "Value": "true"}]
    assert announced() == ["ada"]


@pytest.mark.parametrize("first", [True, False], ids=["never shown", "shown before"])
def test_an_older_upload_that_comes_late_does_not_bring_a_removed_avatar_back(
    s3: S3Client, resize: ModuleType, first: bool
) -> None:
    if not first:
        resize.handler(s3_event(upload(s3, "ada", picture("red")), "01"), CONTEXT)
    late = s3_event(upload(s3, "ada", picture("blue")), "02")
    resize.handler(removal(s3, "ada", "03"), CONTEXT)
    resize.handler(late, CONTEXT)
    metadata = s3.head_object(Bucket="assets", Key="avatars/ada.jpg")["Metadata"]
    assert "removed" in metadata


def test_an_upload_after_a_removal_is_shown_whichever_comes_first(
    s3: S3Client, resize: ModuleType
) -> None:
    upload(s3, "ada", picture("blue"))
    gone = removal(s3, "ada", "01")
    resize.handler(s3_event(upload(s3, "ada", picture("red")), "02"), CONTEXT)
    resize.handler(gone, CONTEXT)
    assert colour_of(s3, "avatars/ada.jpg") == RED


def test_the_default_avatar_can_not_be_removed(s3: S3Client, resize: ModuleType) -> None:
    s3.put_object(Bucket="assets", Key="avatars/_default.jpg", Body=picture("blue"))
    upload(s3, "_default.jpg", picture("red"))
    resize.handler(removal(s3, "_default.jpg", "01"), CONTEXT)
    metadata = s3.head_object(Bucket="assets", Key="avatars/_default.jpg")["Metadata"]
    assert metadata == {}


def test_what_was_replaced_is_announced_and_a_first_avatar_is_not(
    s3: S3Client, resize: ModuleType
) -> None:
    first = s3_event(upload(s3, "ada", picture("red")), "01")
    resize.handler(first, CONTEXT)
    assert announced() == []
    resize.handler(s3_event(upload(s3, "ada", picture("blue")), "02"), CONTEXT)
    assert announced() == ["ada"]
    resize.handler(first, CONTEXT)  # once more: the worker before may have died too early
    assert announced() == ["ada", "ada"]


def test_a_users_avatar_and_banner_are_apart(s3: S3Client, resize: ModuleType) -> None:
    s3.put_object(Bucket="assets", Key="avatars/_default.jpg", Body=b"the avatar of all")
    s3.put_object(Bucket="assets", Key="banners/banner.jpg", Body=b"the banner of all")
    avatar = upload(s3, "ada", picture("red"))
    banner = upload(s3, "banners/ada", picture("blue", (900, 600)))
    # later by its sequencer; but of another key
    resize.handler(s3_event(banner, "02"), CONTEXT)
    resize.handler(s3_event(avatar, "01"), CONTEXT)
    keys = {item["Key"] for item in s3.list_objects_v2(Bucket="assets")["Contents"]}
    of_banner = f"variants/banners/ada/{banner['eTag']}"
    of_avatar = f"variants/ada/{avatar['eTag']}"
    assert keys - {"avatars/_default.jpg", "banners/banner.jpg"} == {
        "avatars/ada.jpg",
        "avatars/banners/ada.jpg",
        f"{of_avatar}/512.jpg",
        f"{of_avatar}/128.webp",
        f"{of_banner}/1500x500.jpg",
        f"{of_banner}/600x200.webp",
    }
    stable = s3.get_object(Bucket="assets", Key="avatars/banners/ada.jpg")
    assert Image.open(io.BytesIO(stable["Body"].read())).size == (1500, 500)
    assert stable["Metadata"]["version"] == banner["eTag"]
    resize.handler(removal(s3, "banners/ada", "03"), CONTEXT)
    for name, shown in (("banners/ada", b"banner"), ("ada", b"")):
        found = s3.get_object(Bucket="assets", Key=f"avatars/{name}.jpg")
        assert ("removed" in found["Metadata"]) == bool(shown)
        assert not shown or b"nner of all" in found["Body"].read()
    # what was sent before the removal does not bring it back
    resize.handler(s3_event(banner, "02"), CONTEXT)
    found = s3.head_object(Bucket="assets", Key="avatars/banners/ada.jpg")
    assert "removed" in found["Metadata"]


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (None, None),
        (Refusal("too_many_uploads", 90), "too_many_uploads"),
        (Refusal("locked"), "locked"),
    ],
    ids=["passes", "too many", "locked"],
)
def test_a_users_limits_and_lock_hold_for_both_kinds_together(
    s3: S3Client,
    resize: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Refusal | None,
    code: str | None,
) -> None:
    counted: list[str] = []

    def count(user: str, _upload: str, _at: float) -> Refusal | None:
        counted.append(user)
        return refusal

    monkeypatch.setattr(resize, "limits", SimpleNamespace(count=count))
    for key in ("ada", "banners/ada", "people/ada"):
        stored = upload(s3, key, picture("red"))
        event = s3_event(stored)
        event["Records"][0]["eventTime"] = "2026-01-31T12:00:00.000Z"
        resize.handler(event, CONTEXT)
        if code is None or key == "people/ada":
            s3.head_object(Bucket="assets", Key=f"avatars/{key}.jpg")
        else:
            assert code_of(s3, key, stored) == code
    assert counted == ["ada", "ada"], "an operator's file is not counted"


def test_what_is_queued_again_of_a_locked_user_is_shown_only_if_it_was(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = upload(s3, "ada", picture("red"))
    resize.handler(s3_event(shown), CONTEXT)
    sent = upload(s3, "ada", picture("blue"))
    refused = SimpleNamespace(look_for_lock=lambda user: Refusal("locked"))
    monkeypatch.setattr(resize, "limits", refused)
    variant = s3.list_objects_v2(Bucket="assets", Prefix="variants/ada/")["Contents"][0]["Key"]
    s3.delete_object(Bucket="assets", Key=variant)
    for stored in (sent, shown):  # what a reconciliation of everything queues
        resize.handler(s3_event(stored, None), CONTEXT)
    assert (
        s3.head_object(Bucket="assets", Key="avatars/ada.jpg")["Metadata"]["version-id"]
        == (shown["versionId"])
    )
    s3.head_object(Bucket="assets", Key=variant)
    assert code_of(s3, "ada", sent) == "locked"


def test_cloudwatch_derives_metrics_from_the_line_that_ends_an_upload(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held to the Embedded Metric Format: each name is a field, each dimension's value a text."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "resize")
    logged = io.StringIO()
    for handler in resize.log.handlers:
        if isinstance(handler.formatter, JsonFormatter):
            monkeypatch.setattr(handler, "stream", logged)
    sent = (datetime.now(UTC) - timedelta(seconds=2)).isoformat()
    for key, body in (("good", picture("red")), ("bad", b"no picture"), ("again", picture("red"))):
        event = s3_event(upload(s3, key, body))
        if key != "again":
            event["Records"][0]["eventTime"] = sent
        resize.handler(event, CONTEXT)
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    good, bad, again = (line for line in lines if "outcome" in line)
    for line in (good, bad, again):
        assert abs(line["_aws"]["Timestamp"] - time.time() * 1000) < 60_000
        for directive in line["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "AvatarOps"
            for metric in directive["Metrics"]:
                assert metric["Unit"] == "Milliseconds"
                assert isinstance(line[metric["Name"]], int)
            for dimensions in directive["Dimensions"]:
                assert all(isinstance(line[name], str) for name in dimensions)
    assert (good["outcome"], bad["outcome"], bad["code"]) == (
        "written",
        "rejected",
        "unsupported_format",
    )
    assert 2000 <= good["since_upload_ms"] < 60_000

    def counted(line: dict[str, Any]) -> list[tuple[str, list[str]]]:
        return [
            (metric["Name"], dimensions)
            for directive in line["_aws"]["CloudWatchMetrics"]
            for metric in directive["Metrics"]
            for dimensions in directive["Dimensions"]
        ]

    by = ["function", "outcome"]
    assert counted(good) == [("ms", by), ("since_upload_ms", by)]
    assert counted(bad) == [("ms", by), ("since_upload_ms", by), ("ms", [*by, "code"])]
    assert counted(again) == [("ms", by)], "nobody knows when it was sent"


def test_a_file_that_is_deleted_while_it_is_rejected_does_not_come_again(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = upload(s3, "ada", b"no picture")
    record = resize.store.write_record

    def deleted_then(*arguments: Any) -> None:
        s3.delete_object(Bucket="uploads", Key="ada", VersionId=stored["versionId"])
        record(*arguments)

    monkeypatch.setattr(resize.store, "write_record", deleted_then)
    answer = resize.handler(sqs_event(json.dumps(s3_event(stored))), CONTEXT)
    assert answer == {"batchItemFailures": []}
    assert code_of(s3, "ada", stored) == "unsupported_format"


def test_each_upload_of_a_flood_is_marked(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would be taken for one whose event was lost."""
    flood = Refusal("too_many_uploads", is_flood=True)
    monkeypatch.setattr(resize, "limits", SimpleNamespace(count=lambda *_: flood))
    stored = upload(s3, "ada", picture("red"))
    event = s3_event(stored)
    event["Records"][0]["eventTime"] = "2026-01-31T12:00:00.000Z"
    resize.handler(event, CONTEXT)
    tags = s3.get_object_tagging(Bucket="uploads", Key="ada", VersionId=stored["versionId"])
    assert tags["TagSet"] == [{"Key": "avatar-rejection", "Value": "too_many_uploads"}]
    assert "Contents" not in s3.list_objects_v2(Bucket="assets")


def test_a_banner_is_rejected_in_its_own_place(s3: S3Client, resize: ModuleType) -> None:
    stored = upload(s3, "banners/ada", b"no picture")
    resize.handler(s3_event(stored), CONTEXT)
    listed = s3.list_objects_v2(Bucket="assets")["Contents"]
    assert [item["Key"] for item in listed] == [f"rejections/banners/ada/{stored['eTag']}.json"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1500.jpg",
        "1500x501.jpg",
        "1500x500.gif",
        "3003x1001.jpg",
        "45x15.jpg",
        "600x200.jpg,",
        "600x200.jpg,600x200.jpg",
        "0600x200.jpg",
    ],
)
def test_a_wrong_setting_of_banners_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("BANNER_VARIANTS", value)
    if not value:  # as if it were not set
        assert [*map(str, avatar_variants.banners_from_environment())] == [
            "1500x500.jpg",
            "600x200.webp",
        ]
        return
    with pytest.raises(SettingsError, match="BANNER_VARIANTS"):
        avatar_variants.banners_from_environment()
