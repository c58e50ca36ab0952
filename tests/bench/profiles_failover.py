"""How long profiles are away when their Postgres falls silent, is stopped, or comes back.

``python -m tests.bench.profiles_failover`` needs root and `ip`: the function's side runs in a
network namespace of its own, whose link is cut, so that nothing is answered and nothing refused.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg import conninfo

from console.operations import migrations
from console.operations.migrations import postgres_server
from tests.postgres_fixture import free_port

SPACE, LINK = "avatar-ops-bench", "avo-bench"
HERE, THERE = "10.213.77.1", "10.213.77.2"

CLIENT = """
import logging, sys, time
from picture_kinds import AVATAR, BANNER
from profiles import database, profile
from profiles.database import Keeper
from profiles.errors import UnavailableError
PICTURES = profile.Pictures("https://x.example.com", {AVATAR: ("512.jpg",), BANNER: ()})
logging.disable()
database._read_url = lambda: sys.argv[1]
keeper = Keeper()
for line in sys.stdin:
    started = time.monotonic()
    try:
        keeper.run(lambda c: profile.read(c, "ada", PICTURES), 10)
        said = "answered"
    except UnavailableError:
        said = "unavailable"
    print(said, round(time.monotonic() - started, 2), flush=True)
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def namespace() -> Iterator[None]:
    """Join a namespace by a link, and remove both."""
    ip("netns", "add", SPACE)
    try:
        ip("link", "add", LINK, "type", "veth", "peer", "name", "there", "netns", SPACE)
        ip("addr", "add", f"{HERE}/30", "dev", LINK)
        ip("link", "set", LINK, "up")
        ip("-n", SPACE, "addr", "add", f"{THERE}/30", "dev", "there")
        ip("-n", SPACE, "link", "set", "there", "up")
        yield
    finally:
        ip("netns", "del", SPACE)


def main() -> None:
    """Measure and print."""
    if os.geteuid() != 0:
        sys.exit("error: this needs root, for a network namespace")
    with tempfile.TemporaryDirectory() as name, namespace():
        directory, port = Path(name) / "postgres", free_port()
        url = postgres_server.start(directory, port, f"listen_addresses = '127.0.0.1,{HERE}'\n")
        hba = directory / "data/pg_hba.conf"
        hba.write_text(f"{hba.read_text()}host all all {THERE}/32 scram-sha-256\n")
        postgres_server.stop(directory)
        postgres_server.start(directory, port)
        try:
            migrations.migrate(url)
            migrations.seed(url)
            function = conninfo.make_conninfo(migrations.profiles_url(url), host=HERE)
            with subprocess.Popen(
                ["ip", "netns", "exec", SPACE, sys.executable, "-c", CLIENT, function],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": "lambdas"},
            ) as client:
                assert client.stdin is not None
                assert client.stdout is not None

                def call(when: str) -> None:
                    assert client.stdin is not None
                    assert client.stdout is not None
                    client.stdin.write("\n")
                    client.stdin.flush()
                    print(f"{when}: {client.stdout.readline().strip()} s")

                call("the first call")
                call("the next")
                ip("link", "set", LINK, "down")
                call("the link is cut, a kept connection")
                call("the link is cut, no connection")
                ip("link", "set", LINK, "up")
                call("the link is back")
                call("the next")
                postgres_server.stop(directory)
                call("Postgres is stopped")
                started = time.monotonic()
                postgres_server.start(directory, port)
                print(f"Postgres has started in {time.monotonic() - started:.1f} s")
                call("Postgres is back")
                client.stdin.close()
        finally:
            postgres_server.stop(directory)


if __name__ == "__main__":
    main()
