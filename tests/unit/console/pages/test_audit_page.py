"""The audit page: filters, downloads, what runs, and without a database."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from console import session
from console.operations import progress
from console.operations.audit import audit, schema
from console.operations.audit.access import Actor, os_user
from console.operations.errors import OperationError
from console.operations.progress import Event, StoppedError
from tests.integration.system import wait_until
from tests.unit.console.pages.conftest import Show, text

ADA = Actor("ada", may_operate=True)


@pytest.fixture
def record(settings: Path, empty_database: str, monkeypatch: pytest.MonkeyPatch) -> audit.Audit:
    """The console's own audit, on an empty database."""
    monkeypatch.setenv("DATABASE_URL", empty_database)
    return session.the_audit()


def test_it_says_what_will_be_listed_while_nothing_is(show: Show, record: audit.Audit) -> None:
    assert "Nothing was done yet" in text(show("audit"))


def test_actions_are_filtered_and_ended_ones_show_how_long_they_took(
    show: Show, record: audit.Audit
) -> None:
    record.perform(ADA, "clear", "data", "1", lambda: None)
    grace = Actor("arn:aws:sts::123456789012:assumed-role/ops/grace", may_operate=True)
    record.perform(grace, "invalidate", "/a", "2", lambda: "I1")
    app = show("audit", group="viewers")
    rows = app.dataframe[0].value
    assert list(rows["Who"]) == ["assumed-role/ops/grace", "ada"]
    assert list(rows["Outcome"]) == ["✓ done", "✓ done"]
    assert rows["Took"][0].endswith("ms")
    assert rows["Detail"][0] == "I1"
    app.multiselect(key="audit who").set_value(["ada"]).run()
    assert list(app.dataframe[0].value["Target"]) == ["data"]
    app.text_input(key="audit target").set_value("nothing like it").run()
    assert "Take a filter away" in text(app)


def test_older_actions_are_a_page_further_each_once(
    show: Show, record: audit.Audit, empty_database: str
) -> None:
    record.perform(ADA, "clear", "newest", "newest", lambda: None)
    with psycopg.connect(empty_database) as connection:
        connection.execute(
            "INSERT INTO avatar_ops.audit_entries"
            " (at, actor, environment, action, target, key, outcome, detail)"
            # in pairs of the same moment, one of which is cut in two by the page's end
            " SELECT now() - interval '1 day' - (i / 2) * interval '1 s', 'ada', 'local', 'clear',"
            " 'data ' || i, 'key ' || i, 'started', '' FROM generate_series(1, 1200) AS i"
        )
    app = show("audit")
    buttons = {button.label: button for button in app.button}
    assert "Newer" not in buttons
    seen = list(app.dataframe[0].value["Target"])
    assert seen[0] == "newest"
    assert "500 newest actions" in text(app)
    for more in (500, 201):
        next(button for button in app.button if button.label == "Older").click().run()
        page = list(app.dataframe[0].value["Target"])
        assert len(page) == more
        seen += page
    assert "Older" not in {button.label for button in app.button}
    assert len(set(seen)) == len(seen) == 1201
    next(button for button in app.button if button.label == "Newer").click().run()
    assert list(app.dataframe[0].value["Target"]) == seen[500:1000]


def test_what_runs_is_shown_as_running(show: Show, record: audit.Audit) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(60)

    thread = threading.Thread(target=lambda: record.perform(ADA, "migrate", "head", "1", work))
    thread.start()
    try:
        assert begun.wait(60)
        app = show("audit")
        assert list(app.dataframe[0].value["Outcome"]) == ["… running"]
        assert app.dataframe[0].value["Took"][0].endswith("so far")
    finally:
        may_end.set()
        thread.join()


def test_what_runs_anywhere_is_on_every_page_and_stopped_there(
    show: Show, record: audit.Audit, empty_database: str, tmp_path: Path
) -> None:
    elsewhere = audit.Audit("local", lambda: empty_database, tmp_path / "elsewhere")
    begun = threading.Event()

    def work() -> None:
        report = elsewhere.follow("1", progress.ignore)
        while True:
            report(Event("Redrive", "advanced", "a*b", done=1200, total=20_000, may_stop=True))
            begun.set()
            time.sleep(0.1)

    def perform() -> None:
        with suppress(StoppedError):
            elsewhere.perform(ADA, "redrive", "20,000 failures", "1", work)

    thread = threading.Thread(target=perform)
    thread.start()
    try:
        assert begun.wait(60)
        wait_until(lambda: record.running()[0].steps, "its first word")
        app = show("cdn", group="viewers")
        assert r"Redrive 1,200 of 20,000 \(a\*b\)" in text(app)
        assert stop_of(app).disabled
        app = show("costs")
        stop_of(app).click().run()
        thread.join(20)
    finally:
        with suppress(OperationError):  # the button did it
            record.stop("1", ADA)
        thread.join(20)
    assert f"Stopped by {os_user()}" in record.actions()[0].detail
    wait_until(lambda: "redrive" not in text(show("costs")), "its being gone")


def stop_of(app: AppTest) -> Any:
    return next(button for button in app.sidebar.button if button.label == "Stop")


def test_what_was_cut_off_is_on_every_page_with_how_far_it_had_come(
    show: Show, record: audit.Audit, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(empty_database) as connection:
        schema.ensure(connection)
        connection.execute(
            "INSERT INTO avatar_ops.audit_entries"
            " (at, actor, environment, action, target, key, outcome, detail, process)"
            " VALUES (now(), 'ada', 'local', 'clear', 'data', '1', 'started', '', 'elsewhere')"
        )
        connection.execute(
            "UPDATE avatar_ops.audit_running SET seen = now() - interval '1 minute', steps = %s",
            (json.dumps([{"step": "Originals", "state": "advanced", "done": 7, "newer": True}]),),
        )
    assert "1 running" in labels(show("cdn", group="viewers"))
    app = show("cdn")
    assert "1 cut off" in labels(app)
    assert r"it had come to\: Originals 7" in text(app)
    assert record.actions()[0].outcome == "interrupted"


def labels(app: AppTest) -> list[str]:
    """Return what the sidebar offers to open."""
    return [block.proto.popover.label for block in app.sidebar.get("popover")]


def test_without_a_database_it_says_so_and_what_waits(
    show: Show, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://x@127.0.0.1:1/x")
    session.the_audit().perform(ADA, "clear", "data", "1", lambda: None)
    app = show("audit")
    assert "2 entries wait" in text(app)
    assert "can't be reached" in text(app)
    assert not app.exception
