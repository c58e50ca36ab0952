"""The commands behind ``make migrate`` and its kin, as an operator calls them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from console.commands.database import app
from console.operations import migrations
from console.operations.audit.audit import Audit
from tests.integration.database.migration_folder import COUNT


@pytest.fixture
def run(empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name in ("TO", "STEPS", "VERBOSE", "YES", "DOWN", "ALLOW_DRIFT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", empty_database)
    monkeypatch.setenv("DATABASE_URL_ORIGIN", "command line")
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    # where audit entries wait when the database is away
    monkeypatch.setenv("AVATAR_OPS_STATE", str(tmp_path))
    return CliRunner()


def test_from_nothing_to_seeded_and_back_by_the_commands_alone(run: CliRunner) -> None:
    result = run.invoke(app, ["migrate"], catch_exceptions=False)
    assert (result.exit_code, f"{COUNT} applied" in result.stdout) == (0, True)
    assert re.search(rf"✓ \[2/{COUNT}\] Apply 1790000100_add_bio +\d+ ms", result.stderr)
    assert "migrate on local, eu-central-1, database" in result.stderr
    assert "+ apply 1790000100_add_bio" in result.stderr
    assert run.invoke(app, ["seed", "--cognito", "ada=sub-1"]).exit_code == 0
    result = run.invoke(app, ["rollback", "--steps", "1", "--yes"])
    assert (result.exit_code, "1 rolled back" in result.stdout) == (0, True)
    result = run.invoke(app, ["rollback"], env={"TO": "add_bio", "YES": "1"})
    assert result.exit_code == 0
    listed = json.loads(run.invoke(app, ["migrations", "--json"]).stdout)
    assert [line["state"] for line in listed] == ["applied"] * 2 + ["pending"] * (COUNT - 2)
    result = run.invoke(app, ["migrate"], env={"VERBOSE": "1"})
    assert re.search(r"\d+\.\d ms  ALTER TABLE users ADD COLUMN avatar_version text", result.stdout)
    assert "'1790000200_add_avatar_version'" in result.stdout  # a parameter


def test_the_table_names_every_migration_without_colour_codes(run: CliRunner) -> None:
    run.invoke(app, ["migrate", "--to", "add_bio"])
    result = run.invoke(app, ["migrations"])
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    for migration in migrations.migrations(os.environ["DATABASE_URL"]):
        assert migration.name.partition("_")[2] in result.stdout


def test_an_error_goes_to_stderr_with_its_remedy_and_ends_with_1(
    run: CliRunner, tmp_path: Path
) -> None:
    result = run.invoke(app, ["rollback", "--to", "nonsense"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "There is no migration 'nonsense'" in result.stderr
    assert "`make migrations` lists them" in result.stderr
    result = run.invoke(
        app, ["migrations"], env={"DATABASE_URL": "", "AVATAR_OPS_ENV_DIR": str(tmp_path)}
    )
    assert result.exit_code == 1
    assert "local has no database" in result.stderr


def test_nobody_to_confirm_a_rollback_rolls_nothing_back(
    run: CliRunner, empty_database: str
) -> None:
    run.invoke(app, ["migrate", "--to", "add_bio"])
    result = run.invoke(app, ["rollback", "--steps", "1"])
    assert result.exit_code == 1
    assert "- roll back 1790000100_add_bio" in result.stderr
    assert "YES=1" in result.stderr
    states = [line.state for line in migrations.migrations(empty_database)]
    assert states[:3] == ["applied", "applied", "pending"]


def test_a_database_url_left_in_the_shell_is_refused_before_anything_is_asked(
    run: CliRunner, empty_database: str
) -> None:
    for environment in (
        {"DATABASE_URL_ORIGIN": "environment"},
        {"ENV": "prod", "DATABASE_URL_ORIGIN": "command line"},
    ):
        for command in (["migrate"], ["rollback", "--steps", "1", "--yes"], ["seed"]):
            result = run.invoke(app, command, env=environment)
            assert result.exit_code == 1
            assert "unset DATABASE_URL" in result.stderr
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regclass('users')").fetchone() == (None,)


def test_preview_and_rehearsal_show_their_findings(run: CliRunner) -> None:
    result = run.invoke(app, ["preview", "--to", "add_bio"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "ALTER TABLE users ADD COLUMN bio text;" in result.stdout
    assert "AccessExclusiveLock" in result.stdout
    assert "squawk warning: line 25: prefer-bigint-over-int" in result.stdout
    listed = json.loads(run.invoke(app, ["preview", "--json"]).stdout)
    assert listed[1]["statements"][0]["locks"][0]["table"] == "users"
    result = run.invoke(app, ["rehearse", "--to", "add_bio"])
    assert (result.exit_code, "2 rehearsed, 0 not reversible" in result.stdout) == (0, True)


def test_migrating_refuses_a_schema_changed_by_hand_unless_told(
    run: CliRunner, empty_database: str
) -> None:
    run.invoke(app, ["migrate", "--to", "add_avatar_version"])
    assert run.invoke(app, ["drift"]).exit_code == 0
    with psycopg.connect(empty_database) as connection:
        connection.execute("ALTER TABLE users ADD COLUMN nickname text")
    result = run.invoke(app, ["drift"])
    assert result.exit_code == 1
    assert "DROP COLUMN" in result.stdout
    result = run.invoke(app, ["migrate"])
    assert result.exit_code == 1
    assert "+ nickname text" in result.stderr
    assert "ALLOW_DRIFT=1" in result.stderr
    states = [line.state for line in migrations.migrations(empty_database)]
    assert states == ["applied"] * 3 + ["pending"] * (COUNT - 3)
    result = run.invoke(app, ["migrate"], env={"ALLOW_DRIFT": "1"})
    assert (result.exit_code, f"{COUNT - 3} applied" in result.stdout) == (0, True)
    assert run.invoke(app, ["migrate"]).exit_code == 0  # nothing is pending


def test_adopting_asks_first_unless_told_yes(run: CliRunner, empty_database: str) -> None:
    run.invoke(app, ["migrate", "--to", "existing_schema"])
    with psycopg.connect(empty_database) as connection:
        connection.execute("DROP TABLE alembic_version, migration_history")
    result = run.invoke(app, ["migrate"])
    assert result.exit_code == 1
    assert "make adopt" in result.stderr
    assert run.invoke(app, ["adopt"]).exit_code == 1
    assert run.invoke(app, ["adopt", "--yes"]).exit_code == 0
    assert run.invoke(app, ["migrate"]).exit_code == 0
    result = run.invoke(app, ["adopt", "--yes"])
    assert (result.exit_code, "nothing to adopt" in result.stderr) == (1, True)


def test_plain_alembic_prints_sql_but_changes_no_database(empty_database: str) -> None:
    command = [sys.executable, "-m", "alembic", "-c", str(migrations.DIRECTORY / "alembic.ini")]
    environment = {**os.environ, "PYTHONPATH": str(migrations.DIRECTORY.parent)}
    offline = subprocess.run(
        [*command, "upgrade", "head", "--sql"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert "ALTER TABLE users ADD COLUMN bio text;" in offline.stdout
    online = subprocess.run(
        [*command, "upgrade", "head"], capture_output=True, text=True, check=False, env=environment
    )
    assert online.returncode != 0
    assert "make migrate" in online.stdout + online.stderr


def test_commands_that_change_the_schema_are_in_the_audit(
    run: CliRunner, empty_database: str, tmp_path: Path
) -> None:
    run.invoke(app, ["migrate", "--to", "add_bio"], env={"REASON": "OPS-7"})
    run.invoke(app, ["rollback", "--steps", "1", "--yes"])
    run.invoke(app, ["rollback", "--to", "nonsense", "--yes"])
    record = Audit("local", lambda: empty_database, tmp_path / "none")
    found = [(line.action, line.target, line.outcome) for line in record.actions()]
    assert found == [
        ("rollback", "1790000100_add_bio", "done"),
        ("migrate", "add_bio", "done"),
    ]
    assert "1790000100_add_bio" in record.actions()[1].detail
    assert [line.reason for line in record.actions()] == ["", "OPS-7"]
    with psycopg.connect(empty_database) as connection:
        started = [
            detail
            for (detail,) in connection.execute(
                "SELECT detail FROM avatar_ops.audit_entries WHERE outcome = 'started'"
            )
        ]
    assert len(started) == 2
    assert all("local, eu-central-1, database" in detail and "@" in detail for detail in started)
