"""The avatar always ends at the newest good upload, and broken code is noticed."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from avatar_crop import Crop
from cleanup.leftovers import Leftovers
from console.operations.accounts import erasure
from console.operations.avatars import takedown
from limits import Refusal
from profiles import avatar
from resize import events, store
from resize.leftovers import Leftovers as Announcing
from tests.conftest import ORDER
from tests.unit.order import machine
from tests.unit.order.histories import run, run_to_first_fault
from tests.unit.order.machine import (
    KEYS,
    NAME,
    PICTURES,
    Order,
    OrderError,
    World,
)
from tests.unit.order.s3 import sequencer_of
from tests.unit.order.workers import THREAD, Client, Ending, Worker, current

RUNS = int(os.environ.get("ORDER_RUNS", "0"))
"""Where set, so many runs, other ones each time; else the same few each time."""

Property = Callable[[str, object], None]


def test_the_avatar_ends_at_the_newest_good_upload(world: World, record_property: Property) -> None:
    run(Order, world, RUNS or 160, derandomize=not RUNS)
    record_property(ORDER, str(world))
    assert world.crashes
    assert THREAD not in {thread.name for thread in threading.enumerate()}


def test_of_an_erased_account_nothing_is_left_or_comes_back(
    world: World, record_property: Property
) -> None:
    world.with_erasures = True
    run(Order, world, RUNS or 30, derandomize=not RUNS)
    record_property(ORDER, str(world))
    assert world.erased
    assert world.uploads_of_erased
    assert world.crashes


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


def crop_not_in_the_version(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Crop, "suffix", "")


def pointer_before_variants(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin to write the variants, but don't wait until they are written."""

    @contextmanager
    def hasty(self: store.Store, *version: str) -> Iterator[Callable[[str, str, bytes], None]]:
        yield awaited(self, *version).__enter__()

    awaited = store.Store.variants
    monkeypatch.setattr(store.Store, "variants", hasty)


def last_message_wins(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.Store, "_is_newer", lambda *_: True)


def version_read_before_the_lock(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = avatar.record

    def early(connection: Any, name: str, current: avatar.CurrentVersion) -> str | None:
        version = current(name)
        return record(connection, name, lambda _: version)

    monkeypatch.setattr(avatar, "record", early)


class UnconditionalRemoval(Client):
    """Marks the avatar as removed, by an operator or by its user, whatever it shows by now."""

    by_user = False

    def call(self, operation: str, arguments: dict[str, Any]) -> Any:
        metadata = arguments.get("Metadata", {})
        if "removed" in metadata and ("source-key" in metadata) == self.by_user:
            arguments.pop("IfMatch", None)
            arguments.pop("IfNoneMatch", None)
        return super().call(operation, arguments)


def removal_without_condition(world: World, _: pytest.MonkeyPatch) -> None:
    world.client = UnconditionalRemoval


def user_removal_without_condition(world: World, _: pytest.MonkeyPatch) -> None:
    world.client = type("ByUser", (UnconditionalRemoval,), {"by_user": True})


def removal_not_compared(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    is_newer, is_known_stale = store.Store._is_newer, store._is_known_stale

    def careless(self: store.Store, upload: Any, original: Any, pointer: Any) -> bool:
        removed = pointer is not None and not pointer.source_key
        return removed or is_newer(self, upload, original, pointer)

    def hasty(upload: Any, uploaded: Any, pointer: Any) -> bool:
        removed = pointer is not None and not pointer.source_key
        return not removed and is_known_stale(upload, uploaded, pointer)

    monkeypatch.setattr(store.Store, "_is_newer", careless)
    monkeypatch.setattr(store, "_is_known_stale", hasty)


def removal_loses_its_second(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    is_known_stale = store._is_known_stale

    def careless(upload: Any, uploaded: Any, pointer: Any) -> bool:
        if pointer and not pointer.source_key and pointer.uploaded == uploaded:
            return False
        return is_known_stale(upload, uploaded, pointer)

    monkeypatch.setattr(store, "_is_known_stale", careless)
    monkeypatch.setattr(
        store.Store,
        "_is_newer",
        lambda _, upload, original, pointer: (
            not store._is_known_stale(upload, original.uploaded, pointer)
        ),
    )


def removal_by_a_fast_clock(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write = takedown._write_mark
    ahead = timedelta(seconds=5)
    monkeypatch.setattr(takedown, "_write_mark", lambda d, name, at: write(d, name, at + ahead))


def removal_marked_last(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write, delete = takedown._write_mark, takedown._delete_until_empty

    def late(deployment: Any, name: str, at: datetime, report: Any, **options: Any) -> int:
        count = delete(deployment, name, at, report, **options)
        write(deployment, name, at)
        return count

    monkeypatch.setattr(takedown, "_write_mark", lambda *_: None)
    monkeypatch.setattr(takedown, "_delete_until_empty", late)


def removals_all_alike(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takedown, "uuid", SimpleNamespace(uuid4=lambda: SimpleNamespace(hex="0")))


def listed_once(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: Counter[Any] = Counter()
    list_stored = takedown.list_stored

    def once(deployment: Any, name: str) -> takedown.Listing:
        found = list_stored(deployment, name)
        worker = current()
        listed[worker] += 1
        # for the prompt, for the two checks, and to delete
        return found if listed[worker] <= 4 else takedown.Listing(found.at, (), ())

    monkeypatch.setattr(takedown, "list_stored", once)


def not_waited_for_workers(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(*arguments: Any, **options: Any) -> int:
        clock = takedown.time
        takedown.time = SimpleNamespace(  # type: ignore[assignment]
            monotonic=lambda: 0.0, sleep=lambda _: None
        )
        try:
            return delete(*arguments, **options)
        finally:
            takedown.time = clock

    delete = takedown._delete_until_empty
    monkeypatch.setattr(takedown, "_delete_until_empty", impatient)


def later_uploads_deleted_too(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        takedown.Listing,
        "until",
        lambda self, _: [*self.originals, *(item for item in self.made if item.version)],
    )


def caches_dropped_once(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = set()
    invalidate = takedown.cdn.invalidate

    def once(*arguments: Any) -> str:
        worker = current()
        if worker in dropped:
            return ""
        dropped.add(worker)
        return invalidate(*arguments)

    monkeypatch.setattr(takedown.cdn, "invalidate", once)


def caches_not_dropped_without_objects(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    invalidate, list_stored = takedown.cdn.invalidate, takedown.list_stored
    found: dict[Any, bool] = {}

    def listing(deployment: Any, name: str) -> takedown.Listing:
        listed = list_stored(deployment, name)
        found[current()] = found.get(current(), False) or bool(listed.objects)
        return listed

    def sparing(*arguments: Any) -> str:
        return invalidate(*arguments) if found[current()] else ""

    monkeypatch.setattr(takedown, "list_stored", listing)
    monkeypatch.setattr(takedown.cdn, "invalidate", sparing)


def user_removal_not_heard_of(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_REMOVED", "ObjectRemoved:Nothing")


def user_removal_without_sequencer(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order it by time alone, as an operator's."""
    write = store.Store._write

    def careless(self: store.Store, upload: Any, *arguments: Any, **more: Any) -> Any:
        if upload.removes:
            upload = replace(upload, sequencer=None)
        return write(self, upload, *arguments, **more)

    monkeypatch.setattr(store.Store, "_write", careless)


def user_removal_without_its_key(world: World, _: pytest.MonkeyPatch) -> None:
    class Keyless(Client):
        def call(self, operation: str, arguments: dict[str, Any]) -> Any:
            if "removed" in arguments.get("Metadata", {}) and "Tagging" in arguments:
                arguments["Metadata"].pop("sequencer", None)
                arguments["Metadata"]["source-key"] = ""
            return super().call(operation, arguments)

    world.client = Keyless


def cleaned_at_once(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "DELAY", 0)


def replaced_not_announced(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Announcing, "announce", lambda *_: None)


def erased_at_once(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "_wait", lambda *_: None)


def erased_account_not_locked(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order, "count", lambda *_: None)


def erased_account_told_why(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat it as any locked one."""
    monkeypatch.setattr(machine, "Refusal", lambda _: Refusal("locked"))


def erased_account_reconciled(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order, "look_for_lock", lambda *_: None)


def erased_without_a_mark(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write = takedown._write_mark

    def careless(deployment: Any, name: str, at: datetime) -> None:
        """Delete the avatar, as there is to be nothing of it."""
        write(deployment, name, at)
        deployment.s3.delete_object(Bucket="assets", Key=f"avatars/{name}.jpg", VersionId="null")

    monkeypatch.setattr(takedown, "_write_mark", careless)


def erased_in_one_pass(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes while the avatar is taken down stays."""

    def once(change: Any, name: str, report: Any) -> str:
        return takedown.take_down(change.target, change.deployment, name).execute(report)

    monkeypatch.setattr(erasure, "_take_down", once)


BROKEN = {
    no_condition: "goes back",
    sequencers_as_numbers: "goes back",
    sequencers_of_all_keys: "goes back from|is lost|ends at",
    picture_without_comment: "goes back",
    crop_not_in_the_version: "shows another crop",
    pointer_before_variants: "before variants/",
    last_message_wins: "goes back",
    version_read_before_the_lock: "the database says",
}
REMOVALS_BROKEN = {
    removal_without_condition: "away|replaces the one",
    removal_not_compared: "was removed",
    removal_loses_its_second: "was removed|goes back",
    removal_by_a_fast_clock: "outlive|ends at None|is lost",
    removal_marked_last: "ends at|CDN still serves|is lost",
    removals_all_alike: "was removed|replaces the one",
    listed_once: "outlives? the removal",
    not_waited_for_workers: "outlives? the removal",
    later_uploads_deleted_too: "is lost|ends at|CDN still serves",
}
RIGHTS_BROKEN = {
    user_removal_without_condition: "goes back|ends at",
    user_removal_not_heard_of: "ends at",
    user_removal_without_sequencer: "goes back|ends at",
    user_removal_without_its_key: "goes back|ends at",
    cleaned_at_once: "is left|is lost|before variants/",
    replaced_not_announced: "is left",
}
ERASURES_BROKEN = {
    erased_account_not_locked: "erased account shows",
    erased_account_told_why: "is left",
    erased_account_reconciled: "erased account shows",
    erased_without_a_mark: "erased account|was removed",
}
ALL_BROKEN = BROKEN | REMOVALS_BROKEN | RIGHTS_BROKEN | ERASURES_BROKEN


# Noticed late by chance; those of removals have a history of their own below
LATE = {
    removal_without_condition,
    removals_all_alike,
    removal_marked_last,
    listed_once,
    picture_without_comment,
    sequencers_of_all_keys,
    user_removal_without_sequencer,
}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(
            broken,
            id=broken.__name__,
            marks=pytest.mark.long if broken in LATE else (),
        )
        for broken in ALL_BROKEN
    ],
)
def test_broken_code_is_noticed(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Property,
    broken: Callable[[World, pytest.MonkeyPatch], None],
) -> None:
    broken(world, monkeypatch)
    world.with_removals = broken in REMOVALS_BROKEN
    world.with_rights = broken in RIGHTS_BROKEN
    world.with_erasures = broken in ERASURES_BROKEN
    with pytest.raises(OrderError, match=ALL_BROKEN[broken]):
        run_to_first_fault(Order, world, 1000)
    what = broken.__name__.replace("_", " ")
    record_property(ORDER, f"broken on purpose ({what}): noticed within {world.runs} runs")


# What chance finds too seldom


def until(order: Order, worker: Worker, call: str) -> None:
    while not worker.call.startswith(call):
        order._step(worker)


def ends(order: Order, wrong: str) -> None:
    """Deliver everything, and check the end: nothing is wrong, or exactly that is wrong."""
    with pytest.raises(OrderError, match=wrong) if wrong else contextlib.nullcontext():
        order.nothing_is_wrong()
        order.teardown()


def resize_all(order: Order) -> None:
    """Deliver what must still come, the last first, while nobody else makes a step."""
    while order.messages or order.resizing:
        if order.resizing:
            order._step(order.resizing[0])
        else:
            order.deliver(order.messages[-1], by_queue=True)


@pytest.mark.parametrize(
    ("second", "wrong"), [(0, "ends at .*not at"), (1, "goes back from")], ids=["kept", "back"]
)
@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "of all keys"])
def test_sequencers_do_not_order_the_uploads_of_two_keys(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool, second: int, wrong: str
) -> None:
    """The key with the greater sequencers comes first, by time; as a message, first or last."""
    if broken:
        sequencers_of_all_keys(world, monkeypatch)
    order = type("Order", (Order,), {"world": world})()
    greater, less = sorted(KEYS, key=lambda key: sequencer_of(key, 1), reverse=True)
    order.upload(greater, PICTURES[0])
    order.a_second_passes()
    order.upload(less, PICTURES[1])
    if second == 0:
        order.messages.reverse()
    resize_all(order)
    ends(order, wrong if broken else "")


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "unconditional"])
def test_a_removal_yields_to_what_is_shown_at_the_last_moment(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    if broken:
        removal_without_condition(world, monkeypatch)
    order = type("Order", (Order,), {"world": world})()
    order.upload("ada", PICTURES[0])
    resize_all(order)
    removal = order._take_down()
    until(order, removal, "put_object avatars/")
    order.a_second_passes()
    order.upload("ada", PICTURES[1])
    resize_all(order)
    order._step(removal)
    ends(order, "takes the later .* away" if broken else "")
    assert broken or order.shown


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "all alike"])
def test_a_removal_does_not_take_a_later_one_for_an_earlier_one(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """An upload and its removal come between a removal's look at the mark and its own mark."""
    if broken:
        removals_all_alike(world, monkeypatch)
    order = type("Order", (Order,), {"world": world})()
    order._take_down()
    order._deliver_everything()
    slow = order._take_down()
    until(order, slow, "put_object avatars/")
    order.a_second_passes()
    order.upload("ada", PICTURES[0])
    resize_all(order)
    order.a_second_passes()
    quick = order._take_down()
    while not quick.done:
        order._step(quick)
    order._step(slow)
    ends(order, "replaces the one" if broken else "")


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "marked last"])
def test_a_removal_that_died_has_not_left_half_an_avatar(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """It dies when originals and variants are deleted."""
    if broken:
        removal_marked_last(world, monkeypatch)
    order = type("Order", (Order,), {"world": world})()
    order.upload("ada", PICTURES[0])
    order._deliver_everything()
    removal = order._take_down()
    until(order, removal, "create_invalidation")
    order._step(removal, Ending.CRASH)
    ends(order, "of the avatar is lost" if broken else "")


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "queued once"])
def test_a_picture_sent_again_while_it_is_removed_keeps_its_variants(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """The new variants are written between a listing and its deletion."""
    if broken:
        monkeypatch.setattr(takedown, "_queue_again", lambda *_: None)
        # which would see to it later
        monkeypatch.setattr(Leftovers, "_make_again", lambda *_: None)
    order = type("Order", (Order,), {"world": world})()
    order.upload("ada", PICTURES[0])
    order._deliver_everything()
    removal = order._take_down()
    until(order, removal, "delete_objects")
    order.a_second_passes()
    order.upload("ada", PICTURES[0])
    order.deliver(order.messages[0], by_queue=True)
    (worker,) = order.resizing
    order._end_of(worker)
    assert order.shown
    ends(order, "of the avatar is lost" if broken else "")
    assert order.shown


@pytest.mark.parametrize(
    ("broken", "wrong"),
    [
        (lambda *_: None, ""),
        (caches_dropped_once, "the CDN still serves"),
        (listed_once, "is left, though nothing shows it"),
    ],
    ids=["as it is", "dropped once", "listed once"],
)
def test_what_a_late_worker_wrote_is_deleted_and_leaves_the_caches_too(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    broken: Callable[[World, pytest.MonkeyPatch], None],
    wrong: str,
) -> None:
    broken(world, monkeypatch)
    order = type("Order", (Order,), {"world": world})()
    order.upload("ada", PICTURES[0])
    order.deliver(order.messages[0], by_queue=True)
    (worker,) = order.resizing
    until(order, worker, "put_object variants/")
    removal = order._take_down()
    until(order, removal, "sleep")
    order._step(worker)
    order.visit()
    assert order.cached
    ends(order, wrong)


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "only with objects"])
def test_a_removal_that_died_before_the_caches_were_dropped_is_completed(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    if broken:
        caches_not_dropped_without_objects(world, monkeypatch)
    order = type("Order", (Order,), {"world": world})()
    order.upload("ada", PICTURES[0])
    order._deliver_everything()
    order.visit()
    removal = order._take_down()
    until(order, removal, "create_invalidation")
    order._step(removal, Ending.CRASH)
    assert order.cached
    ends(order, "the CDN still serves" if broken else "")


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "not made again"])
def test_what_is_cleaned_while_it_is_sent_again_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """Variants that nothing showed are written again between their listing and their deletion."""
    if broken:
        monkeypatch.setattr(Leftovers, "_make_again", lambda *_: None)
    order = type("Order", (Order,), {"world": world})()
    for picture in PICTURES[:2]:
        order.upload("ada", picture)
        resize_all(order)
        order.minutes_pass()
    cleaner = order._clean(order.due[0])
    until(order, cleaner, "delete_objects")
    order.upload("ada", PICTURES[0])
    resize_all(order)
    while not cleaner.done:
        order._step(cleaner)
    ends(order, "of the avatar is lost" if broken else "")


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "whatever its age"])
def test_what_is_about_to_be_shown_is_not_cleaned_up(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """Its variants are written, and its worker is about to show it."""
    order = type("Order", (Order,), {"world": world})()
    for picture in PICTURES[:2]:
        order.upload("ada", picture)
        resize_all(order)
    order.minutes_pass()
    with monkeypatch.context() as patch:
        if broken:
            patch.setattr(machine, "RESIZE_SECONDS", -10)
        cleaner = order._clean(order.due[0])
    order.upload("ada", PICTURES[0])
    order.deliver(order.messages[0], by_queue=True)
    (worker,) = order.resizing
    until(order, worker, "put_object avatars/")
    while not cleaner.done:
        order._step(cleaner)
    order._step(worker)
    ends(order, "before variants/" if broken else "")


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "only when shown"])
def test_what_was_replaced_goes_although_the_worker_died(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """It dies when the new picture is shown, and before it has announced the old one."""
    order = type("Order", (Order,), {"world": world})()
    order.upload("ada", PICTURES[0])
    resize_all(order)
    order.upload("ada", PICTURES[1])
    order.deliver(order.messages[-1], by_queue=True)
    (worker,) = order.resizing
    until(order, worker, "send_message")
    order._step(worker, Ending.CRASH)
    if broken:
        monkeypatch.setattr(Announcing, "announce", lambda *_: None)
    ends(order, "is left" if broken else "")


def test_a_late_upload_does_not_bring_a_removed_avatar_back(world: World) -> None:
    """Nor does a first one that comes within the same second and is processed after it."""
    order = type("Order", (Order,), {"world": world})()
    order.upload("ada", PICTURES[0])
    order.remove("ada")
    order.deliver(order.messages[-1], by_queue=True)
    while order.resizing:
        order._step(order.resizing[0])
    ends(order, "")
    assert order.shown
    assert order.shown.is_marker


def test_what_was_removed_can_not_be_cached_again(world: World) -> None:
    order = type("Order", (Order,), {"world": world})()
    order.upload("ada", PICTURES[2])
    order._deliver_everything()
    order._take_down()
    order._deliver_everything()
    order.visit()
    ends(order, "")


def show_without_asking(order: Order) -> None:
    """Have an upload made into an avatar although the table of limits can't be asked."""
    order.upload(NAME, PICTURES[0])
    order.deliver(order.messages[-1], by_queue=True)
    (worker,) = order.resizing
    until(order, worker, "get_item")
    order._step(worker, Ending.UNAVAILABLE)
    order._end_of(worker)


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "at once"])
def test_an_address_from_before_an_erasure_is_of_no_use_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    if broken:
        erased_at_once(world, monkeypatch)
    world.with_erasures = True
    order = type("Order", (Order,), {"world": world})()
    erasing = order._erase()
    while not erasing.done:
        order._step(erasing)
    show_without_asking(order)
    ends(order, "erased account shows" if broken else "")


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "in one pass"])
def test_what_is_shown_while_an_account_is_erased_goes_too(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    if broken:
        erased_in_one_pass(world, monkeypatch)
    world.with_erasures = True
    order = type("Order", (Order,), {"world": world})()
    erasing = order._erase()
    until(order, erasing, "create_invalidation")
    order.a_second_passes()
    show_without_asking(order)
    assert order.shown
    ends(order, "account shows|is left" if broken else "")
