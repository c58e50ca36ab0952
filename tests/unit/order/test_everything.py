"""Erasure and legal holds among uploads that are held, reported and decided; broken code shows."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from console.operations.accounts import erasure, legal_hold, records
from console.operations.avatars import moderation, takedown
from console.operations.pipeline import reviews
from tests.conftest import ORDER
from tests.unit.order.everything import Everything
from tests.unit.order.histories import run, run_to_first_fault
from tests.unit.order.machine import PICTURES, Limits, Order, OrderError, World
from tests.unit.order.s3 import S3
from tests.unit.order.test_order import RUNS, Property, ends, resize_all, until
from tests.unit.order.workers import Ending, Worker

Broken = Callable[[World, pytest.MonkeyPatch], None]


def test_of_an_erased_account_nothing_is_left_on_the_list_and_a_held_one_is_not_erased(
    world: World, record_property: Property
) -> None:
    run_to_first_fault(Everything, world, RUNS or 60, derandomize=not RUNS)
    record_property(ORDER, f"with holds and erasures: {world}")
    assert world.erased
    assert world.refused_erasures
    assert world.late_decisions
    assert world.late_reports
    assert world.kept


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_so_it_is_in_many_more_histories(world: World, record_property: Property) -> None:
    run(Everything, world, RUNS or 1500)
    record_property(ORDER, f"with holds and erasures, at random: {world}")


def reviews_left(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "drop", lambda *_: 0)


def reviews_deleted_first(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delete them before who is at work on an upload, or a report, has ended."""
    drop, mark = reviews.drop, takedown._write_mark

    def first(deployment: Any, name: str, at: Any) -> None:
        drop(deployment, name, at)
        mark(deployment, name, at)

    monkeypatch.setattr(takedown, "_write_mark", first)
    monkeypatch.setattr(reviews, "drop", lambda *_: 0)


def decided_whatever_became_of_it(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a decision on no condition, as one who has had the picture on the screen for long."""

    def careless(deployment: Any, review: Any, update: str, _condition: str, decision: Any) -> None:
        names = {"#state": "state", "#queue": "queue"}
        deployment.dynamodb.update_item(
            TableName=deployment.reviews_table,
            Key=reviews._key(review.name, review.version_id),
            UpdateExpression=update,
            ConditionExpression="attribute_not_exists(#none) OR attribute_exists(#none)",
            ExpressionAttributeNames=names | {"#none": "none"},
            ExpressionAttributeValues={":decision": {"S": decision}},
        )

    monkeypatch.setattr(reviews, "_update", careless)
    monkeypatch.setattr(moderation, "_check", lambda *_: None)


def reported_as_it_was_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the reporter's word for what is shown."""
    shown, seen = world.report._shown, {}

    def first(name: str) -> Any:
        found = shown(name)
        if found.get("version-id"):
            seen[world.runs] = found
        return seen.get(world.runs, found)

    monkeypatch.setattr(world.report, "_shown", first)


def not_waited_for_reports(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the report function might run for longer than resize."""
    monkeypatch.setattr(Order, "_outlived", lambda self: list(self.resizing))


def held_before_the_lock_is_asked(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat an erased account as any other."""
    monkeypatch.setattr(Order, "count", lambda *_: None)


def without_the_condition(of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the table not ask whether the account has that item."""
    write = Limits.transact_write_items

    def careless(self: Limits, *, TransactItems: Any) -> Any:  # noqa: N803
        kept = [each for each in TransactItems if of not in str(each.get("ConditionCheck"))]
        return write(self, TransactItems=kept)

    monkeypatch.setattr(Limits, "transact_write_items", careless)


def erased_without_asking_for_a_hold(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without_the_condition("held", monkeypatch)
    monkeypatch.setattr(erasure, "legal_hold", SimpleNamespace(**vars(legal_hold)))
    monkeypatch.setattr(erasure.legal_hold, "held_since", lambda *_: None)


def held_while_it_is_erased(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without_the_condition("erased", monkeypatch)


def kept_without_words(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read = records.of_account

    def careless(*of: Any, **_: Any) -> Any:
        return read(*of, for_user=True)

    monkeypatch.setattr(records, "of_account", careless)


def kept_unlocked(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3, "_lock", lambda *_: {})


BROKEN: dict[Broken, str] = {
    reviews_left: "left on the list|outlive the removal",
    reviews_deleted_first: "left on the list|approved and refused|outlive the removal",
    decided_whatever_became_of_it: "left on the list|approved and refused|^'key'",
    reported_as_it_was_seen: "left on the list",
    held_before_the_lock_is_asked: "left on the list|erased account",
    erased_without_asking_for_a_hold: "held by law, and",
    held_while_it_is_erased: "held by law, and",
    kept_without_words: "not among the copies",
    kept_unlocked: "are not locked",
}


# Noticed late by chance; they have histories of their own below
LATE = {held_while_it_is_erased, kept_without_words}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(broken, id=broken.__name__, marks=pytest.mark.long if broken in LATE else ())
        for broken in BROKEN
    ],
)
def test_broken_code_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch, record_property: Property, broken: Broken
) -> None:
    broken(world, monkeypatch)
    with pytest.raises((OrderError, KeyError), match=BROKEN[broken]):
        run_to_first_fault(Everything, world, 5000)
    what = broken.__name__.replace("_", " ")
    record_property(ORDER, f"broken on purpose ({what}): noticed within {world.runs} runs")


# What chance finds too seldom


def begun(world: World, mode: str = "suspicious") -> Everything:
    world.with_erasures = True
    order: Everything = type("Everything", (Everything,), {"world": world})()
    order.uploads_are_held(mode)
    return order


def shown(world: World) -> Everything:
    """Begin with an upload that has become the avatar."""
    order = begun(world)
    order.upload("ada", PICTURES[0])
    resize_all(order)
    return order


def finish(order: Everything, worker: Worker) -> None:
    while not worker.done:
        order._step(worker)


@pytest.mark.parametrize(
    ("broken", "wrong"),
    [
        (lambda *_: None, ""),
        (reviews_deleted_first, "left on the list"),
        (not_waited_for_reports, "left on the list"),
    ],
    ids=["as it is", "deleted first", "not waited for"],
)
def test_a_report_that_is_slow_does_not_outlive_an_erasure(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: Broken, wrong: str
) -> None:
    """It has seen what is shown, and writes when the avatar is taken down."""
    broken(world, monkeypatch)
    order = shown(world)
    erasing = order._erase()
    until(order, erasing, "put_object avatars/")
    report = order._report()
    until(order, report, "update_item")
    if broken is not_waited_for_reports:
        finish(order, erasing)
    else:
        until(order, erasing, "delete_objects")
        order._step(report)
    ends(order, wrong)
    assert wrong or not order.table.items


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "deleted first"])
def test_a_picture_that_is_held_while_it_is_taken_down_leaves_the_list(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """Its worker had read it before."""
    if broken:
        reviews_deleted_first(world, monkeypatch)
    order = begun(world, "all")
    order.upload("ada", PICTURES[0])
    order.deliver(order.messages[-1], by_queue=True)
    (slow,) = order.resizing
    until(order, slow, "update_item of the table")
    removing = order._take_down()
    until(order, removing, "delete_objects")
    order._step(slow)
    finish(order, removing)
    ends(order, "outlive the removal" if broken else "")


@pytest.mark.parametrize("approves", [True, False], ids=["approved", "refused"])
def test_a_decision_crossed_by_an_erasure_brings_nothing_back(world: World, approves: bool) -> None:
    """An operator had looked at it before, and decides when all is gone."""
    order = begun(world, "all")
    order.upload("ada", PICTURES[0])
    resize_all(order)
    deciding = order._decide(order.waiting[0], approves)
    until(order, deciding, "update_item")
    erasing = order._erase()
    finish(order, erasing)
    assert order.is_erased
    finish(order, deciding)
    ends(order, "")
    assert not order.table.items


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "not asked"])
def test_of_a_hold_and_an_erasure_one_begins(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """Each has found that the other is not there."""
    if broken:
        held_while_it_is_erased(world, monkeypatch)
    order = shown(world)
    holding, erasing = order._hold_by_law(), order._erase()
    until(order, holding, "transact_write_items")
    until(order, erasing, "transact_write_items")
    order._step(erasing)
    order._step(holding)
    if broken:
        with pytest.raises(OrderError, match="held by law, and"):
            order.no_held_account_is_erased()
        ends(order, "held by law, and")
    else:
        order.no_held_account_is_erased()
        ends(order, "")
        assert order.is_erased


def test_what_a_release_leaves_that_was_crossed_by_a_hold_is_deleted_by_another(
    world: World,
) -> None:
    order = shown(world)
    finish(order, order._hold_by_law())
    releasing = order._release()
    until(order, releasing, "delete_item")
    finish_from = order._hold_by_law()
    until(order, finish_from, "put_object")
    finish(order, releasing)
    finish(order, finish_from)
    assert not order.limits.held
    assert any(order.s3.buckets["holds"].values())
    ends(order, "")


def test_a_copy_that_a_dying_release_unlocked_is_locked_by_the_next_hold(world: World) -> None:
    order = shown(world)
    finish(order, order._hold_by_law())
    releasing = order._release()
    until(order, releasing, "delete_object")
    order._step(releasing, Ending.CRASH)
    finish(order, order._hold_by_law())
    assert order.limits.held
    ends(order, "")


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "without words"])
def test_a_hold_keeps_the_words_of_a_report(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    if broken:
        kept_without_words(world, monkeypatch)
    order = shown(world)
    finish(order, order._report())
    finish(order, order._hold_by_law())
    ends(order, "not among the copies" if broken else "")
