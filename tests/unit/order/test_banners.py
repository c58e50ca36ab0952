"""A user's avatar and banner are ordered each by itself, whatever happens to the other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

import picture_kinds
from picture_kinds import BANNER
from profiles import avatar
from resize import events
from tests.unit.order import machine
from tests.unit.order.machine import NAME, PICTURES, Order, OrderError, World, is_good
from tests.unit.order.s3 import Stored

KEY = BANNER.folder + NAME


class BannersToo(Order):
    """All that may happen to uploads of an avatar, and uploads and removals of a banner.

    Attributes
    ----------
    banners
        The uploads and removals of the banner.
    banner
        What it shows.
    """

    def __init__(self) -> None:
        self.banners: list[Stored] = []
        self.banner: Stored | None = None
        super().__init__()
        self.s3.put_object(Bucket="assets", Key="banners/banner.jpg", Body=b"the banner of all")

    @rule(picture=st.sampled_from(PICTURES))
    def upload_banner(self, picture: bytes) -> None:
        self.s3.put_object(Bucket="uploads", Key=KEY, Body=picture)

    @rule()
    def remove_banner(self) -> None:
        self.s3.delete_object(Bucket="uploads", Key=KEY)

    def _put(self, bucket: str, stored: Stored) -> None:
        if bucket == "uploads" and stored.key == KEY:
            self.world.uploads += 1
            self.banners.append(stored)
            self.messages.append(machine._event(stored))
        elif stored.key == f"avatars/{KEY}.jpg":
            self.notices.append(machine._notice("ObjectCreated:Put", stored))
            self._check_banner(stored)
        elif not stored.key.startswith((f"variants/{KEY}/", "banners/")):
            super()._put(bucket, stored)

    def _check_banner(self, stored: Stored) -> None:
        of_banner = {item.version_id: item for item in self.banners}
        upload = of_banner.get(stored.metadata["version-id"])
        if upload is None:
            self.wrong = f"the banner shows {stored}, which is none of its uploads"
            return
        if self.banner and upload.number < self.banner.number:
            self.wrong = f"the banner goes back from {self.banner} to {upload}"
        if upload.is_marker and b"banner of all" not in stored.body:
            self.wrong = "a removed banner shows another picture than that of all"
        self.banner = upload

    def _announced(self, **message: Any) -> dict[str, Any]:
        name = json.loads(message["MessageBody"])["name"]
        return {} if name == KEY else super()._announced(**message)

    def _check_the_end(self) -> None:
        super()._check_the_end()
        good = [item for item in self.banners if is_good(item)]
        newest = max(good, key=lambda item: item.number, default=None)
        if newest is not self.banner:
            raise OrderError(f"the banner ends at {self.banner}, not at {newest}")
        expected = (newest.version or None) if newest else None
        row = self.world.watcher.execute("SELECT banner_version FROM users").fetchone()
        assert row
        if row["banner_version"] != expected:
            raise OrderError(f"the database says {row}, the banner shows {expected}")


def run(world: World, runs: int, **more: Any) -> None:
    run_state_machine_as_test(
        type("BannersToo", (BannersToo,), {"world": world}),
        settings=settings(
            max_examples=runs,
            stateful_step_count=50,
            database=None,
            deadline=None,
            print_blob=False,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            **more,
        ),
    )


def test_avatar_and_banner_end_each_at_its_newest_good_upload(world: World) -> None:
    run(world, 60)
    assert world.crashes


def _named_without_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a banner's event for the avatar."""
    monkeypatch.setattr(
        events.Upload, "name", property(lambda upload: upload.key.rpartition("/")[2].split(".")[0])
    )


def _recorded_as_the_avatar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record what the banner shows as what the avatar shows."""
    monkeypatch.setitem(avatar._STATEMENTS, BANNER, avatar._STATEMENTS[picture_kinds.AVATAR])


def _default_of_the_avatar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events.Upload, "kind", picture_kinds.AVATAR)


@pytest.mark.parametrize(
    "broken", [_named_without_its_folder, _recorded_as_the_avatar, _default_of_the_avatar]
)
def test_a_banner_taken_for_the_avatar_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: Any
) -> None:
    broken(monkeypatch)
    with pytest.raises((OrderError, AssertionError, ValueError)):
        run(world, 300, phases=[Phase.generate], report_multiple_bugs=False)
