"""No upload is shown before it is approved, and none is lost; broken code is noticed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from console.operations.pipeline import reconcile, reviews
from resize import moderation
from resize.moderation import Moderation
from resize.store import Store
from tests.conftest import ORDER
from tests.unit.order.machine import CROPS, PICTURES, OrderError, World
from tests.unit.order.moderated import Moderated
from tests.unit.order.test_order import RUNS, Property, ends, resize_all, until
from tests.unit.order.workers import Ending

Broken = Callable[[pytest.MonkeyPatch], None]


def run(world: World, runs: int, **more: Any) -> None:
    run_state_machine_as_test(
        type("Moderated", (Moderated,), {"world": world}),
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


def test_only_what_is_approved_is_shown_in_its_place(
    world: World, record_property: Property
) -> None:
    run(world, RUNS or 60, derandomize=not RUNS)
    record_property(ORDER, f"with holds: {world}")
    assert world.crashes
    assert world.decided


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_so_it_is_in_many_more_histories(world: World, record_property: Property) -> None:
    run(world, RUNS or 3000)
    record_property(ORDER, f"with holds, at random: {world}")


def decisions_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take an approval of one upload for one of the next."""
    state = Moderation.state

    def careless(self: Moderation, upload: Any, original: Any) -> str:
        items = self.table._table.items  # type: ignore[attr-defined]
        decided = [item["state"]["S"] for place, item in items.items() if place[0] == upload.name]
        return "approved" if "approved" in decided else state(self, upload, original)

    monkeypatch.setattr(Moderation, "state", careless)


def approved_without_sequencer(monkeypatch: pytest.MonkeyPatch) -> None:
    event = reconcile.event
    monkeypatch.setattr(reconcile, "event", lambda here, key, version, _: event(here, key, version))


def taken_off_the_list_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    update = reviews._update

    def hasty(deployment: Any, review: Any, how: str, *more: Any) -> None:
        if how.startswith("SET"):
            how += " REMOVE #queue"
        else:
            return
        update(deployment, review, how, *more)

    monkeypatch.setattr(reviews, "_update", hasty)


def held_again_after_it_was_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold on no condition: what is told again takes an approval back."""
    hold = Moderation.hold

    def careless(self: Moderation, *of: Any) -> str:
        call = self.table.call

        class Unconditional:
            def call(self, operation: str, **request: Any) -> Any:
                if operation == "UpdateItem":
                    request["ConditionExpression"] = "attribute_not_exists(#no) OR #no = :state"
                    request["ExpressionAttributeNames"]["#no"] = "none"
                return call(operation, **request)

        other = Moderation(Unconditional(), self.mode, self.days)  # type: ignore[arg-type]
        return hold(other, *of)

    monkeypatch.setattr(Moderation, "hold", careless)


def shown_where_the_table_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    state = Moderation.state

    def careless(self: Moderation, *of: Any) -> str:
        try:
            return state(self, *of)
        except moderation.TableError:
            return "approved"

    monkeypatch.setattr(Moderation, "state", careless)
    monkeypatch.setattr(moderation, "TableError", Exception, raising=False)


def decided_by_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the second of two operators overrule the first."""
    update = reviews._update

    def careless(deployment: Any, review: Any, how: str, condition: str, decision: Any) -> None:
        if how.startswith("SET"):
            condition = "attribute_exists(#queue) OR #state = :seen OR #state = :decision"
        update(deployment, review, how, condition, decision)

    monkeypatch.setattr(reviews, "_update", careless)
    monkeypatch.setattr("console.operations.avatars.moderation._check", lambda *_: None)


def told_after_it_was_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the user's record when an operator may have refused the picture already."""
    write, hold = Store.write_record, Moderation.hold
    waiting: dict[int, Any] = {}

    def later(self: Store, upload: Any, original: Any, code: str, message: str) -> None:
        if code == "held":
            waiting[id(original)] = (self, upload, original, code, message)
        else:
            write(self, upload, original, code, message)

    def first(self: Moderation, upload: Any, original: Any, *more: Any) -> str:
        state = hold(self, upload, original, *more)
        if id(original) in waiting:
            write(*waiting.pop(id(original)))
        return state

    monkeypatch.setattr(Store, "write_record", later)
    monkeypatch.setattr(Moderation, "hold", first)


def test_an_approval_of_another_upload_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch, record_property: Property
) -> None:
    decisions_of_the_name(monkeypatch)
    with pytest.raises(OrderError, match="which is rejected"):
        run(world, 1000, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
    what = "decisions of the name"
    record_property(ORDER, f"broken on purpose ({what}): noticed within {world.runs} runs")


# What chance finds too seldom


def begun(world: World) -> Moderated:
    order: Moderated = type("Moderated", (Moderated,), {"world": world})()
    return order


def decide(order: Moderated, key: str, *, approves: bool) -> None:
    """Decide on the oldest upload of a key that waits."""
    review = min(
        (item for item in order.waiting if item.key == key), key=lambda item: str(item.sequencer)
    )
    worker = order._decide(review, approves)
    while not worker.done:
        order._step(worker)


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "without sequencer"])
def test_one_of_three_within_a_second_is_shown_when_it_is_approved(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """Without its sequencer nothing but what is newest would count."""
    if broken:
        approved_without_sequencer(monkeypatch)
    order = begun(world)
    order.upload("ada", PICTURES[1])
    resize_all(order)
    decide(order, "ada", approves=True)
    resize_all(order)
    order.upload("ada", PICTURES[0])
    order.upload("ada", PICTURES[2])
    resize_all(order)
    decide(order, "ada", approves=True)
    ends(order, "ends at" if broken else "")
    assert broken or (order.shown and order.shown.body == PICTURES[0])


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "told later"])
def test_who_was_refused_is_told_that_and_not_that_it_is_held(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """A worker that told the user last is slow, and the picture is refused meanwhile."""
    if broken:
        told_after_it_was_held(monkeypatch)
    order = begun(world)
    order.upload("ada", PICTURES[0])
    order.deliver(order.messages[0], by_queue=True)
    (slow,) = order.resizing
    until(order, slow, "update_item")
    order._step(slow)
    while not slow.done and broken is False:
        order._step(slow)
    decide(order, "ada", approves=False)
    order.deliver(order.messages[-1], by_queue=True)
    quick = order.resizing[-1]
    while not quick.done:
        order._step(quick)
    while not slow.done:
        order._step(slow)
    ends(order, "user is told" if broken else "")


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "taken off first"])
def test_an_approval_that_died_before_it_was_sent_stays_on_the_list(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    if broken:
        taken_off_the_list_before_it_is_sent(monkeypatch)
    order = begun(world)
    order.upload("ada", PICTURES[0])
    resize_all(order)
    worker = order._decide(order.waiting[0], approves=True)
    until(order, worker, "send_message")
    order._step(worker, Ending.CRASH)
    assert [left.state for left in order.waiting] == ([] if broken else ["approved"])
    ends(order, "ends at" if broken else "")
    assert broken or order.shown
    assert not order.waiting


def test_an_older_upload_that_is_approved_later_does_not_come_back(world: World) -> None:
    order = begun(world)
    order.upload("ada", PICTURES[0])
    order.a_second_passes()
    order.upload("ada", PICTURES[1])
    resize_all(order)
    older, newer = sorted(order.waiting, key=lambda item: item.uploaded)
    for review in (newer, older):
        worker = order._decide(review, approves=True)
        while not worker.done:
            order._step(worker)
        resize_all(order)
    ends(order, "")
    assert order.shown
    assert order.shown.body == PICTURES[1]


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "held again"])
def test_a_slow_worker_does_not_take_a_decision_back(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """Two work on an upload; one holds it, an operator refuses it, then the other holds it."""
    if broken:
        held_again_after_it_was_decided(monkeypatch)
    order = begun(world)
    order.upload("ada", PICTURES[0])
    order.deliver(order.messages[0], by_queue=True)
    (slow,) = order.resizing
    until(order, slow, "update_item")
    order.deliver_again(order.delivered[0], by_queue=True)
    quick = order.resizing[-1]
    while not quick.done:
        order._step(quick)
    decide(order, "ada", approves=False)
    while not slow.done:
        order._step(slow)
    for review in order.waiting:  # an operator who finds it there approves it
        worker = order._decide(review, approves=True)
        while not worker.done:
            order._step(worker)
    ends(order, "approved and refused" if broken else "")


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "the last counts"])
def test_of_two_operators_the_first_decides(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """Both have looked at it, and found that it waits."""
    if broken:
        decided_by_the_last(monkeypatch)
    order = begun(world)
    order.upload("ada", PICTURES[0])
    resize_all(order)
    both = [order._decide(order.waiting[0], approves=approves) for approves in (True, False)]
    until(order, both[1], "update_item")
    until(order, both[0], "send_message")
    for worker in reversed(both):
        while not worker.done:
            order._step(worker)
    ends(order, "approved and refused|ends at" if broken else "")
    assert broken or order.shown


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "shown"])
def test_nothing_is_shown_while_the_table_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    if broken:
        shown_where_the_table_is_away(monkeypatch)
    order = begun(world)
    order.upload("ada", PICTURES[0])
    order.deliver(order.messages[0], by_queue=True)
    (worker,) = order.resizing
    until(order, worker, "query")
    order._step(worker, Ending.UNAVAILABLE)
    ends(order, "which is rejected" if broken else "")
    assert broken or order.waiting


def only_centres(order: Moderated) -> None:
    """Let a verdict function hold what has no crop, and find nothing in any crop."""
    judge = SimpleNamespace(ask=lambda _upload, original, _picture: (original.crop is None, None))
    order.world.resize.moderation = Moderation(  # type: ignore[attr-defined]
        cast("Any", order.dynamodb), "suspicious", 90, cast("Any", judge)
    )


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "of this version alone"])
@pytest.mark.parametrize("refused", [False, True], ids=["held", "refused"])
@pytest.mark.parametrize("copied", [False, True], ids=["sent again", "copied"])
def test_no_crop_gets_round_what_was_held_or_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool, refused: bool, copied: bool
) -> None:
    if broken:
        monkeypatch.setattr(moderation, "_state_in_another_crop", lambda *_: "")
    order = begun(world)
    only_centres(order)
    order.upload("ada", PICTURES[0])
    resize_all(order)
    if refused:
        decide(order, "ada", approves=False)
        resize_all(order)
    if copied:
        order.crop_again(CROPS[1])
    else:
        order.a_second_passes()
        order.upload("ada", PICTURES[0], CROPS[1])
    resize_all(order)
    ends(order, "which is rejected" if broken else "")
    assert broken or not order.shown
    assert broken or len(order.waiting) == (0 if refused else 2)


def test_a_crop_of_what_was_held_is_decided_by_itself(world: World) -> None:
    order = begun(world)
    order.upload("ada", PICTURES[0])
    order.crop_again(CROPS[1])
    resize_all(order)
    cropped = max(order.waiting, key=lambda review: str(review.sequencer))
    worker = order._decide(cropped, approves=True)
    while not worker.done:
        order._step(worker)
    resize_all(order)
    assert order.shown
    assert order.shown.version == cropped.etag
    decide(order, "ada", approves=True)
    ends(order, "")
    assert order.shown.version == cropped.etag, "the older one is not shown any more"


def test_nothing_that_was_held_comes_after_its_user_removed_the_avatar(world: World) -> None:
    order = begun(world)
    order.upload("ada", PICTURES[0])
    resize_all(order)
    order.a_second_passes()
    order.remove("ada")
    resize_all(order)
    decide(order, "ada", approves=True)
    ends(order, "")
    assert order.shown
    assert order.shown.is_marker


def test_a_take_down_takes_what_is_held_off_the_list(world: World) -> None:
    order = begun(world)
    order.upload("ada", PICTURES[0])
    resize_all(order)
    order._take_down()
    order._deliver_everything()
    assert not order.table.items
    ends(order, "")
