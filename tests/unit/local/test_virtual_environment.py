"""An environment that can't be made names its cause, and one that was moved is made again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from console.operations.environments import settings_files
from console.operations.environments.terraform import _plugins
from console.operations.errors import OperationError
from local import virtual_environment
from local.settings import ROOT


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ("OSError: [Errno 28] No space left on device", "Free some space"),
        (
            "error: failed to create directory: Permission denied (os error 13)",
            "Work in a checkout",
        ),
        ("Could not find a version that satisfies", "the usual"),
    ],
)
def test_the_remedy_is_that_of_the_cause(words: str, start: str) -> None:
    assert virtual_environment.remedy(words, "the usual").startswith(start)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an account without rights")
def test_a_checkout_that_cant_be_written_to_is_named(open_folder: Path) -> None:
    (open_folder / "local").mkdir()
    shutil.copy(ROOT / "local/virtual_environment.py", open_folder / "local")
    (open_folder / "local/virtual_environment.py").chmod(0o644)
    code = (
        "import os, pathlib, pkgutil, runpy, subprocess, sys; "
        "os.setuid(65534); sys.argv[1:] = ['product']; "
        "runpy.run_path('local/virtual_environment.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=open_folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"error: {open_folder}: Permission denied" in done.stderr
    assert "Work in a checkout that this account may write to" in done.stderr


@pytest.mark.parametrize("broken", ["moved", "other python", "no python"])
def test_an_environment_that_was_moved_or_lost_its_python_is_made_again(
    tmp_path: Path, broken: str
) -> None:
    environment = tmp_path / ".venv"
    (environment / "bin").mkdir(parents=True)
    if broken != "no python":
        (environment / "bin/python").symlink_to(sys.executable)
    (tmp_path / "requirements").mkdir()
    for name in ("uv.txt", "product.txt"):
        (tmp_path / "requirements" / name).touch()
    (environment / "product").touch()
    make = [str(shutil.which("make")), "-n", "-f", str(ROOT / "Makefile"), ".venv/product"]

    def is_made() -> bool:
        done = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, check=True)
        return "virtual_environment.py" in done.stdout

    place = f"{tmp_path} {os.path.realpath(sys.executable)}"
    if broken != "no python":
        (environment / "place").write_text(place)
        assert not is_made()
    place = {"moved": f"/elsewhere{place}", "other python": f"{place}.9"}.get(broken, place)
    (environment / "place").write_text(place)
    assert is_made()


def test_a_settings_folder_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path / "nowhere"))
    outputs = dict.fromkeys(settings_files.missing_outputs({}), "x")
    with pytest.raises(OperationError, match=r"\.env\.local can't be written: No such file"):
        settings_files.write("local", outputs, {})


def test_a_mirror_of_providers_is_named_from_the_root_or_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_PLUGIN_DIR", "mirror")
    assert _plugins() == []
    (tmp_path / "mirror").mkdir()
    assert _plugins() == [f"-plugin-dir={Path.cwd() / 'mirror'}"]
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert _plugins() == []
