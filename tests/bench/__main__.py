"""Every benchmark, one after the other (`make bench`); the last four look at a running system."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "presigning",
    "tokens",
    "migrations",
    "images",
    "profiles",
    "console",
    "first_paint",
    "console_scale",
)


def main() -> None:
    """Run each; end with the first that could not run."""
    for name in BENCHMARKS:
        print(f"\n== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"tests.bench.{name}", *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
