"""The two commands on machines of every kind: an avatar is served, or a sentence says why not.

`make test-machines` runs all of it. The row of each machine, with the seconds from `make up` to a
served avatar, is printed with pytest's summary and kept in docs/machines.md.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.settings import ROOT
from tests.conftest import MACHINES
from tests.machines.clone import Clone, guest, path_without_terraform

ROOT_ONLY = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can make accounts and closed folders for others"
)
# The version before, whose state folder is still around
BEFORE = "8e82661"

Row = Callable[[str, str], None]


@pytest.fixture
def row(record_property: Callable[[str, object], None]) -> Row:
    """Keep a line of the table."""
    return lambda layout, result: record_property(MACHINES, f"| {layout} | {result} |")


@pytest.fixture
def made() -> Iterator[list[Clone]]:
    """Clones, closed at the end."""
    clones: list[Clone] = []
    yield clones
    while clones:
        clones.pop().close()


@pytest.fixture
def account(made: list[Clone]) -> Iterator[str]:
    """An ordinary account, which lives until its clones are closed."""
    with guest() as name:
        yield name
        while made:
            made.pop().close()


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A home that only its owner may enter."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return home


def home_of(account: str) -> Path:
    return Path(pwd.getpwnam(account).pw_dir)


@ROOT_ONLY
@pytest.mark.long
def test_an_ordinary_account_below_a_path_with_blanks(
    made: list[Clone], account: str, row: Row
) -> None:
    clone = Clone(home_of(account) / "Zoë's pictures" / "avatar ops", account)
    made.append(clone)
    row("ordinary account, path with blanks and a non-ASCII letter", f"{clone.serve():.0f} s")


@ROOT_ONLY
@pytest.mark.long
def test_root_in_a_closed_home(made: list[Clone], closed: Path, row: Row) -> None:
    clone = Clone(closed / "avatar-ops", environment={"HOME": str(closed)})
    made.append(clone)
    row("root, clone in a 0700 folder", f"{clone.serve():.0f} s")
    clone.make("test", "ARGS=tests/integration/database tests/unit/local -q")


@ROOT_ONLY
@pytest.mark.long
def test_an_account_that_su_gave_roots_environment(
    made: list[Clone], account: str, closed: Path, row: Row
) -> None:
    (closed / ".terraformrc").touch()
    (closed / "tmp").mkdir()
    kept = {
        "HOME": str(closed),
        "TMPDIR": str(closed / "tmp"),
        "TF_CLI_CONFIG_FILE": str(closed / ".terraformrc"),
        "TF_PLUGIN_DIR": os.environ.get("TF_PLUGIN_DIR", ""),
        "ENV": str(closed / ".shinit"),
        "MAKEFLAGS": "-j4",
    }
    clone = Clone(home_of(account) / "avatar-ops", account, kept)
    made.append(clone)
    row(
        "ordinary account by `su` with root's HOME, TMPDIR and TF_CLI_CONFIG_FILE",
        f"{clone.serve():.0f} s",
    )


@ROOT_ONLY
@pytest.mark.long
def test_root_with_a_closed_temporary_folder(made: list[Clone], closed: Path, row: Row) -> None:
    (closed / "temporary").mkdir(mode=0o700)
    clone = Clone(
        closed / "avatar-ops",
        environment={"HOME": str(closed), "TMPDIR": str(closed / "temporary")},
    )
    made.append(clone)
    row("root, clone and TMPDIR in 0700 folders", f"{clone.serve():.0f} s")


@pytest.mark.long
def test_an_empty_environment(made: list[Clone], tmp_path: Path, row: Row) -> None:
    bare = {"LANG": "", "TF_PLUGIN_DIR": "", "PIP_CERT": "", "SSL_CERT_FILE": ""}
    clone = Clone(tmp_path / "avatar-ops", environment=bare)
    made.append(clone)
    row("empty environment: PATH and HOME", f"{clone.serve():.0f} s")


@pytest.mark.long
def test_no_terraform_on_the_path(made: list[Clone], tmp_path: Path, row: Row) -> None:
    clone = Clone(
        tmp_path / "avatar-ops",
        environment={"PATH": path_without_terraform(tmp_path / "programs")},
    )
    made.append(clone)
    assert "Terraform" in clone.make("up")
    clone.make("plan")
    clone.make("reset", "YES=1")
    row("no `terraform`", f"{clone.serve():.0f} s, by the stand-in")


@pytest.mark.long
def test_a_state_folder_of_the_version_before(made: list[Clone], tmp_path: Path, row: Row) -> None:
    old = Clone(tmp_path / "before", environment={"AVATAR_OPS_STATE": str(tmp_path / "state")})
    made.append(old)
    sources = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, capture_output=True, check=False)
    if sources.returncode:
        pytest.skip(f"this checkout has no commit {BEFORE}")
    shutil.rmtree(old.directory)
    old.directory.mkdir()
    subprocess.run(["tar", "-x", "-C", str(old.directory)], input=sources.stdout, check=True)
    old.make("up")
    new = Clone(tmp_path / "avatar-ops", environment=old.environment, ports=old.ports)
    made.append(new)
    row("a system of the version before, still running", f"{new.serve():.0f} s")
    assert "Stop the emulator" in new.make("down")
    row("a stopped system of the version before", f"{new.serve():.0f} s")
    new.make("reset", "YES=1")
    assert not (tmp_path / "state").exists()


@pytest.mark.long
def test_a_half_finished_first_start(made: list[Clone], tmp_path: Path, row: Row) -> None:
    clone = Clone(tmp_path / "avatar-ops")
    made.append(clone)
    process = clone.start("up")
    assert process.stdout is not None
    for line in process.stdout:
        if "Apply " in line:
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.communicate()
    row("a first start that was killed in the apply", f"{clone.serve():.0f} s")


@pytest.mark.long
def test_a_clone_that_was_moved(made: list[Clone], tmp_path: Path, row: Row) -> None:
    clone = Clone(tmp_path / "here")
    made.append(clone)
    clone.make("up")
    clone.make("down")
    clone.directory = clone.directory.rename(tmp_path / "there")
    row("a clone that was moved after its first start", f"{clone.serve():.0f} s")


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_another_python(made: list[Clone], tmp_path: Path, row: Row, version: str) -> None:
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
    python = str(found[-1]) if found else shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    clone = Clone(tmp_path / "avatar-ops")
    made.append(clone)
    clone.make(".venv/product", f"PYTHON={python}")
    row(f"Python {version}", f"{clone.serve():.0f} s")


@pytest.mark.long
def test_ports_that_are_taken(made: list[Clone], tmp_path: Path, row: Row) -> None:
    clone = Clone(tmp_path / "avatar-ops")
    made.append(clone)
    for port, option in zip(
        clone.ports, ("AWS_PORT", "POSTGRES_PORT", "CONSOLE_PORT"), strict=True
    ):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
            output = clone.make("up", status=2)
            assert str(port) in output
            assert f"make up {option}=" in output
    row("a taken port", "the sentence names the port and the option")
    row("the same, once the port is free", f"{clone.serve():.0f} s")


def test_a_python_that_is_too_old_or_cant_make_environments(tmp_path: Path, row: Row) -> None:
    clone = Clone(tmp_path / "avatar-ops")
    old = tmp_path / "old"
    old.write_text(
        '#!/bin/sh\nexec python3 -c "import sys; sys.version_info = (3, 10, 1); sys.argv[1:] = '
        "['product']; exec(open('local/virtual_environment.py').read(), {**globals(), "
        "'__file__': '$PWD/local/virtual_environment.py'})\"\n"
    )
    without = tmp_path / "without"
    without.write_text(
        '#!/bin/sh\n[ "$1" = -m ] && { echo "ensurepip is not available"; exit 1; }\n'
        "exec python3 -c \"import sys; sys.executable = '$0'; sys.argv[1:] = ['product']; "
        "exec(open('local/virtual_environment.py').read(), {**globals(), "
        "'__file__': '$PWD/local/virtual_environment.py'})\"\n"
    )
    for program in (old, without):
        program.chmod(0o755)
    output = clone.make("up", f"PYTHON={old}", status=2)
    assert "Python 3.10 is too old" in output
    assert "make up PYTHON=" in output
    output = clone.make("up", f"PYTHON={without}", status=2)
    assert "apt install python3-venv" in output
    row("Python older than 3.11, or without `venv`", "the sentence names what to install")
