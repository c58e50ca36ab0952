"""Rejected uploads: listed, tried again, their records discarded, on moto."""

from __future__ import annotations

import json
import threading
import time

import pytest

from console.operations import progress
from console.operations.changes import StaleChangeError
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.pipeline import rejections
from console.operations.pipeline.rejections import DiscardRecords, TryAgain
from tests.unit.console import deployments
from tests.unit.console.deployments import waiting


def test_rejected_uploads_come_newest_first_page_by_page(here: Deployment) -> None:
    for name in ("b", "c", "a"):
        deployments.reject(here, f"{name}.jpg")
        time.sleep(1.01)  # moto keeps an object's time to the second
    first = rejections.page(here, limit=2)
    second = rejections.page(here, first.older, limit=2)
    assert [upload.key for upload in first.uploads] == ["a.jpg", "c.jpg"]
    assert [upload.key for upload in second.uploads] == ["b.jpg"]
    assert second.older is None


def test_a_walk_that_is_too_long_says_where_it_stopped_and_goes_on_there(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "_WALKED_ANSWERS", 1)
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    for name in "abcd":
        deployments.reject(here, f"{name}.jpg")
    first = rejections.page(here, limit=1)
    assert (first.walked, (first.resume_after or "").split("/")[1]) == (3, "c")
    rest = rejections.page(here, after_key=first.resume_after or "", limit=5)
    assert [upload.name for upload in rest.uploads] == ["d"]
    assert rest.resume_after is None


def test_an_upload_accepted_on_a_second_try_loses_record_and_tag(
    here: Deployment, target: Target
) -> None:
    version = deployments.reject(here, "ada.jpg")
    (upload,) = rejections.page(here).uploads

    def resize() -> None:
        while not waiting(here, here.queue_url):
            time.sleep(0.01)
        here.s3.put_object(Bucket=here.assets_bucket, Key=f"variants/ada/{version}/512.jpg")

    worker = threading.Thread(target=resize)
    worker.start()
    tried = TryAgain(target, here, (upload,)).execute(progress.ignore)
    worker.join()
    assert str(tried) == "1 upload accepted."
    assert rejections.page(here).uploads == ()
    tags = here.s3.get_object_tagging(Bucket=here.uploads_bucket, Key="ada.jpg")
    assert tags["TagSet"] == []


def test_trying_again_names_the_very_version_that_was_rejected(
    here: Deployment, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "SETTLE_SECONDS", 0)
    deployments.reject(here, "a b.jpg")
    (upload,) = rejections.page(here).uploads
    here.s3.put_object(Bucket=here.uploads_bucket, Key="a b.jpg", Body=b"a later one")
    with pytest.raises(OperationError, match="not processed within"):
        TryAgain(target, here, (upload,)).execute(progress.ignore)
    (message,) = here.sqs.receive_message(QueueUrl=here.queue_url)["Messages"]
    stored = json.loads(message["Body"])["Records"][0]["s3"]["object"]
    assert stored == {"key": "a+b.jpg", "versionId": upload.version_id}


def test_a_deleted_original_is_not_tried_again(here: Deployment, target: Target) -> None:
    deployments.reject(here, "gone.jpg")
    (upload,) = rejections.page(here).uploads
    here.s3.delete_object(
        Bucket=here.uploads_bucket, Key="gone.jpg", VersionId=str(upload.version_id)
    )
    tried = TryAgain(target, here, (upload,)).execute(progress.ignore)
    assert "original deleted: gone.jpg" in str(tried)
    assert waiting(here, here.queue_url) == 0


def test_discarding_a_record_keeps_the_original(here: Deployment, target: Target) -> None:
    deployments.reject(here, "ada.jpg")
    DiscardRecords(target, here, rejections.page(here).uploads).execute(progress.ignore)
    assert rejections.page(here).uploads == ()
    assert here.s3.head_object(Bucket=here.uploads_bucket, Key="ada.jpg")


def test_records_that_were_written_again_since_are_not_touched(
    here: Deployment, target: Target
) -> None:
    deployments.reject(here, "ada.jpg")
    change = DiscardRecords(target, here, rejections.page(here).uploads)
    change.check()
    time.sleep(1.01)  # moto keeps an object's time to the second
    deployments.reject(here, "ada.jpg")
    with pytest.raises(StaleChangeError, match=r"ada\.jpg"):
        change.check()
    here.s3.delete_object(Bucket=here.assets_bucket, Key=change.uploads[0].record)
    with pytest.raises(StaleChangeError):
        change.check()
    assert list(change.lines()) == [f"{change.uploads[0].record}  ada.jpg  damaged"]
