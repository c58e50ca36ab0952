"""`make reconcile INVENTORY=1` on moto: what a list spares, what it misses, how one is refused."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from botocore.awsrequest import AWSResponse
from typer.testing import CliRunner

from console import terminal
from console.commands import queue
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.pipeline import inventory
from console.operations.pipeline.reconcile import Findings, Keys, reconcile
from console.operations.progress import ignore
from console.operations.uploads import names
from tests import inventories
from tests.unit.console import deployments

TAKEN = datetime(2026, 1, 30, 1, tzinfo=UTC)
ALL = Keys()
CROP = "-0000000000fffff"


def upload(here: Deployment, key: str, body: bytes = b"picture") -> str:
    """Upload an original of which nobody is told; return its ETag."""
    return here.s3.put_object(Bucket=here.uploads_bucket, Key=key, Body=body)["ETag"].strip('"')


def draw(here: Deployment, key: str, crop: str = "") -> None:
    """Make the images of the newest version of this original."""
    etag = here.s3.head_object(Bucket=here.uploads_bucket, Key=key)["ETag"].strip('"')
    for variant in ("512.jpg", "128.webp"):
        made = f"variants/{names.name_of(key)}/{etag}{crop}/{variant}"
        here.s3.put_object(Bucket=here.assets_bucket, Key=made, Body=b"jpeg")


def point(here: Deployment, key: str, ago: timedelta = timedelta()) -> None:
    """Make the avatar show the newest version of this original."""
    newest = here.s3.head_object(Bucket=here.uploads_bucket, Key=key)
    here.s3.put_object(
        Bucket=here.assets_bucket,
        Key=f"avatars/{names.name_of(key)}.jpg",
        Body=b"jpeg",
        Metadata={
            "version": newest["ETag"].strip('"'),
            "version-id": newest["VersionId"],
            "source-key": quote(key),
            "uploaded": (newest["LastModified"] - ago).isoformat(),
        },
    )


def show(here: Deployment, key: str, body: bytes = b"picture", crop: str = "") -> None:
    upload(here, key, body)
    draw(here, key, crop)
    point(here, key)


def walk(here: Deployment, keys: Keys = ALL) -> Findings:
    """Look for what is missing by an inventory."""
    made = inventory.load(here, inventory.find(here), ignore, keys)
    *_, found = reconcile(here, ignore, dry_run=True, keys=keys, made=made)
    return found


KEYS = (
    "ada.jpg",
    "banners/3f2a.png",
    "no-extension",
    'people/o"hara, 1+1 = 2.jpg',
    "people/Ünal%20.tar.gz",
)


def test_what_a_list_shows_is_not_asked_for(here: Deployment) -> None:
    for number, key in enumerate(KEYS):
        show(here, key, crop=CROP if number % 2 else "")
    inventories.deliver(here.s3, here.assets_bucket, TAKEN)
    asked = deployments.calls(here.s3)
    found = walk(here)
    assert (found.walked, found.shown, found.spared, found.queued) == (5, 5, 5, 0)
    heads_of_files = 2
    assert asked.count("HeadObject") == heads_of_files
    assert "ListObjectVersions" not in asked


def test_what_it_does_not_show_is_looked_at_as_ever(here: Deployment) -> None:
    show(here, "shown.jpg")
    upload(here, "never.jpg")
    show(here, "drawn-only.jpg")
    here.s3.delete_object(Bucket=here.assets_bucket, Key="avatars/drawn-only.jpg")
    show(here, "changed.jpg", b"old")
    upload(here, "changed.jpg", b"new")
    deployments.reject(here, "rejected.jpg")
    inventories.deliver(here.s3, here.assets_bucket, TAKEN)
    show(here, "later.jpg")
    upload(here, "latest.jpg")
    found = walk(here)
    assert (found.shown, found.rejected, found.queued, found.spared) == (2, 1, 4, 1)


def test_the_same_picture_sent_again_is_not_taken_for_the_one_that_is_shown(
    here: Deployment,
) -> None:
    hour = timedelta(hours=1)
    show(here, "ada.jpg")
    point(here, "ada.jpg", ago=hour)
    rows = [(key, at - hour) for key, at in inventories.listed(here.s3, "assets")]
    upload(here, "ada.jpg")
    inventories.deliver(here.s3, here.assets_bucket, TAKEN, rows)
    found = walk(here)
    assert (found.queued, found.spared) == (1, 0)


def test_images_without_a_later_avatar_show_nothing(here: Deployment) -> None:
    show(here, "ada.jpg")
    rows = [
        (key, at - timedelta(hours=key.startswith("avatars/")))
        for key, at in inventories.listed(here.s3, "assets")
    ]
    inventories.deliver(here.s3, here.assets_bucket, TAKEN, rows)
    assert walk(here).spared == 0


def test_ranges_share_the_bucket_and_an_interrupted_walk_goes_on(here: Deployment) -> None:
    keys = ["a", "a.b", "a.b.jpg", "a.jpg", "a/b.jpg", "a0.jpg", "b.jpg", "b.png", "c.jpg"]
    for key in keys:
        show(here, key)
    inventories.deliver(here.s3, here.assets_bucket, TAKEN)
    whole = walk(here)
    assert whole.walked == len(keys)
    for ends in ([], ["a.jpg"], ["a.b", "a/b.jpg", "b.jpg"], keys[:-1]):
        parts = [
            walk(here, Keys(after, until))
            for after, until in zip(["", *ends], [*ends, ""], strict=True)
        ]
        assert sum(part.walked for part in parts) == len(keys)
        assert sum(part.spared for part in parts) == whole.spared
        assert [part.last_key for part in parts] == [*ends, "c.jpg"]


def test_only_rows_of_the_range_are_kept(here: Deployment) -> None:
    for key in ("a.jpg", "b.jpg", "c.jpg"):
        show(here, key)
    inventories.deliver(here.s3, here.assets_bucket, TAKEN)
    made = inventory.load(here, inventory.find(here), ignore, Keys("a.jpg", "b.jpg"))
    kept = {name for (name,) in made._rows.execute("SELECT name FROM made")}
    assert kept == {"a", "b"}  # of "a", "a.png" would be in it


def test_the_newest_that_is_whole_is_taken_or_that_of_a_day(here: Deployment) -> None:
    days = [TAKEN + timedelta(days=n) for n in range(3)]
    *_, last = [inventories.deliver(here.s3, here.assets_bucket, day) for day in days]
    assert inventory.find(here).taken == days[2]
    assert inventory.find(here, "2026-01-30").taken == days[0]
    here.s3.delete_object(Bucket=here.assets_bucket, Key=f"{last}manifest.checksum")
    assert inventory.find(here).taken == days[1]
    with pytest.raises(OperationError, match=r"no complete inventory of 2025-12-24\.") as refused:
        inventory.find(here, "2025-12-24")
    assert "2026-01-30, 2026-01-31, 2026-02-01" in refused.value.remedy
    with pytest.raises(OperationError, match="'yesterday' is no day"):
        inventory.find(here, "yesterday")


def test_without_any_it_is_said_whether_one_is_to_come(here: Deployment) -> None:
    with pytest.raises(OperationError, match="has no inventory") as refused:
        inventory.find(here)
    assert "inventory = { enabled = true }" in refused.value.remedy
    here.s3.put_bucket_inventory_configuration(
        Bucket=here.assets_bucket,
        Id="daily",
        InventoryConfiguration={
            "Id": "daily",
            "IsEnabled": True,
            "IncludedObjectVersions": "Current",
            "Schedule": {"Frequency": "Daily"},
            "Destination": {
                "S3BucketDestination": {"Bucket": "arn:aws:s3:::assets", "Format": "CSV"}
            },
        },
    )
    with pytest.raises(OperationError, match="has not delivered") as refused:
        inventory.find(here)
    assert "48 hours" in refused.value.remedy


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sourceBucket": "uploads"}, "is of the bucket uploads, not of assets"),
        ({"fileSchema": "Bucket, Key, Size"}, "lacks LastModifiedDate"),
        ({"fileFormat": "Parquet"}, "is Parquet, not CSV"),
        ({"files": "none"}, "is not S3's"),
        ({"fileSchema": None}, "is not S3's"),
    ],
)
def test_a_manifest_of_something_else_is_refused(
    here: Deployment, changed: dict[str, Any], said: str
) -> None:
    inventories.deliver(here.s3, here.assets_bucket, TAKEN, [], **changed)
    with pytest.raises(OperationError, match=said):
        inventory.find(here)


def test_a_manifest_that_its_checksum_does_not_fit_is_refused(here: Deployment) -> None:
    prefix = inventories.deliver(here.s3, here.assets_bucket, TAKEN)
    here.s3.put_object(Bucket=here.assets_bucket, Key=f"{prefix}manifest.json", Body=b"{}")
    with pytest.raises(OperationError, match="not what its checksum says"):
        inventory.find(here)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "is missing"),
        (gzip.compress(b'"assets","avatars/ada.jpg"\n'), "is not what its MD5 says"),
    ],
    ids=["missing", "another"],
)
def test_a_file_that_is_missing_or_another_is_refused(
    here: Deployment, body: bytes | None, said: str
) -> None:
    inventories.deliver(here.s3, here.assets_bucket, TAKEN)
    found = inventory.find(here)
    key = list(found.files)[1]
    if body is None:
        here.s3.delete_object(Bucket=here.assets_bucket, Key=key)
    else:
        here.s3.put_object(Bucket=here.assets_bucket, Key=key, Body=body)
    with pytest.raises(OperationError, match=f"{key} {said}") as refused:
        inventory.load(here, found, ignore, ALL)
    assert "INVENTORY=2026-01-31" in refused.value.remedy


@pytest.mark.parametrize(
    "body",
    [
        b"not compressed",
        gzip.compress(b'"assets","avatars/ada.jpg"\n'),
        gzip.compress(b'"assets","avatars/ada.jpg","yesterday"\n'),
        gzip.compress(b'"assets","avatars/ada.jpg","2026-01-30T01:00:00.000Z"\n' * 99)[:-9],
    ],
    ids=["not compressed", "without a time", "no time", "cut short"],
)
def test_a_file_that_can_not_be_read_is_refused(here: Deployment, body: bytes) -> None:
    key = "inventory/assets/daily/data/one.csv.gz"
    here.s3.put_object(Bucket=here.assets_bucket, Key=key, Body=body)
    file = {"key": key, "size": len(body), "MD5checksum": inventories.md5(body)}
    inventories.deliver(here.s3, here.assets_bucket, TAKEN, [], files=[file])
    with pytest.raises(OperationError, match="can't be read"):
        walk(here)


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(here: Deployment, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ENV", "local")

    def run_it(*arguments: str) -> tuple[int, str]:
        with terminal.out.capture() as shown, terminal.err.capture() as wrong:
            result = CliRunner().invoke(queue.app, ["reconcile", *arguments])
        return result.exit_code, " ".join((result.stdout + shown.get() + wrong.get()).split())

    return run_it


def test_the_command_says_how_old_the_list_is_and_what_it_spared(
    here: Deployment, run: Run
) -> None:
    show(here, "ada.jpg")
    upload(here, "lost.jpg")
    taken = datetime.now(UTC) - timedelta(hours=31, minutes=10)
    inventories.deliver(here.s3, here.assets_bucket, taken)
    code, shown = run("--inventory", "1", "--dry-run")
    assert code == 0, shown
    assert "2 originals: 1 shown, 0 rejected, 1 to process. 1 HEADs spared by" in shown
    assert f"the inventory of {taken:%Y-%m-%d %H:%M} UTC, 31 h old." in shown
    assert deployments.waiting(here, here.queue_url) == 0
    code, shown = run("--inventory", f"{taken:%Y-%m-%d}", "--json")
    assert code == 0, shown
    answer, _ = json.JSONDecoder().raw_decode(shown, shown.index('{"shown"'))
    assert (answer["queued"], answer["spared"], answer["profiles"]) == (1, 1, None)
    assert answer["inventory"] == f"{taken:%Y-%m-%dT%H:%M}:00+00:00"
    assert deployments.waiting(here, here.queue_url) == 1


def test_all_are_not_queued_by_a_list_of_what_need_not_be(run: Run) -> None:
    code, shown = run("--inventory", "1", "--all")
    assert code != 0
    assert "Use one of them" in shown


def test_a_walk_that_is_cut_off_goes_on_by_the_same_list(
    here: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object, **__: object) -> Iterator[Findings]:
        yield Findings(shown=999, spared=990, last_key="k.jpg")
        raise OperationError("S3 is away.", "Try again.")

    inventories.deliver(here.s3, here.assets_bucket, TAKEN)
    monkeypatch.setattr("console.operations.pipeline.reconcile.reconcile", cut_off)
    code, shown = run("--inventory", "1")
    assert code != 0
    assert "To go on from here: make reconcile INVENTORY=2026-01-30 AFTER=k.jpg" in shown


def test_profiles_are_not_compared_by_a_list(
    here: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventories.deliver(here.s3, here.assets_bucket, TAKEN)
    with_database = replace(here, database_url_parameter="/url")
    monkeypatch.setattr(queue, "deployed", lambda: with_database)
    upload(here, "lost.jpg")
    code, shown = run("--inventory", "1", "--dry-run")
    assert code == 0, shown
    assert "Profiles were not compared" in shown


ORIGINALS, LOST = 10_000, 25


def test_calls_for_ten_thousand_originals_of_which_25_were_lost(here: Deployment) -> None:
    """Listings and metadata are answered at the client's edge, page by page."""
    at = datetime(2026, 1, 29, 12, tzinfo=UTC)
    sent = {f"{n:05}.jpg": inventories.md5(str(n).encode()) for n in range(ORIGINALS)}
    lost = set(list(sent)[:: ORIGINALS // LOST])
    keys = sorted(sent)

    def listing(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        asked = params["query_string"]
        if asked.get("prefix"):
            return None  # of inventories
        after = asked.get("continuation-token") or asked.get("start-after") or ""
        page = [key for key in keys if key > after][:1000]
        answer: dict[str, Any] = {
            "Contents": [{"Key": k, "ETag": f'"{sent[k]}"', "LastModified": at} for k in page],
            "IsTruncated": page[-1] != keys[-1],
        }
        return AWSResponse("", 200, {}, None), answer | (
            {"NextContinuationToken": page[-1]} if answer["IsTruncated"] else {}
        )

    def head(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        found = re.search(r"avatars/(\d+)\.jpg", params["url_path"])
        if not found:
            return None
        key = f"{found[1]}.jpg"
        shown = {} if key in lost else {"version": sent[key], "uploaded": at.isoformat()}
        return AWSResponse("", 200, {}, None), {"Metadata": shown}

    def versions(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        return AWSResponse("", 200, {}, None), {"Versions": [], "IsTruncated": False}

    rows = [
        (made, at + timedelta(seconds=1))
        for key, etag in sent.items()
        if key not in lost
        for made in (f"avatars/{key}", f"variants/{key[:-4]}/{etag}/512.jpg")
    ]
    inventories.deliver(here.s3, here.assets_bucket, TAKEN, rows)
    events = here.s3.meta.events
    events.register("before-call.s3.ListObjectsV2", listing)
    events.register("before-call.s3.HeadObject", head)
    events.register("before-call.s3.ListObjectVersions", versions)
    asked = deployments.calls(here.s3)

    *_, before = reconcile(here, ignore, dry_run=True)
    assert before.walked == ORIGINALS
    assert {name: asked.count(name) for name in set(asked)} == {
        "ListObjectsV2": 10,
        "HeadObject": 10_000,
        "ListObjectVersions": LOST,
    }
    asked.clear()
    found = walk(here)
    assert (found.walked, found.spared) == (ORIGINALS, ORIGINALS - LOST)
    assert {name: asked.count(name) for name in set(asked)} == {
        "ListObjectsV2": 1 + 10,
        "GetObject": 2 + 2,
        "HeadObject": 2 + LOST,
        "ListObjectVersions": LOST,
    }
