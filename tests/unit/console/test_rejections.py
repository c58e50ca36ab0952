"""Rejected uploads: listed, tried again, their records discarded, on moto."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import pytest

from console.operations import progress
from console.operations.changes import StaleChangeError
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.pipeline import rejections
from console.operations.pipeline.causes import Selection
from console.operations.pipeline.rejections import DiscardRecords, RejectedUpload, TryAgain
from console.operations.progress import StoppedError
from tests.unit.console import deployments
from tests.unit.console.deployments import waiting


def recent(code: str = "", text: str = "") -> Selection:
    now = time.time() + 1
    return Selection(now - 3600, now, code, text)


def listed(here: Deployment) -> tuple[RejectedUpload, ...]:
    return rejections.page(here, recent()).uploads


def test_rejected_uploads_come_newest_first_page_by_page(here: Deployment) -> None:
    for name in ("b", "c", "a"):
        deployments.reject(here, f"{name}.jpg")
        time.sleep(0.01)  # CloudWatch keeps a line's time to the millisecond
    first = rejections.page(here, recent(), limit=2)
    second = rejections.page(here, recent(), first.older, limit=2)
    assert [upload.key for upload in first.uploads] == ["a.jpg", "c.jpg"]
    assert [upload.key for upload in second.uploads] == ["b.jpg"]
    assert second.older is None


def test_rejections_are_counted_and_found_by_code_and_key(here: Deployment) -> None:
    for number in range(3):
        deployments.reject(here, f"ada{number}.jpg", "damaged")
    deployments.reject(here, "grace.jpg", "too_many_pixels")
    found = {group.value: group.count for group in rejections.groups(here, recent())}
    assert found == {"damaged": 3, "too_many_pixels": 1}
    by_code = rejections.page(here, recent("too_many_pixels")).uploads
    assert [upload.key for upload in by_code] == ["grace.jpg"]
    by_key = rejections.page(here, recent(text="DA1")).uploads
    assert [upload.key for upload in by_key] == ["ada1.jpg"]


def test_what_is_older_than_the_log_is_found_by_its_whole_name(here: Deployment) -> None:
    deployments.reject(here, "ada.jpg")
    deployments.reject(here, "banners/ada.jpg")
    later = replace(recent(text="ada"), since=time.time() + 10, until=time.time() + 20)
    found = {upload.key for upload in rejections.page(here, later).uploads}
    assert found == {"ada.jpg", "banners/ada.jpg"}


def test_a_code_is_tried_again_whole_and_its_records_are_discarded_whole(
    here: Deployment, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "SETTLE_SECONDS", 0)
    for number in range(12):
        deployments.reject(here, f"{number}.jpg", "damaged", f"{number}".encode())
    deployments.reject(here, "grace.jpg", "too_many_pixels")
    damaged = recent("damaged")
    again = TryAgain(target, here, selection=damaged, number=12, rate=500)
    assert again.subject == "rejected uploads: damaged"
    with pytest.raises(OperationError, match="12 uploads not processed within"):
        again.execute(progress.ignore)
    assert waiting(here, here.queue_url) == 12
    discard = DiscardRecords(target, here, selection=damaged, number=12, rate=500)
    assert discard.execute(progress.ignore) == "12 records discarded."
    assert [upload.key for upload in listed(here)] == ["grace.jpg"]


def test_a_discard_of_records_ends_where_it_is_stopped(here: Deployment, target: Target) -> None:
    for number in range(12):
        deployments.reject(here, f"{number}.jpg", "damaged", f"{number}".encode())

    def report(event: progress.Event) -> None:
        if event.done:
            raise StoppedError("ada")

    change = DiscardRecords(target, here, selection=recent("damaged"), number=12, rate=5)
    assert change.execute(report) == "Stopped by ada: 5 records discarded."
    assert len(listed(here)) == 7


def test_an_upload_accepted_on_a_second_try_loses_record_and_tag(
    here: Deployment, target: Target
) -> None:
    version = deployments.reject(here, "ada.jpg")
    (upload,) = listed(here)

    def resize() -> None:
        while not waiting(here, here.queue_url):
            time.sleep(0.01)
        here.s3.put_object(Bucket=here.assets_bucket, Key=f"variants/ada/{version}/512.jpg")

    worker = threading.Thread(target=resize)
    worker.start()
    tried = TryAgain(target, here, (upload,)).execute(progress.ignore)
    worker.join()
    assert str(tried) == "1 upload accepted."
    assert listed(here) == ()
    tags = here.s3.get_object_tagging(Bucket=here.uploads_bucket, Key="ada.jpg")
    assert tags["TagSet"] == []


def test_trying_again_names_the_very_version_that_was_rejected(
    here: Deployment, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "SETTLE_SECONDS", 0)
    deployments.reject(here, "a b.jpg")
    (upload,) = listed(here)
    here.s3.put_object(Bucket=here.uploads_bucket, Key="a b.jpg", Body=b"a later one")
    with pytest.raises(OperationError, match="not processed within"):
        TryAgain(target, here, (upload,)).execute(progress.ignore)
    (message,) = here.sqs.receive_message(QueueUrl=here.queue_url)["Messages"]
    stored = json.loads(message["Body"])["Records"][0]["s3"]["object"]
    assert stored == {"key": "a+b.jpg", "versionId": upload.version_id}


def test_a_deleted_original_is_not_tried_again(here: Deployment, target: Target) -> None:
    deployments.reject(here, "gone.jpg")
    (upload,) = listed(here)
    here.s3.delete_object(
        Bucket=here.uploads_bucket, Key="gone.jpg", VersionId=str(upload.version_id)
    )
    tried = TryAgain(target, here, (upload,)).execute(progress.ignore)
    assert "original deleted: gone.jpg" in str(tried)
    assert waiting(here, here.queue_url) == 0


def test_discarding_a_record_keeps_the_original(here: Deployment, target: Target) -> None:
    deployments.reject(here, "ada.jpg")
    DiscardRecords(target, here, listed(here)).execute(progress.ignore)
    assert listed(here) == ()
    assert here.s3.head_object(Bucket=here.uploads_bucket, Key="ada.jpg")


def test_records_that_were_written_again_since_are_not_touched(
    here: Deployment, target: Target
) -> None:
    deployments.reject(here, "ada.jpg")
    change = DiscardRecords(target, here, listed(here))
    change.check()
    time.sleep(1.01)  # moto keeps an object's time to the second
    deployments.reject(here, "ada.jpg")
    with pytest.raises(StaleChangeError, match=r"ada\.jpg"):
        change.check()
    here.s3.delete_object(Bucket=here.assets_bucket, Key=change.uploads[0].record)
    with pytest.raises(StaleChangeError):
        change.check()
    assert list(change.lines()) == [f"{change.uploads[0].record}  ada.jpg  damaged"]
