"""The migrations page on a real database, and without one."""

from __future__ import annotations

import psycopg
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from console import session
from console.jobs import Job
from console.operations import migrations
from console.operations.errors import OperationError
from tests.integration.database.migration_folder import COUNT
from tests.integration.system import wait_until
from tests.unit.console.pages.conftest import Show, text


@pytest.fixture
def database(settings: object, empty_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database that the page works on."""
    monkeypatch.setenv("DATABASE_URL", empty_database)
    return empty_database


def button(app: AppTest, label: str) -> Button:
    return next(item for item in app.button if item.label.startswith(label))


def ended(kind: str) -> Job:
    job = session.jobs().of(kind)[0]
    wait_until(lambda: job.ended, job.title)
    return job


def states(url: str) -> list[str]:
    return [line.state for line in migrations.migrations(url)]


def test_nothing_is_applied_before_its_preview_was_seen(show: Show, database: str) -> None:
    app = show("migrations")
    assert f"{COUNT} pending" in text(app)
    app.selectbox(key="migrate to").set_value("1790000100_add_bio").run()
    assert button(app, "Apply 2").disabled
    button(app, "Preview").click().run()
    ended("preview")
    app.run()
    shown = "\n".join(code.value for code in app.code)
    assert "ALTER TABLE users ADD COLUMN bio text;" in shown
    assert "prefer-bigint-over-int" in text(app)
    # the preview is of these two alone
    assert not button(app, "Apply 2").disabled
    app.selectbox(key="migrate to").set_value("1790000000_existing_schema").run()
    assert button(app, "Apply 1").disabled
    app.selectbox(key="migrate to").set_value("1790000100_add_bio").run()
    button(app, "Apply 2").click().run()
    assert ended("migrations").state == "done"
    app.run()
    assert states(database)[:3] == ["applied", "applied", "pending"]
    assert "2 applied" in text(app)
    found = session.the_audit().actions()[0]
    assert (found.action, found.target, found.outcome) == ("migrate", "1790000100_add_bio", "done")


def test_a_rollback_wants_the_environments_name_typed(show: Show, database: str) -> None:
    migrations.migrate(database)
    app = show("migrations")
    assert "Up to date" in text(app)
    app.selectbox(key="rollback to").set_value("1790000000_existing_schema").run()
    assert "not rows" in text(app)
    button(app, "Preview").click().run()
    ended("preview")
    app.run()
    assert button(app, f"Roll back {COUNT - 1}").disabled
    name = next(item for item in app.text_input if "to rollback" in item.label)
    name.set_value("loca").run()
    assert button(app, f"Roll back {COUNT - 1}").disabled
    name.set_value("local").run()
    button(app, f"Roll back {COUNT - 1}").click().run()
    assert ended("migrations").state == "done"
    assert states(database) == ["applied"] + ["pending"] * (COUNT - 1)


def test_what_was_drawn_is_what_runs(show: Show, database: str) -> None:
    app = show("migrations")
    app.selectbox(key="migrate to").set_value("1790000100_add_bio").run()
    button(app, "Preview").click().run()
    ended("preview")
    app.run()
    migrations.migrate(database, "1790000000_existing_schema")  # by somebody else, meanwhile
    button(app, "Apply 2").click().run()
    assert ended("migrations").state == "failed"
    app.run()
    assert "Somebody else has migrated" in text(app)
    assert states(database)[:2] == ["applied", "pending"]


def test_a_schema_that_was_changed_by_hand_is_not_migrated(show: Show, database: str) -> None:
    migrations.migrate(database, "add_bio")
    app = show("migrations")
    app.selectbox(key="migrate to").set_value("1790000200_add_avatar_version").run()
    button(app, "Preview").click().run()
    ended("preview")
    app.run()
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE users ADD COLUMN by_hand text")
    button(app, "Apply 1").click().run()
    assert ended("migrations").state == "failed"
    assert states(database)[:3] == ["applied", "applied", "pending"]


def test_a_rehearsal_changes_nothing_and_says_how_it_went(show: Show, database: str) -> None:
    migrations.migrate(database, "add_avatar_version")
    pending = states(database).count("pending")
    assert pending > 0
    app = show("migrations")
    button(app, "Rehearse").click().run()
    assert ended("migrations").state == "done"
    app.run()
    assert f"{pending} rehearsed, each reversible" in text(app)
    assert states(database).count("pending") == pending


def test_tables_without_a_history_are_adopted_after_a_name_is_typed(
    show: Show, database: str
) -> None:
    migrations.migrate(database, "add_bio")
    with psycopg.connect(database) as connection:
        connection.execute("DROP TABLE alembic_version, migration_history")
    app = show("migrations")
    assert session.jobs().of("compare") == []
    button(app, "Compare with").click().run()
    ended("compare")
    app.run()
    assert "1790000100_add_bio" in text(app)
    assert button(app, "Adopt").disabled
    next(item for item in app.text_input if "adopt" in item.label).set_value("local").run()
    button(app, "Adopt").click().run()
    assert ended("migrations").state == "done"
    assert states(database)[:3] == ["baseline", "baseline", "pending"]


def test_what_fails_its_preview_can_not_be_applied(
    show: Show, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OperationError('syntax error at or near "SELEC"', "Correct it before it is run.")

    monkeypatch.setattr(migrations, "preview", broken)
    app = show("migrations")
    button(app, "Preview").click().run()
    ended("preview")
    app.run()
    assert "Correct it before it is run." in text(app)
    assert button(app, "Preview again")
    assert button(app, f"Apply {COUNT}").disabled


def test_a_file_that_changed_is_shown_with_its_difference(show: Show, database: str) -> None:
    migrations.migrate(database)
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE migration_history SET checksum = 'other', source = 'what was applied'"
            " WHERE name LIKE '%add_bio'"
        )
    app = show("migrations")
    assert "was changed after it was applied" in text(app)
    assert any("-what was applied" in code.value for code in app.code)
    assert "1 with a problem" in text(app)


def test_every_try_is_listed_with_its_error(show: Show, database: str) -> None:
    migrations.migrate(database, "add_bio", who="ada")
    migrations.rollback(database, steps=1, who="grace")
    rows = show("migrations").dataframe[-1].value
    assert list(rows["What"]) == ["rolled back", "applied", "applied"]
    assert list(rows["By"]) == ["grace", "ada", "ada"]


@pytest.mark.parametrize(
    ("url", "said"),
    [("", "local has no database"), ("postgresql://x@127.0.0.1:1/x", "can't be reached")],
)
def test_without_a_database_it_says_so_and_a_file_can_still_be_written(
    show: Show, url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    app = show("migrations")
    assert said in text(app)
    assert "What to do" in text(app)
    assert button(app, "Write the file")
    assert not app.exception
