"""Every static check: style, types, arrows, Terraform, security, secrets (`make lint`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from console import terminal
from console.operations import progress
from console.operations.environments.terraform import DIRECTORY, initialised_for_checks
from console.operations.errors import OperationError
from local.emulator import uv
from local.settings import ROOT

_BIN = Path(sys.executable).parent
_CHECKOV = ROOT / ".local/checkov"


def main() -> None:
    """Run all checks; say of each that fails what it found, and end with 1."""
    failed = []
    with terminal.Progress() as report:
        for name, command, environment in _checks():
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            state: progress.State = "failed" if done.returncode else "done"
            report(progress.Event(name, state))
            if done.returncode:
                failed.append(name)
                terminal.out.print(done.stdout + done.stderr, markup=False, emoji=False)
    if failed:
        raise OperationError(
            f"These checks failed: {', '.join(failed)}.", "`make format` fixes what is style only."
        )


def _checks() -> list[tuple[str, list[str], dict[str, str]]]:
    here = dict(os.environ) | {"NO_COLOR": "1"}
    terraform, terraform_environment = initialised_for_checks(ROOT / ".local/checks")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    # Hashes of packages and providers look like secrets; tests hold made-up ones
    texts = [
        name
        for name in tracked
        if name and "tests/" not in name and not name.endswith((".txt", ".hcl", ".jpg", ".png"))
    ]
    tool = {name: str(_BIN / name) for name in ("ruff", "mypy", "lint-imports", "bandit")}
    paths = here | {"PYTHONPATH": f"{ROOT}:{ROOT / 'lambdas'}"}
    chdir = f"-chdir={DIRECTORY}"
    return [
        ("ruff check", [tool["ruff"], "check", "."], here),
        ("ruff format", [tool["ruff"], "format", "--check", "."], here),
        ("mypy", [tool["mypy"]], here),
        ("import-linter", [tool["lint-imports"]], paths),
        ("bandit", [tool["bandit"], "-qrll", "-c", "pyproject.toml", "console", "lambdas", "local"],
         here),
        ("secrets", [str(_BIN / "detect-secrets-hook"), *texts], here),
        ("terraform fmt", [terraform, chdir, "fmt", "-check", "-diff", "-recursive"], here),
        ("terraform validate", [terraform, chdir, "validate", "-no-tests"], terraform_environment),
        ("checkov", [str(_install_checkov()), "--directory", str(DIRECTORY), "--framework",
                     "terraform", "--skip-path", "tests", "--skip-download", "--quiet",
                     "--compact"], here),
    ]  # fmt: skip


def _install_checkov() -> Path:
    """Make checkov's own environment: it pins packages that the product has newer."""
    stamp = _CHECKOV / "requirements.txt"
    requirements = ROOT / "requirements/checkov.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        uv("venv", "--quiet", "--clear", "--python", sys.executable, str(_CHECKOV))
        uv(
            "pip", "install", "--quiet", "--python", str(_CHECKOV / "bin/python"),
            "--require-hashes", "--requirements", str(requirements),
        )  # fmt: skip
        stamp.write_text(requirements.read_text())
    return _CHECKOV / "bin/checkov"


if __name__ == "__main__":
    with terminal.exit_on_error():
        main()
