"""What is held, what was decided, and what a verdict function is asked, with moto's tables."""

from __future__ import annotations

import base64
import importlib
import io
import json
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from PIL import Image

from dynamodb import ConditionFailedError, TableError
from env_settings import SettingsError
from resize import moderation
from resize.moderation import Moderation, VerdictFunction
from tests.unit.resize.test_handler import CONTEXT, picture, s3_event, upload

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:judge"


class MotoTable:
    """The table's calls, answered by moto."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb", region_name="eu-central-1")
        self.client.create_table(
            TableName="reviews",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "name", "AttributeType": "S"},
                {"AttributeName": "version", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "name", "KeyType": "HASH"},
                {"AttributeName": "version", "KeyType": "RANGE"},
            ],
        )

    def call(self, operation: str, **request: Any) -> Any:
        method = {"Query": self.client.query, "UpdateItem": self.client.update_item}
        try:
            return method[operation](TableName="reviews", **request)  # type: ignore[operator]
        except self.client.exceptions.ConditionalCheckFailedException as error:
            raise ConditionFailedError(error.response.get("Item", {})) from error

    def items(self) -> list[dict[str, Any]]:
        return self.client.scan(TableName="reviews")["Items"]

    def decide(self, state: str, **more: Any) -> None:
        (item,) = self.items()
        self.client.put_item(TableName="reviews", Item=item | {"state": {"S": state}} | more)


class Judge:
    """A Lambda client with a function that gives one answer."""

    def __init__(self, answer: Any = None, failure: Exception | None = None) -> None:
        self.answer, self.failure = answer, failure
        self.asked: list[dict[str, Any]] = []

    def __call__(self, seconds: float) -> Judge:
        return self

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        self.asked.append({"arn": FunctionName, **json.loads(Payload)})
        if self.failure:
            raise self.failure
        said, error = self.answer if isinstance(self.answer, tuple) else (self.answer, {})
        return {"Payload": io.BytesIO(json.dumps(said).encode()), **error}


@pytest.fixture
def table(s3: S3Client) -> MotoTable:
    return MotoTable()


@pytest.fixture
def holding(resize: ModuleType, table: MotoTable, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The function where each upload is held."""
    monkeypatch.setattr(resize, "moderation", Moderation(table, "all", 90))  # type: ignore[arg-type]
    return resize


def judging(resize: ModuleType, table: MotoTable, judge: Judge, *, hold: bool = True) -> None:
    function = VerdictFunction(judge, ARN, 3, hold, resize.log)
    resize.moderation = Moderation(table, "suspicious", 90, function)  # type: ignore[attr-defined,arg-type]


@pytest.fixture(autouse=True)
def off_again() -> Iterator[None]:
    yield
    importlib.import_module("resize.handler").moderation = None  # type: ignore[attr-defined]


def again(stored: dict[str, str], sequencer: str | None = "01") -> dict[str, Any]:
    """Return the event of what an operator sends again."""
    event = s3_event(stored, sequencer)
    event["Records"][0]["eventSource"] = "avatar-ops:reconcile"
    return event


def record(s3: S3Client, name: str, stored: dict[str, str]) -> dict[str, Any]:
    found = s3.get_object(Bucket="assets", Key=f"rejections/{name}/{stored['eTag']}.json")
    said: dict[str, Any] = json.loads(found["Body"].read())
    return said


def made(s3: S3Client) -> set[str]:
    listed = s3.list_objects_v2(Bucket="assets").get("Contents", [])
    return {item["Key"].split("/")[0] for item in listed}


def test_a_held_upload_is_not_shown_and_its_user_is_told(
    s3: S3Client, holding: ModuleType, table: MotoTable
) -> None:
    stored = upload(s3, "ada", picture("red"))
    holding.handler(s3_event(stored), CONTEXT)
    assert made(s3) == {"rejections"}
    said = record(s3, "ada", stored)
    assert (said["code"], said["version_id"]) == ("held", stored["versionId"])
    assert "looked at" in said["message"]
    (item,) = table.items()
    assert item["state"] == {"S": "held"}
    assert item["queue"] == {"S": "review"}
    assert item["sequencer"] == {"S": "01"}
    assert item["etag"] == {"S": stored["eTag"]}
    days = (int(item["expires"]["N"]) - int(item["since"]["N"]) / 1000) / 86_400
    assert 89.9 < days < 90.1
    tags = s3.get_object_tagging(Bucket="uploads", Key="ada")["TagSet"]
    assert tags == []


def test_a_held_banner_is_held_by_its_own_name_and_shown_as_a_banner(
    s3: S3Client, holding: ModuleType, table: MotoTable
) -> None:
    avatar, banner = (upload(s3, key, picture("red")) for key in ("ada", "banners/ada"))
    for stored in (avatar, banner):
        holding.handler(s3_event(stored), CONTEXT)
    assert record(s3, "banners/ada", banner)["code"] == "held"
    items = {item["name"]["S"]: item for item in table.items()}
    assert {name: item["key"]["S"] for name, item in items.items()} == {
        "ada": "ada",
        "banners/ada": "banners/ada",
    }
    approved = items["banners/ada"] | {"state": {"S": "approved"}}
    table.client.put_item(TableName="reviews", Item=approved)
    for stored in (avatar, banner):  # the same bytes; but only one was approved
        holding.handler(again(stored), CONTEXT)
    shown = s3.list_objects_v2(Bucket="assets", Prefix="avatars/")["Contents"]
    assert [item["Key"] for item in shown] == ["avatars/banners/ada.jpg"]
    body = s3.get_object(Bucket="assets", Key="avatars/banners/ada.jpg")["Body"].read()
    assert Image.open(io.BytesIO(body)).size == (1500, 500)


def test_the_avatar_of_before_stays(s3: S3Client, resize: ModuleType, table: MotoTable) -> None:
    first = upload(s3, "ada", picture("red"))
    resize.handler(s3_event(first), CONTEXT)
    resize.moderation = Moderation(table, "all", 90)  # type: ignore[attr-defined,arg-type]
    resize.handler(s3_event(upload(s3, "ada", picture("blue")), "02"), CONTEXT)
    shown = s3.head_object(Bucket="assets", Key="avatars/ada.jpg")
    assert shown["Metadata"]["version"] == first["eTag"]


def test_a_broken_file_is_rejected_at_once_and_nobody_has_to_look_at_it(
    s3: S3Client, holding: ModuleType, table: MotoTable
) -> None:
    stored = upload(s3, "ada", b"no picture")
    holding.handler(s3_event(stored), CONTEXT)
    assert record(s3, "ada", stored)["code"] == "unsupported_format"
    assert table.items() == []


def test_what_comes_again_while_it_is_held_changes_nothing(
    s3: S3Client, holding: ModuleType, table: MotoTable
) -> None:
    stored = upload(s3, "ada", picture("red"))
    holding.handler(again(stored, None), CONTEXT)
    (before,) = table.items()
    holding.handler(s3_event(stored), CONTEXT)
    (after,) = table.items()
    assert after["since"] == before["since"]
    assert after["sequencer"] == {"S": "01"}, "S3's own event tells its order"
    holding.handler(again(stored, None), CONTEXT)
    assert table.items()[0]["sequencer"] == {"S": "01"}


def test_what_is_approved_is_shown_when_it_comes_again(
    s3: S3Client, holding: ModuleType, table: MotoTable
) -> None:
    stored = upload(s3, "ada", picture("red"))
    holding.handler(s3_event(stored), CONTEXT)
    table.decide("approved")
    holding.handler(again(stored), CONTEXT)
    shown = s3.head_object(Bucket="assets", Key="avatars/ada.jpg")
    assert shown["Metadata"]["version"] == stored["eTag"]
    assert shown["Metadata"]["sequencer"] == "01"


def test_what_is_refused_is_a_rejection(
    s3: S3Client, holding: ModuleType, table: MotoTable
) -> None:
    stored = upload(s3, "ada", picture("red"))
    holding.handler(s3_event(stored), CONTEXT)
    table.decide("refused")
    holding.handler(again(stored), CONTEXT)
    assert made(s3) == {"rejections"}
    assert record(s3, "ada", stored)["code"] == "not_allowed"
    (tag,) = s3.get_object_tagging(Bucket="uploads", Key="ada")["TagSet"]
    assert tag == {"Key": "avatar-rejection", "Value": "not_allowed"}


@pytest.mark.parametrize("other", [{"etag": {"S": "0"}}, {"key": {"S": "ada.png"}}])
def test_an_approval_of_anything_else_is_none(
    s3: S3Client, holding: ModuleType, table: MotoTable, other: dict[str, Any]
) -> None:
    stored = upload(s3, "ada", picture("red"))
    holding.handler(s3_event(stored), CONTEXT)
    table.decide("approved", **other)
    holding.handler(again(stored), CONTEXT)
    assert made(s3) == {"rejections"}


def test_the_next_upload_of_an_approved_ones_bytes_is_held(
    s3: S3Client, holding: ModuleType, table: MotoTable
) -> None:
    stored = upload(s3, "ada", picture("red"))
    holding.handler(s3_event(stored), CONTEXT)
    table.decide("approved")
    holding.handler(again(stored), CONTEXT)
    same = upload(s3, "ada", picture("red"))
    holding.handler(s3_event(same, "02"), CONTEXT)
    assert sorted(item["state"]["S"] for item in table.items()) == ["approved", "held"]
    shown = s3.head_object(Bucket="assets", Key="avatars/ada.jpg")
    assert shown["Metadata"]["version-id"] == stored["versionId"]


def in_crop(s3: S3Client, crop: str, *, copied: bool) -> dict[str, Any]:
    """Return S3's event of the newest original in another crop, copied or sent again."""
    options: Any = {"Bucket": "uploads", "Key": "ada", "Metadata": {"crop": crop} if crop else {}}
    if copied:
        source: Any = {"Bucket": "uploads", "Key": "ada"}
        stored = s3.copy_object(CopySource=source, MetadataDirective="REPLACE", **options)
    else:
        body = s3.get_object(Bucket="uploads", Key="ada")["Body"].read()
        stored = s3.put_object(Body=body, **options)  # type: ignore[assignment]
    event = s3_event({"key": "ada", "versionId": stored["VersionId"]}, "09")
    event["Records"][0]["eventTime"] = "2026-01-31T12:00:00.000Z"
    event["Records"][0]["eventName"] = f"ObjectCreated:{'Copy' if copied else 'Put'}"
    return event


@pytest.mark.parametrize("copied", [True, False], ids=["copied", "sent again"])
@pytest.mark.parametrize("mode", ["all", "suspicious", "reports"])
@pytest.mark.parametrize("state", ["held", "refused"])
def test_in_whichever_crop_a_picture_stays_held_or_refused(
    s3: S3Client, holding: ModuleType, table: MotoTable, state: str, mode: str, copied: bool
) -> None:
    stored = upload(s3, "ada", picture("red"))
    holding.handler(s3_event(stored), CONTEXT)
    table.decide(state)
    judge = Judge({"hold": False})
    function = VerdictFunction(judge, ARN, 3, True, holding.log)
    holding.moderation = Moderation(table, mode, 90, function)  # type: ignore[attr-defined,arg-type]
    event = in_crop(s3, "0,0,0.5", copied=copied)
    holding.handler(event, CONTEXT)
    assert made(s3) == {"rejections"}
    cropped = stored | {"eTag": stored["eTag"] + "-00000000007a120"}
    assert record(s3, "ada", cropped)["code"] == {"held": "held", "refused": "not_allowed"}[state]
    assert judge.asked == []
    waiting = [item for item in table.items() if "queue" in item]
    assert len(waiting) == (2 if (state, mode) in {("held", "all"), ("held", "suspicious")} else 1)


def test_a_crop_back_to_what_was_refused_is_refused(
    s3: S3Client, resize: ModuleType, table: MotoTable
) -> None:
    judging(resize, table, Judge({"hold": True}))
    resize.handler(in_crop_of(s3, "0,0,0.5"), CONTEXT)
    table.decide("refused")
    judge = Judge({"hold": False})
    judging(resize, table, judge)
    for crop in ("0,0,0.25", "0,0,0.5"):
        resize.handler(in_crop(s3, crop, copied=True), CONTEXT)
    assert made(s3) == {"rejections"}
    assert judge.asked == []


def in_crop_of(s3: S3Client, crop: str) -> dict[str, Any]:
    upload(s3, "ada", picture("red"))
    return in_crop(s3, crop, copied=False)


def test_of_what_was_approved_another_crop_is_judged(
    s3: S3Client, resize: ModuleType, table: MotoTable
) -> None:
    """Operators may have seen, and a verdict function has been given, what was shown then."""
    judging(resize, table, Judge({"hold": True}))
    stored = upload(s3, "ada", picture("red"))
    resize.handler(s3_event(stored), CONTEXT)
    table.decide("approved")
    judge = Judge({"hold": True})
    judging(resize, table, judge)
    resize.handler(in_crop(s3, "0,0,0.5", copied=True), CONTEXT)
    assert len(judge.asked) == 1
    assert made(s3) == {"rejections"}


def test_another_picture_of_who_was_refused_is_judged_by_itself(
    s3: S3Client, resize: ModuleType, table: MotoTable
) -> None:
    judging(resize, table, Judge({"hold": True}))
    resize.handler(s3_event(upload(s3, "ada", picture("red"))), CONTEXT)
    table.decide("refused")
    judging(resize, table, Judge({"hold": False}))
    upload(s3, "ada", picture("blue"))
    resize.handler(in_crop(s3, "0,0,0.5", copied=False), CONTEXT)
    assert "avatars" in made(s3)


def test_what_is_shown_already_is_made_again_without_a_review(
    s3: S3Client, resize: ModuleType, table: MotoTable
) -> None:
    stored = upload(s3, "ada", picture("red"))
    resize.handler(s3_event(stored), CONTEXT)
    resize.moderation = Moderation(table, "all", 90)  # type: ignore[attr-defined,arg-type]
    key = f"variants/ada/{stored['eTag']}/128.webp"
    s3.delete_object(Bucket="assets", Key=key)
    resize.handler(again(stored, None), CONTEXT)
    assert s3.head_object(Bucket="assets", Key=key)
    assert table.items() == []


def test_in_the_mode_of_reports_uploads_ask_nobody(
    s3: S3Client, resize: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise TableError("away")

    away = SimpleNamespace(call=refuse)
    resize.moderation = Moderation(away, "reports", 90)  # type: ignore[attr-defined,arg-type]
    event = s3_event(upload(s3, "ada", picture("red")))
    event["Records"][0]["eventTime"] = "2026-01-31T12:00:00.000Z"
    resize.handler(event, CONTEXT)
    assert "avatars" in made(s3)


def test_what_was_refused_stays_so_when_only_reports_are_looked_at(
    s3: S3Client, holding: ModuleType, table: MotoTable
) -> None:
    stored = upload(s3, "ada", picture("red"))
    holding.handler(s3_event(stored), CONTEXT)
    holding.moderation = Moderation(table, "reports", 90)  # type: ignore[attr-defined,arg-type]
    holding.handler(again(stored), CONTEXT)
    assert record(s3, "ada", stored)["code"] == "held"
    table.decide("refused")
    holding.handler(again(stored), CONTEXT)
    assert record(s3, "ada", stored)["code"] == "not_allowed"


def test_a_verdict_function_is_asked_with_the_picture_that_would_be_shown(
    s3: S3Client, resize: ModuleType, table: MotoTable
) -> None:
    judge = Judge({"hold": False, "score": 0.1})
    judging(resize, table, judge)
    stored = upload(s3, "ada", picture("red", (900, 300)))
    resize.handler(s3_event(stored), CONTEXT)
    (asked,) = judge.asked
    shown = Image.open(io.BytesIO(base64.b64decode(asked.pop("picture"))))
    assert (shown.format, shown.size) == ("JPEG", (512, 512))
    assert asked.pop("uploaded")
    assert asked.pop("size") > 0
    assert asked == {
        "arn": ARN,
        "bucket": "uploads",
        "key": "ada",
        "version_id": stored["versionId"],
        "version": stored["eTag"],
    }
    assert "avatars" in made(s3)
    assert table.items() == []


def test_what_it_holds_is_held_with_its_score_and_not_asked_about_again(
    s3: S3Client, resize: ModuleType, table: MotoTable
) -> None:
    judge = Judge({"hold": True, "score": 0.875})
    judging(resize, table, judge)
    event = s3_event(upload(s3, "ada", picture("red")))
    for _ in range(2):
        resize.handler(event, CONTEXT)
    assert made(s3) == {"rejections"}
    assert float(table.items()[0]["score"]["N"]) == 0.875
    assert len(judge.asked) == 1


@pytest.mark.parametrize(
    "judge",
    [
        Judge(failure=ReadTimeoutError(endpoint_url="https://lambda")),
        Judge(({"errorMessage": "no"}, {"FunctionError": "Unhandled"})),
        Judge(({"hold": False, "score": 0}, {"FunctionError": "Unhandled"})),
        Judge("nonsense"),
        Judge({"hold": "no"}),
        Judge({"hold": False, "score": "high"}),
        Judge(None),
    ],
    ids=["timeout", "failed", "failed and answered", "text", "no bool", "no number", "null"],
)
@pytest.mark.parametrize("hold", [True, False], ids=["hold", "show"])
def test_without_a_usable_answer_the_setting_decides(
    s3: S3Client, resize: ModuleType, table: MotoTable, judge: Judge, hold: bool
) -> None:
    judging(resize, table, judge, hold=hold)
    resize.handler(s3_event(upload(s3, "ada", picture("red"))), CONTEXT)
    assert ("avatars" in made(s3)) is not hold
    assert bool(table.items()) is hold


def test_the_settings_are_read_and_wrong_ones_named(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> Moderation | None:
        return Moderation.from_environment(SimpleNamespace(), 3, lambda _: None)  # type: ignore[arg-type]

    assert read() is None
    monkeypatch.setenv("MODERATION", "suspicious")
    monkeypatch.setenv("REVIEWS_TABLE_NAME", "reviews")
    with pytest.raises(SettingsError, match="VERDICT_FUNCTION_ARN"):
        read()
    monkeypatch.setenv("VERDICT_FUNCTION_ARN", ARN)
    found = read()
    assert found
    assert found.verdict_function
    assert (found.verdict_function.seconds, found.verdict_function.hold_on_failure) == (3, True)
    monkeypatch.setenv("MODERATION", "some")
    with pytest.raises(SettingsError, match="MODERATION"):
        read()
    assert moderation.MODES == ("off", "reports", "suspicious", "all")
