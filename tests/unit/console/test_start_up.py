"""What a command loads before it does anything: the slow packages only where it needs them."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest

from console.cli import COMMANDS
from console.operations.environments.deployment import ROOT

SLOW = {"boto3", "psycopg", "sqlalchemy", "alembic", "PIL", "jose", "streamlit", "typer", "rich"}


def loaded(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"\|\s+(\w+)[\w.]*$", done.stderr, re.MULTILINE))


def test_help_loads_nothing_slow() -> None:
    assert loaded("-m", "console.cli", "--help").isdisjoint(SLOW)


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("status", {"typer", "rich", "psycopg"}),
        ("logs", {"typer", "rich"}),
        ("terraform", {"typer", "rich"}),
        ("avatars", {"typer", "rich"}),
    ],
)
def test_a_command_loads_what_it_needs_and_no_more(module: str, needed: set[str]) -> None:
    assert loaded("-c", f"import console.commands.{module}") & SLOW <= needed


def test_every_command_of_the_makefile_is_there() -> None:
    called = set(re.findall(r"\$\(OPS\)\)? ([a-z-]+)", (ROOT / "Makefile").read_text()))
    assert called
    assert called <= COMMANDS.keys()


def test_every_command_is_where_the_command_line_looks_for_it() -> None:
    for module in sorted(set(COMMANDS.values())):
        app = importlib.import_module(f"console.commands.{module}").app
        names = {command.name for command in app.registered_commands}
        assert names == {name for name, where in COMMANDS.items() if where == module}


def test_an_unknown_command_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "console.cli", "mygrate"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "There is no command 'mygrate'" in done.stderr
    assert "migrate" in done.stderr
