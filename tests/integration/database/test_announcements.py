"""A line to all operators: the newest counts, until its time is over or somebody removes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.operations import announcements, changes
from console.operations.announcements import announce, current, withdraw
from console.operations.audit.access import Actor
from console.operations.audit.audit import Audit
from console.operations.changes import Change
from console.operations.errors import OperationError
from console.operations.progress import ignore
from tests.integration.system import NOWHERE

ADA = Actor("ada", may_operate=True)


@pytest.fixture
def record(empty_database: str, tmp_path: Path) -> Audit:
    return Audit("test", lambda: empty_database, tmp_path / "audit")


def carry_out(record: Audit, change: Change) -> None:
    changes.carry_out(change, lambda _: None, record, ADA, ignore)


def test_the_newest_line_is_shown_until_it_is_removed(record: Audit) -> None:
    assert current(record) is None
    carry_out(record, announce(NOWHERE, "No applies today", 1))
    carry_out(record, announce(NOWHERE, "No applies before noon;\nreason: a sale", 4))
    found = current(record)
    assert found
    assert (found.text, found.by) == ("No applies before noon; reason: a sale", "ada")
    hours = (found.until - datetime.now(UTC)) / timedelta(hours=1)
    assert 3.9 < hours <= 4
    carry_out(record, withdraw(NOWHERE, found))
    assert current(record) is None


def test_a_line_ends_by_itself(record: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    carry_out(record, announce(NOWHERE, "No applies today", 1))

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(hours=1, seconds=1)

    monkeypatch.setattr(announcements, "datetime", Later)
    assert current(record) is None


def test_what_can_not_be_shown_says_why() -> None:
    with pytest.raises(OperationError, match="nothing to show"):
        announce(NOWHERE, " \n ", 1)
    with pytest.raises(OperationError, match="201 characters"):
        announce(NOWHERE, "x" * 201, 1)
