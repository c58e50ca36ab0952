"""Make this project's virtual environment; runs on a bare ``python3``, before any package is in.

Usage: python3 local/virtual_environment.py product|development
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / ".venv"
MINIMUM = (3, 11)
# Where the environment was made, and with which Python: an environment can't be moved
PLACE = DIRECTORY / "place"


def main(kind: str) -> None:
    """Install the hashed requirements of that kind; say in one line what went wrong."""
    if sys.version_info < MINIMUM:
        sys.exit(
            "error: Python {}.{} is too old; at least 3.11 is needed. Install it, or name one: "
            "make up PYTHON=python3.13".format(*sys.version_info[:2])
        )
    if not os.access(str(ROOT), os.W_OK):
        words = "{}: Permission denied".format(ROOT)
        sys.exit("error: {}\n  → {}".format(words, remedy(words, "")))
    python = DIRECTORY / "bin" / "python"
    print("Installing the {} packages into {} …".format(kind, DIRECTORY.name), file=sys.stderr)
    moved = PLACE.exists() and PLACE.read_text() != place()
    if moved or not (DIRECTORY / "bin" / "uv").exists() or not python.exists():
        run(
            [sys.executable, "-m", "venv", "--clear", str(DIRECTORY)],
            "Install Python's venv module (on Debian and Ubuntu: apt install python3-venv).",
        )
    requirements = ROOT / "requirements"
    reachable = "Check that the package index can be reached, then run the command again."
    run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--require-hashes", "--requirement", str(requirements / "uv.txt")],
        reachable,
    )  # fmt: skip
    run(
        [str(DIRECTORY / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(python),
         "--require-hashes", "--requirements", str(requirements / (kind + ".txt"))],
        reachable,
    )  # fmt: skip
    PLACE.write_text(place())


def place() -> str:
    """Return what must be in `PLACE` if the environment is right, as the Makefile computes it."""
    python = DIRECTORY / "bin" / "python"
    return "{} {}".format(ROOT, os.path.realpath(str(python)) if python.exists() else "")


def run(command: "list[str]", usual: str) -> None:
    """Run a command, or end with its last words and the remedy."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        lines = done.stdout.strip().splitlines() or ["no message"]
        sys.exit("error: {}\n  → {}".format(" ".join(lines[-3:]), remedy(done.stdout, usual)))


def remedy(words: str, usual: str) -> str:
    """Return what to do about an installation that failed with these words."""
    if "No space left on device" in words:
        return "Free some space, then run the command again."
    if "Permission denied" in words or "Read-only file system" in words:
        return "Work in a checkout that this account may write to, all of it ({}).".format(ROOT)
    return usual


if __name__ == "__main__":
    main(sys.argv[1])
