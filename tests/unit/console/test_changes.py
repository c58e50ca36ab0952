"""A change is shown, confirmed, checked again, and carried out once."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from console.operations.audit.access import Actor
from console.operations.audit.audit import Audit
from console.operations.changes import (
    Change,
    StaleChangeError,
    carry_out,
    confirmed_as,
    fingerprint,
)
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.progress import Report, ignore

PROD = Target("prod", "123456789012", "eu-central-1", None, Path("state"))
OPERATOR, VIEWER = Actor("ada", may_operate=True), Actor("grace", may_operate=False)


@dataclass
class Removal:
    """A change that takes things out of a list."""

    things: list[str]
    shown: tuple[str, ...]
    target: Target = PROD
    action: str = "clear"
    subject: str = "ada"
    destructive: bool = True

    def lines(self) -> list[str]:
        return list(self.shown)

    def check(self) -> None:
        if self.shown != tuple(self.things):
            raise StaleChangeError("It holds other things now.", "Look again.")

    def execute(self, report: Report) -> str:
        del report
        self.things.clear()
        return f"{len(self.shown)} removed."


@pytest.fixture
def record(tmp_path: Path) -> Audit:
    """An audit whose database is away: its entries wait in files."""

    def url() -> str:
        raise OperationError("It is away.", "")

    return Audit("prod", url, tmp_path / "audit")


def entries(folder: Path) -> list[tuple[str, ...]]:
    files = folder.glob("audit/waiting/*")
    found = sorted((json.loads(file.read_text()) for file in files), key=lambda entry: entry["at"])
    return [
        tuple(entry[name] for name in ("actor", "action", "target", "outcome", "detail"))
        for entry in found
    ]


def agree(_change: Change) -> None:
    pass


def test_a_change_is_recorded_with_target_reason_and_outcome(record: Audit, tmp_path: Path) -> None:
    things = ["a", "b"]
    change = Removal(things, ("a", "b"))
    assert carry_out(change, agree, record, OPERATOR, ignore, reason="asked to") == "2 removed."
    assert things == []
    assert entries(tmp_path) == [
        ("ada", "clear", "ada", "started", f"{PROD}; reason: asked to"),
        ("ada", "clear", "ada", "done", "2 removed."),
    ]


def test_what_has_changed_since_it_was_shown_is_left_alone(record: Audit, tmp_path: Path) -> None:
    things = ["a"]
    change = Removal(things, ("a",))

    def meanwhile(_change: Change) -> None:
        things.append("b")

    with pytest.raises(StaleChangeError):
        carry_out(change, meanwhile, record, OPERATOR, ignore)
    assert things == ["a", "b"]
    assert [outcome for *_, outcome, _ in entries(tmp_path)] == ["started", "failed"]


def test_nothing_happens_that_is_not_confirmed_or_not_allowed(
    record: Audit, tmp_path: Path
) -> None:
    things = ["a"]
    change = Removal(things, ("a",))

    def refuse(_change: Change) -> None:
        raise OperationError("No.", "Yes.")

    with pytest.raises(OperationError, match="No"):
        carry_out(change, refuse, record, OPERATOR, ignore)
    with pytest.raises(OperationError, match="change nothing"):
        carry_out(change, agree, record, VIEWER, ignore)
    assert (things, entries(tmp_path)) == (["a"], [])


@pytest.mark.parametrize(
    "other",
    [
        {"target": replace(PROD, env="staging")},
        {"target": replace(PROD, account="999999999999")},
        {"subject": "grace"},
        {"action": "restore"},
        {"shown": ("a", "b")},
    ],
)
def test_a_confirmation_counts_for_what_was_shown_and_for_nothing_else(
    other: dict[str, object],
) -> None:
    change = Removal(["a"], ("a",))
    confirmed_as(fingerprint(change))(change)
    changed = replace(change, **other)  # type: ignore[arg-type]
    with pytest.raises(StaleChangeError, match="has changed since it was shown"):
        confirmed_as(fingerprint(change))(changed)
