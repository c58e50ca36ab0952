"""Programs that some tests need: found, or installed where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


def executable(name: str) -> str | None:
    """Return the path of a program, None where it isn't installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def install(package: str) -> None:
    """Install a package as root on Debian; without it, the tests that need it are skipped."""
    reason = f"needs {package}: apt-get install {package}"
    if executable(package):
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        print(f"Some tests are skipped: {reason}")
        return
    print(f"Installing {package} for the tests …", flush=True)
    for step in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", package]):
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.stderr.write(f"{' '.join(step)} failed; some tests are skipped: {reason}\n")
            return


if __name__ == "__main__":
    for package in sys.argv[1:]:
        install(package)
