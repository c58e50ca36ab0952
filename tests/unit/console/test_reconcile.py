"""Reconciling on moto: which versions of an original are put on the queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from moto import mock_aws

from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.pipeline.reconcile import Keys, reconcile
from console.operations.progress import ignore
from console.operations.uploads import names
from resize import store
from tests.unit.console import deployments


class Clock:
    """S3's clock and ours."""

    def __init__(self) -> None:
        self.seconds = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()

    def time(self) -> float:
        return self.seconds

    def utcnow(self) -> datetime:
        self.seconds += 0.001  # moto tells versions apart by it
        return datetime.fromtimestamp(self.seconds, UTC).replace(tzinfo=None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("moto.s3.models.utcnow", clock.utcnow)
    monkeypatch.setattr("console.operations.pipeline.reconcile.time", clock)
    return clock


@pytest.fixture
def here(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    with mock_aws():
        yield deployments.make(tmp_path)


def put(here: Deployment, key: str, body: bytes) -> str:
    """Upload a file of which nobody is told; return its version's id."""
    return here.s3.put_object(Bucket=here.uploads_bucket, Key=key, Body=body)["VersionId"]


def show(here: Deployment, key: str) -> None:
    """Make the avatar show the newest version of this original."""
    newest = here.s3.head_object(Bucket=here.uploads_bucket, Key=key)
    here.s3.put_object(
        Bucket=here.assets_bucket,
        Key=f"avatars/{key.rpartition('.')[0]}.jpg",
        Body=b"jpeg",
        Metadata={
            "version": newest["ETag"].strip('"'),
            "source-key": quote(key),
            "uploaded": newest["LastModified"].isoformat(),
        },
    )


def queued(here: Deployment, *, everything: bool = False) -> set[tuple[str, str | None]]:
    """Reconcile, and return the key and version of each message."""
    list(reconcile(here, lambda event: None, dry_run=False, everything=everything))
    objects = []
    while messages := here.sqs.receive_message(QueueUrl=here.queue_url, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        objects += [json.loads(m["Body"])["Records"][0]["s3"]["object"] for m in messages]
    return {(item["key"], item.get("versionId")) for item in objects}


def test_the_newest_version_is_queued_unless_it_is_shown_or_rejected(here: Deployment) -> None:
    put(here, "shown.jpg", b"old")
    put(here, "shown.jpg", b"new")
    show(here, "shown.jpg")
    put(here, "changed.jpg", b"old")
    show(here, "changed.jpg")
    put(here, "changed.jpg", b"new")
    deployments.reject(here, "rejected.jpg")
    put(here, "rejected.jpg.jpg", b"another")
    assert queued(here) == {("changed.jpg", None), ("rejected.jpg.jpg", None)}


def test_a_good_upload_is_not_lost_because_a_broken_one_followed_it(
    here: Deployment, clock: Clock
) -> None:
    put(here, "ada.jpg", b"first")
    show(here, "ada.jpg")
    good = put(here, "ada.jpg", b"second, of which nobody was told")
    deployments.reject(here, "ada.jpg")
    clock.seconds += 2
    assert queued(here) == {("ada.jpg", good)}


@pytest.mark.parametrize("code", ["locked", "too_many_uploads", "not_allowed"])
@pytest.mark.parametrize("everything", [False, True])
def test_what_was_refused_to_its_sender_stays_refused(
    here: Deployment, clock: Clock, code: str, everything: bool
) -> None:
    """Even if nothing but the mark says so, as of the uploads of a flood."""
    for key in ("ada.jpg", "grace.jpg"):
        put(here, key, b"first")
        show(here, key)
        clock.seconds += 2
        version = put(here, key, b"second")
        here.s3.put_object_tagging(
            Bucket=here.uploads_bucket,
            Key=key,
            VersionId=version,
            Tagging={"TagSet": [{"Key": "avatar-rejection", "Value": code}]},
        )
    put(here, "grace.jpg", b"third")
    again = {key for key, _ in queued(here, everything=everything)}
    assert again == ({"ada.jpg", "grace.jpg"} if everything else {"grace.jpg"})


def test_all_that_came_after_the_shown_one_is_queued(here: Deployment, clock: Clock) -> None:
    put(here, "ada.jpg", b"first")
    show(here, "ada.jpg")
    clock.seconds += 1
    second = put(here, "ada.jpg", b"second")
    clock.seconds += 2
    put(here, "ada.jpg", b"third, which may turn out to be broken")
    assert queued(here) == {("ada.jpg", second), ("ada.jpg", None)}


def test_of_the_uploads_of_one_second_only_the_last_is_queued(
    here: Deployment, clock: Clock
) -> None:
    put(here, "ada.jpg", b"first")
    second = put(here, "ada.jpg", b"second")
    deployments.reject(here, "ada.jpg")
    assert queued(here) == set()  # more may come within this second
    clock.seconds += 2
    assert queued(here) == {("ada.jpg", second)}


def test_everything_has_the_shown_version_in_it_where_a_later_one_was_rejected(
    here: Deployment, clock: Clock
) -> None:
    shown = put(here, "ada.jpg", b"shown")
    show(here, "ada.jpg")
    clock.seconds += 2
    deployments.reject(here, "ada.jpg")
    put(here, "grace.jpg", b"shown and the newest")
    show(here, "grace.jpg")
    clock.seconds += 2
    assert queued(here) == set()
    assert queued(here, everything=True) == {
        ("ada.jpg", shown),
        ("ada.jpg", None),
        ("grace.jpg", None),
    }


def test_what_was_removed_is_left_alone_and_what_came_later_is_queued(
    here: Deployment, clock: Clock
) -> None:
    put(here, "people/ada.png", b"removed, but its deletion stopped halfway")
    newest = here.s3.head_object(Bucket=here.uploads_bucket, Key="people/ada.png")
    removed = newest["LastModified"].isoformat()
    here.s3.put_object(
        Bucket=here.assets_bucket,
        Key="avatars/people/ada.jpg",
        Metadata={"removed": removed, "uploaded": removed},
    )
    assert queued(here) == queued(here, everything=True) == set()
    clock.seconds += 1
    put(here, "people/ada.png", b"later")
    assert queued(here) == queued(here, everything=True) == {(quote_plus("people/ada.png"), None)}


@pytest.mark.parametrize("key", ["a b/ä.jpg", "base64:x/ada", "🦊" * 250 + "/ada.jpg"])
def test_the_key_in_an_avatars_metadata_is_read_as_resize_wrote_it(key: str) -> None:
    assert names.source_key(store._source_key(key)) == key


def test_walks_of_ranges_that_meet_find_each_original_once(here: Deployment) -> None:
    for number in range(25):
        put(here, f"{number:02}.jpg", b"picture")
    here.s3.meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 10}
    )
    ranges = (Keys("", "07"), Keys("07", "19.jpg"), Keys("19.jpg"))
    walked = [list(reconcile(here, ignore, dry_run=True, keys=keys)) for keys in ranges]
    assert [found[-1].queued for found in walked] == [7, 13, 5]
    assert [found[-1].last_key for found in walked] == ["06.jpg", "19.jpg", "24.jpg"]
    assert [len(found) for found in walked] == [1, 2, 1], "no page is read behind the range"


def test_a_range_that_holds_no_key_is_refused() -> None:
    with pytest.raises(OperationError, match="up to 'a'"):
        Keys("b", "a")
