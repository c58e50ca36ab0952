"""What the guarded runs cost and how they behave under contention, on a Postgres of their own.

``python -m tests.bench.migrations [--json] [--rounds 5]`` prints:

- ``overhead``: 200 generated migrations, applied and rolled back, against plain ``alembic upgrade``
  with a transaction per migration and the same SQL; runs interleaved, medians;
- ``readers``: concurrent reads' latency while a migration meets a table that another session
  holds, and gives up;
- ``runners``: two processes started together 20 times.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config

from console.operations import migrations
from console.operations.errors import OperationError
from console.operations.migrations import postgres_server as postgres
from tests.integration.database.migration_folder import Folder, outcomes, tables
from tests.postgres_fixture import free_port

PLAIN_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool
engine = create_engine(os.environ["PLAIN_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""

RUNNER = """
import os, pathlib, sys, time
from console.operations import migrations
from console.operations.errors import OperationError
print("ready", flush=True)
sys.stdin.readline()
try:
    print(len(migrations.migrate(os.environ["URL"], directory=pathlib.Path(sys.argv[1])).names))
except OperationError as error:
    print(f"error: {error}")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved runs of each side")
    parser.add_argument("--migrations", type=int, default=200, help="how many are generated")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        server = postgres.start(directory / "postgres", free_port())
        try:
            results = {
                "overhead": overhead(server, directory, arguments.migrations, arguments.rounds),
                "readers": readers(server, directory),
                "runners": runners(server, directory),
            }
        finally:
            postgres.stop(directory / "postgres")
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    for title, values in results.items():
        print(title)
        for key, value in values.items():
            print(f"  {key.replace('_', ' ')}: {value}")


def overhead(server: str, directory: Path, count: int, rounds: int) -> dict[str, Any]:
    """Compare guarded runs with plain Alembic, both in this process."""
    ours = folder(directory / "ours")
    for number in range(count):
        ours.add(
            f"m{number}",
            f"CREATE TABLE t{number} (id int PRIMARY KEY, name text);",
            f"DROP TABLE t{number};",
        )
    plain = directory / "plain"
    (plain / "versions").mkdir(parents=True)
    (plain / "env.py").write_text(PLAIN_ENV)
    for path in (ours.directory / "versions").glob("*.py"):
        text = path.read_text().replace("op.run_sql", "op.execute")
        (plain / "versions" / path.name).write_text(text)
    config = Config()
    config.set_main_option("script_location", str(plain))
    config.set_main_option("path_separator", "os")

    def plain_run(url: str, work: Callable[[Config, str], None], target: str) -> None:
        os.environ["PLAIN_URL"] = url.replace("postgresql://", "postgresql+psycopg://")
        work(config, target)

    times: dict[str, list[float]] = {
        "plain up": [],
        "ours up": [],
        "plain down": [],
        "ours down": [],
    }

    def measure(name: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        times[name].append(time.perf_counter() - started)

    for _ in range(rounds):
        with database(server) as url, database(server) as other:
            measure("plain up", lambda: plain_run(url, command.upgrade, "head"))
            measure("ours up", lambda: migrations.migrate(other, directory=ours.directory))
            if tables(url) != tables(other) or len(tables(url)) != count:
                raise AssertionError("the two sides made different tables")
            measure("plain down", lambda: plain_run(url, command.downgrade, "base"))
            measure(
                "ours down",
                lambda: migrations.rollback(other, to="base", directory=ours.directory),
            )
            if tables(url) | tables(other):
                raise AssertionError("a rollback left tables")
    median = {name: statistics.median(values) for name, values in times.items()}
    each = {name: round(seconds / count * 1000, 2) for name, seconds in median.items()}
    return {
        "migrations": count,
        "rounds": rounds,
        **{f"{name.replace(' ', '_')}_ms_each": value for name, value in each.items()},
        "overhead_up_ms_each": round(each["ours up"] - each["plain up"], 2),
        "overhead_down_ms_each": round(each["ours down"] - each["plain down"], 2),
    }


def readers(server: str, directory: Path) -> dict[str, Any]:
    """Read ``users`` while a migration tries for its lock against a session that holds one."""
    limits = migrations.Limits(lock_timeout=1.0, attempts=4)
    ours = folder(directory / "readers")
    ours.add("users", "CREATE TABLE users AS SELECT generate_series(1, 99) AS id;")
    ours.add("column", "ALTER TABLE users ADD COLUMN x int;")
    latencies: list[float] = []
    stop = threading.Event()

    def read(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                started = time.perf_counter()
                connection.execute("SELECT count(*) FROM users")
                latencies.append(time.perf_counter() - started)
                time.sleep(0.002)

    with database(server) as url:
        migrations.migrate(url, "users", directory=ours.directory)
        threads = [threading.Thread(target=read, args=(url,)) for _ in range(4)]
        with psycopg.connect(url) as holder:
            holder.execute("SELECT count(*) FROM users")
            for thread in threads:
                thread.start()
            started = time.perf_counter()
            try:
                migrations.migrate(url, directory=ours.directory, limits=limits)
                raise AssertionError("the migration got a lock that another session holds")
            except OperationError as error:
                said = error.message
            seconds = time.perf_counter() - started
            stop.set()
            for thread in threads:
                thread.join()
        after = migrations.migrate(url, directory=ours.directory, limits=limits)
    return {
        "lock_timeout_s": limits.lock_timeout,
        "attempts": limits.attempts,
        "gave_up_after_s": round(seconds, 2),
        "said": said,
        "reads": len(latencies),
        "median_read_ms": round(statistics.median(latencies) * 1000, 2),
        "slowest_read_ms": round(max(latencies) * 1000, 1),
        "applied_once_the_lock_was_free": list(after.names),
    }


def runners(server: str, directory: Path, times: int = 20) -> dict[str, Any]:
    """Start two processes together, again and again, each time on a new database."""
    ours = folder(directory / "runners")
    for number in range(3):
        ours.add(f"m{number}", f"CREATE TABLE t{number} AS SELECT 1 AS id;")
    ours.add("index", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t0 (id);", transactional=False)
    clean = double = failed = 0
    for _ in range(times):
        with database(server) as url:
            processes = [
                subprocess.Popen(
                    [sys.executable, "-c", RUNNER, str(ours.directory)],
                    env={**os.environ, "URL": url},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for _ in range(2)
            ]
            for process in processes:
                assert process.stdout is not None
                process.stdout.readline()
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
            said = sorted(process.communicate(timeout=60)[0].strip() for process in processes)
            applied = [revision for revision, _, outcome in outcomes(url) if outcome == "succeeded"]
            clean += said == ["0", "4"]
            double += len(applied) != 4
            failed += any(text.startswith("error") for text in said)
    return {
        "times": times,
        "one_applied_and_one_found_nothing": clean,
        "double": double,
        "failed": failed,
    }


def folder(directory: Path) -> Folder:
    """Return an empty folder of migrations."""
    directory.mkdir()
    return Folder(directory)


@contextmanager
def database(server: str) -> Iterator[str]:
    """Make a database and drop it."""
    name = f"bench_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield re.sub(r"/[^/]*$", f"/{name}", server)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


if __name__ == "__main__":
    main()
