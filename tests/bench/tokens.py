"""Time the authorizer's verification against aws-jwt-verify's ``verifySync``, turn by turn.

``python -m tests.bench.tokens [--json]``; needs ``node`` and ``npm``, and installs the package
under ``.local/bench`` the first time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "lambdas"))

from authorizer.jwks import JwksCache  # noqa: E402
from authorizer.tokens import verify  # noqa: E402
from tests.unit.authorizer.pool import CLIENT_ID, POOL_ID, SETTINGS, Pool  # noqa: E402

PACKAGE = "aws-jwt-verify@5.2.1"
INSTALLED = ROOT / ".local" / "bench"
ROUNDS = 60
CALLS = 500
"""Verifications of one side before the other has its turn."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    as_json = parser.parse_args().json
    result = measure()
    if as_json:
        print(json.dumps(result))
    else:
        print(
            f"authorizer {result['authorizer_us']:.1f} µs, aws-jwt-verify "
            f"{result['aws_jwt_verify_us']:.1f} µs a verification: {result['ratio']:.2f} times"
        )


def measure() -> dict[str, float]:
    """Return both medians in microseconds, and the median of the rounds' ratios."""
    install()
    pool = Pool()
    token = pool.token()
    keys = JwksCache(pool.jwks)
    arguments = [str(INSTALLED / "package.json"), POOL_ID, CLIENT_ID, pool.jwks().decode(), token]
    with subprocess.Popen(
        ["node", str(Path(__file__).with_suffix(".mjs")), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as node:

        def theirs() -> float:
            assert node.stdin
            assert node.stdout
            node.stdin.write(f"{CALLS}\n")
            return int(node.stdout.readline()) / CALLS / 1e3

        def ours() -> float:
            started = time.perf_counter_ns()
            for _call in range(CALLS):
                verify(token, keys, SETTINGS, time.time())
            return (time.perf_counter_ns() - started) / CALLS / 1e3

        rounds = [measure_round(ours, theirs, first=number % 2) for number in range(-5, ROUNDS)]
        assert node.stdin
        node.stdin.close()
    rounds = rounds[5:]  # the first ones warm both sides up
    return {
        "authorizer_us": statistics.median(mine for mine, _other in rounds),
        "aws_jwt_verify_us": statistics.median(other for _mine, other in rounds),
        "ratio": statistics.median(mine / other for mine, other in rounds),
        "rounds": ROUNDS,
        "calls_per_round": CALLS,
    }


def measure_round(
    ours: Callable[[], float], theirs: Callable[[], float], first: int
) -> tuple[float, float]:
    """Time both sides once, one directly after the other, in alternating order."""
    if first:
        mine = ours()
        return mine, theirs()
    other = theirs()
    return ours(), other


def install() -> None:
    """Put the package under ``.local/bench``, once."""
    if (INSTALLED / "node_modules" / "aws-jwt-verify").exists():
        return
    for program in ("node", "npm"):
        if not shutil.which(program):
            sys.exit(f"{program} is not installed; this benchmark needs it for {PACKAGE}")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    (INSTALLED / "package.json").write_text("{}\n")
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", PACKAGE],
        cwd=INSTALLED,
        check=True,
        stdout=sys.stderr,
    )


if __name__ == "__main__":
    main()
