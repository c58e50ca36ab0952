"""The audit: one line for each action, filtered, kept, and never lost."""

from __future__ import annotations

import csv
import io
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from console.operations.audit import audit
from console.operations.audit.access import Actor
from console.operations.audit.audit import AlreadyDoneError, Audit, Filter
from console.operations.errors import OperationError

ADA = Actor("ada", may_operate=True)
GRACE = Actor("grace", may_operate=True)
VIEWER = Actor("vera", may_operate=False)


@pytest.fixture
def record(empty_database: str, tmp_path: Path) -> Audit:
    return Audit("test", lambda: empty_database, tmp_path / "waiting.jsonl")


def perform(record: Audit, actor: Actor, action: str, target: str) -> None:
    record.perform(actor, action, target, audit.new_key(), lambda: f"{target} done")


def test_an_action_is_one_line_with_its_outcome_and_how_long_it_took(record: Audit) -> None:
    perform(record, ADA, "clear", "data")
    (found,) = record.actions()
    assert (found.actor, found.action, found.target) == ("ada", "clear", "data")
    assert (found.outcome, found.detail) == ("done", "data done")
    assert found.seconds is not None
    assert found.seconds >= 0


def test_a_failure_says_why_and_what_runs_is_shown_as_running(record: Audit) -> None:
    def fail() -> None:
        raise OperationError("The bucket is gone.", "Make it.")

    with pytest.raises(OperationError):
        record.perform(ADA, "clear", "data", "1", fail)
    seen: list[str] = []
    record.perform(
        ADA, "migrate", "head", "2", lambda: seen.extend(a.outcome for a in record.actions())
    )
    assert seen == ["running", "failed"]
    assert "bucket is gone" in record.actions()[1].detail


def test_one_key_acts_once_and_a_viewer_never(record: Audit) -> None:
    done: list[int] = []
    start = threading.Barrier(2)

    def click() -> None:
        start.wait()
        try:
            record.perform(ADA, "clear", "data", "one click", lambda: done.append(1))
        except AlreadyDoneError:
            done.append(0)

    clicks = [threading.Thread(target=click) for _ in range(2)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()
    assert sorted(done) == [0, 1]
    with pytest.raises(OperationError, match="change nothing"):
        perform(record, VIEWER, "clear", "data")
    assert len(record.actions()) == 1


def test_filters_narrow_by_all_that_is_shown(record: Audit) -> None:
    perform(record, ADA, "clear", "Data")
    perform(record, GRACE, "clear", "other")
    perform(record, GRACE, "migrate", "head")

    def targets(wanted: Filter) -> list[str]:
        return [action.target for action in record.actions(wanted)]

    assert targets(Filter()) == ["head", "other", "Data"]
    assert targets(Filter(actors=("grace",), actions=("clear",))) == ["other"]
    assert targets(Filter(target="dAt")) == ["Data"]
    assert targets(Filter(target="%")) == []
    assert targets(Filter(outcomes=("failed", "running"))) == []
    now = datetime.now(UTC)
    assert len(targets(Filter(since=now - timedelta(hours=1), until=now))) == 3
    assert targets(Filter(since=now)) == targets(Filter(until=now - timedelta(hours=1))) == []
    assert record.choices() == audit.Choices(("ada", "grace"), ("clear", "migrate"))
    assert len(record.actions(limit=2)) == 2


def test_entries_wait_for_the_database_and_follow(empty_database: str, tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    record = Audit("test", lambda: url, tmp_path / "waiting.jsonl")
    perform(record, ADA, "clear", "data")
    assert record.waiting() == 2
    with pytest.raises(OperationError, match="can't be reached"):
        record.actions()
    url = empty_database
    (found,) = record.actions()
    assert (found.outcome, record.waiting()) == ("done", 0)


def test_two_processes_that_share_the_file_lose_nothing(
    empty_database: str, tmp_path: Path
) -> None:
    away, file = "postgresql://nobody@127.0.0.1:1/none", tmp_path / "waiting.jsonl"
    writers = [Audit("test", lambda: away, file) for _ in range(2)]
    reader = Audit("test", lambda: empty_database, file)

    def write(who: int, record: Audit) -> None:
        for number in range(20):
            perform(record, ADA, "clear", f"{who}-{number}")

    threads = [threading.Thread(target=write, args=pair) for pair in enumerate(writers)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        reader.actions()
    found = reader.actions()
    assert len(found) == 40
    assert {action.outcome for action in found} == {"done"}


def test_entries_can_be_neither_changed_nor_removed(record: Audit, empty_database: str) -> None:
    perform(record, ADA, "clear", "data")
    for change in ("DELETE FROM", "TRUNCATE", "UPDATE"):
        end = " SET actor = 'nobody'" if change == "UPDATE" else ""
        with (
            psycopg.connect(empty_database) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"),
        ):
            connection.execute(f"{change} avatar_ops.audit_entries{end}".encode())


def test_downloads_hold_the_whole_line_and_start_no_formula(record: Audit) -> None:
    perform(record, ADA, "clear", '=HYPERLINK("http://x")')
    found = record.actions()
    (row,) = csv.DictReader(io.StringIO(audit.as_csv(found)))
    assert row["target"] == '\'=HYPERLINK("http://x")'
    assert (row["actor"], row["outcome"]) == ("ada", "done")
    (line,) = audit.as_json_lines(found).splitlines()
    assert json.loads(line)["target"] == '=HYPERLINK("http://x")'
    assert datetime.fromisoformat(json.loads(line)["ended"]) == found[0].ended
