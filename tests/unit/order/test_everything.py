"""Erasure and legal holds among uploads that are held, reported and decided; broken code shows."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from console.operations.accounts import erasure, legal_hold, records
from console.operations.avatars import moderation, takedown
from console.operations.pipeline import reviews
from tests.conftest import ORDER
from tests.unit.order.everything import Everything
from tests.unit.order.machine import Limits, Order, OrderError, World
from tests.unit.order.s3 import S3
from tests.unit.order.test_order import RUNS, Property

Broken = Callable[[World, pytest.MonkeyPatch], None]


def run(world: World, runs: int, **more: Any) -> None:
    world.with_erasures = True
    run_state_machine_as_test(
        type("Everything", (Everything,), {"world": world}),
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


def test_of_an_erased_account_nothing_is_left_on_the_list_and_a_held_one_is_not_erased(
    world: World, record_property: Property
) -> None:
    run(
        world,
        RUNS or 200,
        derandomize=not RUNS,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    record_property(ORDER, f"with holds and erasures: {world}")
    assert world.erased
    assert world.refused_erasures
    assert world.late_decisions
    assert world.late_reports
    assert world.kept


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_so_it_is_in_many_more_histories(world: World, record_property: Property) -> None:
    run(world, RUNS or 1500)
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
    monkeypatch.setattr("tests.unit.order.everything.REPORT_SECONDS", 10_000)


def held_before_the_lock_is_asked(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat an erased account as any other."""
    monkeypatch.setattr(Order, "count", lambda *_: None)


def erased_without_asking_for_a_hold(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Limits.transact_write_items

    def careless(self: Limits, *, TransactItems: Any) -> Any:  # noqa: N803
        kept = [each for each in TransactItems if "held" not in str(each.get("ConditionCheck"))]
        return look(self, TransactItems=kept)

    monkeypatch.setattr(Limits, "transact_write_items", careless)
    monkeypatch.setattr(erasure, "legal_hold", SimpleNamespace(**vars(legal_hold)))
    monkeypatch.setattr(erasure.legal_hold, "held_since", lambda *_: None)


def held_while_it_is_erased(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Limits.transact_write_items

    def careless(self: Limits, *, TransactItems: Any) -> Any:  # noqa: N803
        kept = [each for each in TransactItems if "erased" not in str(each.get("ConditionCheck"))]
        return look(self, TransactItems=kept)

    monkeypatch.setattr(Limits, "transact_write_items", careless)


def kept_without_words(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read = records.of_account

    def careless(*of: Any, **_: Any) -> Any:
        return read(*of, for_user=True)

    monkeypatch.setattr(records, "of_account", careless)


def kept_unlocked(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3, "_lock", lambda *_: {})


BROKEN: dict[Broken, str] = {
    reviews_left: "left on the list",
    reviews_deleted_first: "left on the list|approved and refused",
    decided_whatever_became_of_it: "left on the list|approved and refused|key",
    reported_as_it_was_seen: "left on the list",
    not_waited_for_reports: "left on the list",
    held_before_the_lock_is_asked: "left on the list|erased account",
    erased_without_asking_for_a_hold: "held by law, and",
    held_while_it_is_erased: "held by law, and",
    kept_without_words: "not among the copies",
    kept_unlocked: "are not locked",
}


# Noticed late by chance
LATE = {not_waited_for_reports, kept_without_words, reported_as_it_was_seen}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(
            broken,
            id=broken.__name__,
            marks=[pytest.mark.long, pytest.mark.timeout(1800)] if broken in LATE else (),
        )
        for broken in BROKEN
    ],
)
def test_broken_code_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch, record_property: Property, broken: Broken
) -> None:
    broken(world, monkeypatch)
    with pytest.raises((OrderError, KeyError), match=BROKEN[broken]):
        run(world, 5000, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
    what = broken.__name__.replace("_", " ")
    record_property(ORDER, f"broken on purpose ({what}): noticed within {world.runs} runs")
