"""A user's avatar and banner are ordered each by itself, whatever happens to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from console.operations.accounts import erasure
from console.operations.uploads import names
from picture_kinds import AVATAR, BANNER
from profiles import avatar
from resize import events, leftovers, store
from tests.conftest import ORDER
from tests.unit.order import machine
from tests.unit.order.histories import run, run_to_first_fault
from tests.unit.order.machine import (
    CROPS,
    NAME,
    PICTURES,
    Order,
    OrderError,
    World,
    is_good,
    placeholder,
)
from tests.unit.order.s3 import Stored
from tests.unit.order.test_order import RUNS, Property

KEY = BANNER.folder + NAME
Broken = Callable[[pytest.MonkeyPatch], None]


class BannersToo(Order):
    """All that may happen to an avatar, and uploads, crops and removals of a banner.

    Attributes
    ----------
    banners
        The uploads and removals of the banner.
    banner
        What it shows.
    banner_removed
        The time of the last removal by an operator, which is an erasure.
    """

    def __init__(self) -> None:
        self.banners: list[Stored] = []
        self.banner: Stored | None = None
        self.banner_removed: datetime | None = None
        super().__init__()
        self.s3.put_object(Bucket="assets", Key="banners/banner.jpg", Body=b"the banner of all")

    @rule(picture=st.sampled_from(PICTURES), crop=st.sampled_from(CROPS))
    def upload_banner(self, picture: bytes, crop: str = "") -> None:
        metadata = {"crop": crop} if crop else {}
        self.s3.put_object(Bucket="uploads", Key=KEY, Body=picture, Metadata=metadata)

    @precondition(lambda self: self.s3.newest("uploads", KEY))
    @rule(crop=st.sampled_from(CROPS[1:]))
    def crop_banner_again(self, crop: str) -> None:
        self.world.crops += 1
        self.s3.copy_object(Bucket="uploads", Key=KEY, CopySource={}, Metadata={"crop": crop})

    @rule()
    def remove_banner(self) -> None:
        self.s3.delete_object(Bucket="uploads", Key=KEY)

    def _send_late(self) -> None:
        super()._send_late()
        self.upload_banner(PICTURES[0])

    def _put(self, bucket: str, stored: Stored) -> None:
        if bucket == "uploads" and stored.key == KEY:
            self.world.uploads += 1
            self.banners.append(stored)
            self.messages.append(machine._event(stored))
        elif stored.key == f"avatars/{KEY}.jpg":
            self.notices.append(machine._notice("ObjectCreated:Put", stored))
            self._check_banner(stored)
        elif not stored.key.startswith("banners/"):
            super()._put(bucket, stored)

    def _check_pointer(self, version_id: str) -> None:
        if any(item.version_id == version_id for item in self.banners):
            self.wrong = "the avatar shows an upload of the banner"
        else:
            super()._check_pointer(version_id)

    def _check_banner(self, stored: Stored) -> None:
        if "removed" in stored.metadata and b"banner of all" not in stored.body:
            self.wrong = "a removed banner shows another picture than that of all"
        if "source-key" not in stored.metadata:
            self.banner = None
            self.banner_removed = datetime.fromisoformat(stored.metadata["removed"])
            return
        of_banner = {item.version_id: item for item in self.banners}
        upload = of_banner.get(stored.metadata["version-id"])
        if upload is None:
            self.wrong = f"the banner shows {stored}, which is none of its uploads"
            return
        if self.banner and upload.number < self.banner.number:
            self.wrong = f"the banner goes back from {self.banner} to {upload}"
        if self.banner_removed and upload.uploaded <= self.banner_removed:
            self.wrong = f"the banner shows {upload}, which was removed"
        if self.is_erased and not upload.is_marker:
            self.wrong = f"the banner of an erased account shows {upload}"
        for key in () if upload.is_marker else self._banner_variants(upload):
            if not self.s3.newest("assets", key):
                self.wrong = f"the banner shows {upload} before {key} exists"
        self.banner = upload

    def _banner_variants(self, upload: Stored) -> Iterator[str]:
        for variant in ("1500x500.jpg", "600x200.webp"):
            yield f"variants/{KEY}/{upload.version}/{variant}"

    def _check_the_end(self) -> None:
        super()._check_the_end()
        row = self.world.watcher.execute(
            "SELECT banner_version, banner_placeholder FROM users"
        ).fetchone()
        assert row
        if self.limits.erased is not None:
            if self.is_erased:
                self._check_that_no_banner_is_left(row)
            return
        good = [item for item in self.banners if is_good(item)]
        newest = max(good, key=lambda item: item.number, default=None)
        if newest is not self.banner:
            raise OrderError(f"the banner ends at {self.banner}, not at {newest}")
        version = (newest.version or None) if newest else None
        drawn = self.drawn[next(self._banner_variants(newest))] if newest and version else b""
        expected = (version, placeholder(drawn) if version else None)
        if tuple(row.values()) != expected:
            raise OrderError(f"the database says {row}, the banner shows {expected}")

        shown = set(self._banner_variants(newest)) if newest and version else set()
        made = {
            key
            for key, kept in self.s3.buckets["assets"].items()
            if kept and key.startswith(f"variants/{KEY}/")
        }
        if made != shown:
            raise OrderError(f"of the banner {made - shown} is left, {shown - made} is lost")

    def _check_that_no_banner_is_left(self, row: dict[str, Any]) -> None:
        left: list[Any] = [value for value in row.values() if value]
        left += [
            item
            for item in self.s3.buckets["uploads"].get(KEY, [])
            if not item.is_marker and store.ERASED_TAG not in item.tags
        ]
        folders = (f"variants/{KEY}/", f"rejections/{KEY}/")
        assets = self.s3.buckets["assets"]
        left += [key for key, kept in assets.items() if kept and key.startswith(folders)]
        pointer = self.s3.newest("assets", f"avatars/{KEY}.jpg")
        if left or pointer is None or "removed" not in pointer.metadata:
            raise OrderError(f"of an erased account's banner is left {left}; it shows {pointer}")


def test_each_ends_at_its_newest_good_upload_and_nothing_is_left_of_an_erased_account(
    world: World, record_property: Property
) -> None:
    world.with_erasures = True
    run_to_first_fault(BannersToo, world, RUNS or 16, derandomize=not RUNS)
    record_property(ORDER, f"with banners: {world}")
    assert world.crashes
    assert 0 < world.ended_erased < world.runs


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("with_erasures", [False, True], ids=["living", "erased"])
def test_so_it_is_in_many_more_histories(
    world: World, record_property: Property, with_erasures: bool
) -> None:
    world.with_erasures = with_erasures
    run(BannersToo, world, RUNS or 500)
    record_property(ORDER, f"with banners, at random: {world}")


def named_without_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a banner's event for the avatar's."""
    monkeypatch.setattr(
        events.Upload, "name", property(lambda upload: upload.key.rpartition("/")[2].split(".")[0])
    )


def recorded_as_the_avatar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record what the banner shows as what the avatar shows."""
    monkeypatch.setitem(avatar._STATEMENTS, BANNER, avatar._STATEMENTS[AVATAR])


def made_as_an_avatar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events.Upload, "kind", AVATAR)


def removed_as_the_avatar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show everybody's avatar in the place of a removed banner."""
    monkeypatch.setitem(store._DEFAULT_PICTURES, BANNER, store._DEFAULT_PICTURES[AVATAR])


def not_cleaned_up(monkeypatch: pytest.MonkeyPatch) -> None:
    announce = leftovers.Leftovers.announce

    def of_avatars(self: leftovers.Leftovers, name: str) -> None:
        if name == NAME:
            announce(self, name)

    monkeypatch.setattr(leftovers.Leftovers, "announce", of_avatars)


def left_by_an_erasure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know of the avatar alone."""
    only = SimpleNamespace(**vars(names) | {"of_user": lambda sub: (sub,)})
    monkeypatch.setattr(erasure, "names", only)


BROKEN: dict[Broken, str] = {
    named_without_its_folder: "the avatar shows an upload of the banner|the banner ends at",
    recorded_as_the_avatar: "the database says",
    made_as_an_avatar: "before .* exists|a removed banner shows another picture",
    removed_as_the_avatar: "a removed banner shows another picture",
    not_cleaned_up: "of the banner .* is left",
    left_by_an_erasure: "of an erased account's banner is left",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_banner_taken_for_the_avatar_or_forgotten_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch, record_property: Property, broken: Broken
) -> None:
    broken(monkeypatch)
    world.with_erasures = broken is left_by_an_erasure
    with pytest.raises(OrderError, match=BROKEN[broken]):
        run_to_first_fault(BannersToo, world, 1000)
    what = broken.__name__.replace("_", " ")
    record_property(ORDER, f"broken on purpose ({what}): noticed within {world.runs} runs")
