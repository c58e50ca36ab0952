"""The avatar always ends at the newest good upload, and broken code is noticed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from profiles import avatar
from resize import store
from tests.conftest import ORDER
from tests.unit.order.machine import Order, OrderError, World
from tests.unit.order.workers import THREAD, Client

RUNS = int(os.environ.get("ORDER_RUNS", "0"))
"""Where set, so many runs, other ones each time; else the same few each time."""

Property = Callable[[str, object], None]


def run(world: World, runs: int, **more: Any) -> None:
    run_state_machine_as_test(
        type("Order", (Order,), {"world": world}),
        settings=settings(
            max_examples=runs,
            stateful_step_count=60,
            database=None,
            deadline=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            **more,
        ),
    )


def test_the_avatar_ends_at_the_newest_good_upload(world: World, record_property: Property) -> None:
    run(world, RUNS or 200, derandomize=not RUNS)
    record_property(ORDER, str(world))
    assert world.crashes
    assert THREAD not in {thread.name for thread in threading.enumerate()}


class Unconditional(Client):
    """Writes the pointer whatever it says by now."""

    def call(self, operation: str, arguments: dict[str, Any]) -> Any:
        arguments.pop("IfMatch", None)
        arguments.pop("IfNoneMatch", None)
        return super().call(operation, arguments)


def no_condition(world: World, _: pytest.MonkeyPatch) -> None:
    world.client = Unconditional


def sequencers_as_numbers(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "is_later", lambda one, other: int(one, 16) > int(other, 16))


def sequencers_of_all_keys(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        store, "_same_order", lambda upload, shown: bool(upload.sequencer and shown.sequencer)
    )


def picture_without_comment(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_signed_with", lambda picture, _: picture)


def pointer_before_variants(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.Store, "write_variants", lambda *_: None)


def last_message_wins(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.Store, "_is_newer", lambda *_: True)


def version_read_before_the_lock(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = avatar.record

    def early(connection: Any, name: str, current: avatar.CurrentVersion) -> str | None:
        version = current(name)
        return record(connection, name, lambda _: version)

    monkeypatch.setattr(avatar, "record", early)


BROKEN = {
    no_condition: "goes back",
    sequencers_as_numbers: "goes back",
    sequencers_of_all_keys: "is lost",
    picture_without_comment: "goes back",
    pointer_before_variants: "before variants/",
    last_message_wins: "goes back",
    version_read_before_the_lock: "the database says",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_broken_code_is_noticed(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Property,
    broken: Callable[[World, pytest.MonkeyPatch], None],
) -> None:
    broken(world, monkeypatch)
    with pytest.raises(OrderError, match=BROKEN[broken]):
        run(world, 1000, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
    what = broken.__name__.replace("_", " ")
    record_property(ORDER, f"broken on purpose ({what}): noticed within {world.runs} runs")
