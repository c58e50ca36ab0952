"""Profiles read through PgBouncer in transaction mode while migrations change a column's type.

``PYTHONPATH=lambdas python -m tests.bench.profiles_pooled [--json] [--reads N]`` prints how many
reads failed, and how long they took, on a Postgres of its own.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from console.operations import migrations
from console.operations.migrations import postgres_server
from picture_kinds import AVATAR, BANNER
from profiles import profile
from profiles.database import Keeper
from tests import pgbouncer
from tests.bench.migrations import database
from tests.integration.database.migration_folder import Folder
from tests.postgres_fixture import free_port

POOL = 4
PICTURES = profile.Pictures(
    "https://assets.example.com", {AVATAR: ("512.jpg",), BANNER: ("1500x500.jpg",)}
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--reads", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    if not pgbouncer.executable():
        sys.exit(f"error: {pgbouncer.REASON}")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        server = postgres_server.start(directory / "postgres", free_port())
        try:
            with database(server) as url:
                found = measure(url, directory, arguments.reads, arguments.connections)
        finally:
            postgres_server.stop(directory / "postgres")
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for key, value in found.items():
        print(f"{key.replace('_', ' ')}: {value}")


def measure(url: str, directory: Path, reads: int, connections: int) -> dict[str, Any]:
    """Read from `connections` threads, and migrate forth and back as long as they do."""
    migrations.migrate(url)
    migrations.seed(url)
    function = migrations.profiles_url(url)
    head = migrations.migrations(url)[-1].revision
    folder = Folder(directory)
    for file in (migrations.DIRECTORY / "versions").glob("*.py"):
        (folder.directory / "versions" / file.name).write_bytes(file.read_bytes())
    folder.add(
        f"type_{secrets.token_hex(2)}",
        "ALTER TABLE users ALTER COLUMN display_name TYPE varchar(300);",
        "ALTER TABLE users ALTER COLUMN display_name TYPE text;",
        revision=f"{int(head) + 100}",
        after=head,
    )
    times: list[float] = []
    failures: list[str] = []
    left = iter(range(reads))
    lock = threading.Lock()

    def work(through: str) -> None:
        keeper = Keeper()
        keeper._url = through
        while True:
            with lock:
                if next(left, None) is None:
                    break
            started = time.perf_counter()
            try:
                keeper.run(lambda c: profile.read(c, "ada", PICTURES), 10)
            except Exception as error:
                failures.append(type(error).__name__)
            times.append(time.perf_counter() - started)
        keeper.close()

    changes = 0
    with pgbouncer.pooled([function], size=POOL) as (through,):
        threads = [threading.Thread(target=work, args=(through,)) for _ in range(connections)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            migrations.migrate(url, directory=folder.directory)
            migrations.rollback(url, steps=1, directory=folder.directory)
            changes += 2
        for thread in threads:
            thread.join()
    ordered = sorted(times)
    return {
        "reads": len(times),
        "connections": connections,
        "pool": POOL,
        "changes_of_the_type": changes,
        "failures": len(failures),
        "median_ms": round(statistics.median(times) * 1000, 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
        "slowest_ms": round(ordered[-1] * 1000, 1),
    }


if __name__ == "__main__":
    main()
