"""Failures: listed, tried again, redriven, discarded, on moto."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws
from PIL import Image

from console.operations import progress
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.pipeline import failures
from tests.unit.console import deployments


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    with mock_aws():
        yield deployments.make(tmp_path)


def waiting(here: Deployment, url: str) -> int:
    found = here.sqs.get_queue_attributes(
        QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


def test_rejected_uploads_come_newest_first_page_by_page(here: Deployment) -> None:
    for name in ("b", "c", "a"):
        deployments.reject(here, f"{name}.jpg")
        time.sleep(1.01)  # moto keeps an object's time to the second
    first = failures.rejected(here, limit=2)
    second = failures.rejected(here, first.older, limit=2)
    assert [upload.key for upload in first.uploads] == ["a.jpg", "c.jpg"]
    assert [upload.key for upload in second.uploads] == ["b.jpg"]
    assert second.older is None


def test_a_walk_that_is_too_long_says_where_it_stopped_and_goes_on_there(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "_WALKED_ANSWERS", 1)
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    for name in "abcd":
        deployments.reject(here, f"{name}.jpg")
    first = failures.rejected(here, limit=1)
    assert (first.walked, (first.resume_after or "").split("/")[1]) == (3, "c")
    rest = failures.rejected(here, after_key=first.resume_after or "", limit=5)
    assert [upload.name for upload in rest.uploads] == ["d"]
    assert rest.resume_after is None


def test_an_upload_accepted_on_a_second_try_loses_record_and_mark(here: Deployment) -> None:
    version = deployments.reject(here, "ada.jpg")
    (upload,) = failures.rejected(here).uploads

    def resize() -> None:
        while not waiting(here, here.queue_url):
            time.sleep(0.01)
        here.s3.put_object(Bucket=here.assets_bucket, Key=f"variants/ada/{version}/512.jpg")

    worker = threading.Thread(target=resize)
    worker.start()
    tried = failures.try_again(here, [upload], progress.ignore)
    worker.join()
    assert str(tried) == "1 upload accepted."
    assert failures.rejected(here).uploads == ()
    tags = here.s3.get_object_tagging(Bucket=here.uploads_bucket, Key="ada.jpg")
    assert tags["TagSet"] == []


def test_trying_again_names_the_very_version_that_was_rejected(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "SETTLE_SECONDS", 0)
    deployments.reject(here, "a b.jpg")
    (upload,) = failures.rejected(here).uploads
    here.s3.put_object(Bucket=here.uploads_bucket, Key="a b.jpg", Body=b"a later one")
    with pytest.raises(OperationError, match="not processed within"):
        failures.try_again(here, [upload], progress.ignore)
    (message,) = here.sqs.receive_message(QueueUrl=here.queue_url)["Messages"]
    stored = json.loads(message["Body"])["Records"][0]["s3"]["object"]
    assert stored == {"key": "a+b.jpg", "versionId": upload.version_id}


def test_a_deleted_original_is_not_tried_again(here: Deployment) -> None:
    deployments.reject(here, "gone.jpg")
    (upload,) = failures.rejected(here).uploads
    here.s3.delete_object(
        Bucket=here.uploads_bucket, Key="gone.jpg", VersionId=str(upload.version_id)
    )
    tried = failures.try_again(here, [upload], progress.ignore)
    assert "original deleted: gone.jpg" in str(tried)
    assert waiting(here, here.queue_url) == 0


def test_discarding_a_record_keeps_the_original(here: Deployment) -> None:
    deployments.reject(here, "ada.jpg")
    failures.discard_records(here, failures.rejected(here).uploads, progress.ignore)
    assert failures.rejected(here).uploads == ()
    assert here.s3.head_object(Bucket=here.uploads_bucket, Key="ada.jpg")


def test_listing_dead_letters_hides_none_of_them(here: Deployment) -> None:
    ids = {deployments.bury(here, f"{number}.jpg") for number in range(3)}
    for _ in range(2):
        found = failures.letters(here)
        assert ({letter.message_id for letter in found.shown}, found.total) == (ids, 3)
    assert waiting(here, here.dead_letter_queue_url) == 3


def test_only_the_chosen_letters_are_redriven_and_the_rest_stays_visible(here: Deployment) -> None:
    ids = [deployments.bury(here, f"{number}.jpg") for number in range(12)]
    done = failures.redrive(here, ids[:2], progress.ignore)
    assert str(done) == "2 letters put back on the queue."
    assert waiting(here, here.queue_url) == 2
    assert waiting(here, here.dead_letter_queue_url) == 10


def test_only_the_chosen_letters_are_discarded(here: Deployment) -> None:
    ids = [deployments.bury(here, f"{number}.jpg") for number in range(3)]
    failures.discard(here, ids[:1], progress.ignore)
    assert waiting(here, here.queue_url) == 0
    assert {letter.message_id for letter in failures.letters(here).shown} == set(ids[1:])


def test_a_letter_that_is_gone_is_said_to_be_gone(here: Deployment) -> None:
    kept = deployments.bury(here, "kept.jpg")
    done = failures.redrive(here, ["no such message"], progress.ignore)
    assert (done.done, done.missing) == (0, 1)
    assert [letter.message_id for letter in failures.letters(here).shown] == [kept]


def test_the_cause_is_the_last_line_of_the_logged_stack(here: Deployment) -> None:
    message_id = deployments.bury(here, "ada.jpg")
    line = {
        "message": "message failed",
        "message_id": message_id,
        "error": "EventError",
        "stack": "Traceback\n  File x\nresize.events.EventError: the message is no S3 event",
    }
    here.logs.create_log_stream(logGroupName=deployments.RESIZE_LOGS, logStreamName="s")
    here.logs.put_log_events(
        logGroupName=deployments.RESIZE_LOGS,
        logStreamName="s",
        logEvents=[{"timestamp": int(time.time() * 1000) + 1000, "message": json.dumps(line)}],
    )
    cause = failures.causes(here, failures.letters(here).shown)[message_id]
    assert cause.sentence == "resize.events.EventError: the message is no S3 event"


def encoded(size: tuple[int, int], image_format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("1" if image_format == "PNG" else "RGB", size).save(stream, image_format)
    return stream.getvalue()


def test_a_preview_is_small_and_has_no_transparency(here: Deployment) -> None:
    here.s3.put_object(Bucket=here.uploads_bucket, Key="k", Body=encoded((1600, 400)))
    with Image.open(io.BytesIO(failures.preview(here, "k") or b"")) as found:
        assert (found.format, found.size, found.mode) == ("JPEG", (320, 80), "RGB")


@pytest.mark.parametrize(
    "body",
    [
        b"no picture",
        encoded((64, 64), "JPEG")[:400],
        encoded((9000, 9000)),
        encoded((64, 64), "TIFF"),
        encoded((64, 64)) + b"x" * failures._PREVIEW_BYTES,
    ],
    ids=["text", "cut off", "81 million pixels", "another format", "too many bytes"],
)
def test_what_can_not_safely_be_shown_has_no_preview(here: Deployment, body: bytes) -> None:
    here.s3.put_object(Bucket=here.uploads_bucket, Key="k", Body=body)
    assert failures.preview(here, "k") is None


def test_a_missing_original_has_no_preview(here: Deployment) -> None:
    assert failures.preview(here, "nothing") is None
