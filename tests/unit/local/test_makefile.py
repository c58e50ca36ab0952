"""What make hands to the commands: its own command line, unchanged, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.settings import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def printed(
    tmp_path: Path, *arguments: str, environment: dict[str, str] | None = None
) -> dict[str, str]:
    """Run a target that prints its environment; return the variables."""
    file = tmp_path / "Makefile"
    file.write_text(f"include {ROOT}/Makefile\nprint-environment:\n\t@env -0\n")
    done = subprocess.run(
        [str(shutil.which("make")), "-f", str(file), "print-environment", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **(environment or {})},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if "=" in pair)


@pytest.mark.parametrize(
    "value", ["a$b", "pic $x.jpg", "$(shell id)", "${HOME}", "a$$b", "it's", 'a"b', "a#b", "a\\b"]
)
def test_a_value_arrives_as_it_was_typed(tmp_path: Path, value: str) -> None:
    assert printed(tmp_path, f"NAME={value}", f"FILE={value}")["NAME"] == value
    assert printed(tmp_path, f"FILE={value}")["FILE"] == value


@pytest.mark.parametrize("flags", [(), ("-e",), ("-j4",)])
def test_the_shells_own_variables_are_no_options(tmp_path: Path, flags: tuple[str, ...]) -> None:
    shell = {"ENV": "/root/.shinit", "YES": "1", "FORCE": "1", "STEPS": "3", "ARGS": "-x"}
    found = printed(tmp_path, *flags, environment=shell)
    assert found["ENV"] == "local"
    assert {found[name] for name in shell if name != "ENV"} == {""}


def test_an_environment_on_the_command_line_counts(tmp_path: Path) -> None:
    shell = {"ENV": "prod", "YES": "1"}
    found = printed(tmp_path, "ENV=staging", "YES=", environment=shell)
    assert (found["ENV"], found["YES"]) == ("staging", "")
    # an empty one, as from an unset variable, is not taken for `local`
    assert printed(tmp_path, "ENV=")["ENV"] == ""


def test_targets_run_one_after_another_whatever_makeflags_say(tmp_path: Path) -> None:
    file = tmp_path / "Makefile"
    file.write_text(
        f"include {ROOT}/Makefile\n"
        "first:\n\t@mkdir here; sleep 0.3; rmdir here\n"
        "second:\n\t@test ! -e here\n"
    )
    done = subprocess.run(
        [str(shutil.which("make")), "-f", str(file), "first", "second"],
        cwd=tmp_path,
        env={**os.environ, "MAKEFLAGS": "-j4"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="root may read every home")
def test_root_keeps_its_home_and_loses_a_temporary_folder_that_is_gone(tmp_path: Path) -> None:
    found = printed(tmp_path, environment={"HOME": str(tmp_path), "TMPDIR": "/nonexistent"})
    assert found["HOME"] == str(tmp_path)
    assert "TMPDIR" not in found
    assert printed(tmp_path, environment={"TMPDIR": str(tmp_path)})["TMPDIR"] == str(tmp_path)


@pytest.mark.parametrize("home", ["", "/nonexistent"])
def test_a_home_that_isnt_there_is_replaced(tmp_path: Path, home: str) -> None:
    found = printed(tmp_path, environment={"HOME": home})
    assert found["HOME"] == str(ROOT / ".local/home")
    assert found["XDG_CACHE_HOME"] == str(ROOT / ".local/cache")


@pytest.mark.parametrize(
    ("exceptions", "expected"),
    [
        ({}, "localhost,127.0.0.1"),
        ({"no_proxy": "corp.example, .internal"}, "corp.example, .internal,localhost,127.0.0.1"),
        ({"NO_PROXY": "corp.example"}, "corp.example,localhost,127.0.0.1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_no_proxy_stands_between_a_command_and_this_machine(
    tmp_path: Path, exceptions: dict[str, str], expected: str
) -> None:
    proxy = {"HTTP_PROXY": "http://proxy.example:3128", **exceptions}
    found = printed(tmp_path, environment=proxy)
    assert {found[name] for name in ("NO_PROXY", "no_proxy") if name in found} == {expected}
    assert found["HTTP_PROXY"] == proxy["HTTP_PROXY"]


def test_a_database_left_in_the_shell_never_becomes_the_local_systems(tmp_path: Path) -> None:
    places = {"AVATAR_OPS_STATE": str(tmp_path / "state"), "AVATAR_OPS_ENV_DIR": str(tmp_path)}
    done = subprocess.run(
        [str(shutil.which("make")), "up"],
        cwd=ROOT,
        env={**os.environ, **places, "DATABASE_URL": "postgresql://owner:hunter2@prod.example/app"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "unset DATABASE_URL" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
