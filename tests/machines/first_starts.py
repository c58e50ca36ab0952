"""First starts in a row, each from nothing: ``python -m tests.machines.first_starts [20]``.

Prints a line for each, with the seconds and how often Terraform's provider got no answer, and
ends with 1 if any failed.
"""

from __future__ import annotations

import re
import statistics
import sys
import time

from tests.integration.system import System

STARTS = 20
# Of the provider's log: a call without an answer, and one that the SDK made again
_UNANSWERED = re.compile(r"request send failed|http\.status_code=5\d\d|attempt=[2-9]")


def main(starts: int) -> int:
    """Start and reset that often; return how many failed."""
    times = []
    for number in range(1, starts + 1):
        system = System()
        log = system.directory / "provider.log"
        system.environment |= {"TF_LOG_PROVIDER": "DEBUG", "TF_LOG_PATH": str(log)}
        began = time.monotonic()
        try:
            output = system.make("up", seconds=1200)
            times.append(time.monotonic() - began)
            again = ", began again" if "Begin again" in output else ""
            result = f"{times[-1]:.0f} s{again}"
        except AssertionError as error:
            result = f"FAILED after {time.monotonic() - began:.0f} s: {error}"
        finally:
            unanswered = len(_UNANSWERED.findall(log.read_text())) if log.exists() else 0
            system.make("reset", "YES=1")
            system.close()
        print(f"{number:3} {result}, {unanswered} calls unanswered", flush=True)
    print(f"{len(times)} of {starts} started, median {statistics.median(times or [0]):.0f} s")
    return starts - len(times)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]) if sys.argv[1:] else STARTS)))
