"""PgBouncer in front of a test's Postgres."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import conninfo

from tests import debian

REASON = "needs PgBouncer: apt-get install pgbouncer"


def executable() -> str | None:
    """Return the path of PgBouncer, None where it isn't installed."""
    return debian.executable("pgbouncer")


@contextmanager
def pooled(
    urls: Sequence[str],
    mode: str = "transaction",
    size: int = 3,
    tls: tuple[bytes, bytes] | None = None,
) -> Iterator[list[str]]:
    """Run PgBouncer for the servers and users of `urls`; yield the URLs that lead through it.

    With a certificate and its key, it speaks TLS alone.
    """
    program = executable()
    assert program is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    parts = [conninfo.conninfo_to_dict(url) for url in urls]
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)  # it refuses to run as root, and so reads its files as nobody
    users = directory / "users.txt"
    users.write_text("".join(f'"{p["user"]}" "{p["password"]}"\n' for p in parts))
    settings = directory / "pgbouncer.ini"
    databases = {p["dbname"]: f"host={p['host']} port={p['port']}" for p in parts}
    settings.write_text(
        "[databases]\n"
        + "".join(f"{name} = {where}\n" for name, where in databases.items())
        + f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {users}\npool_mode = {mode}\n"
        f"default_pool_size = {size}\nmax_client_conn = 200\nquery_wait_timeout = 20\n"
    )
    if tls:
        for name, content in zip(("server.crt", "server.key"), tls, strict=True):
            (directory / name).write_bytes(content)
        with settings.open("a") as file:
            file.write(
                f"client_tls_sslmode = require\nclient_tls_cert_file = {directory}/server.crt\n"
                f"client_tls_key_file = {directory}/server.key\n"
            )
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [program, "-q", str(settings)],
            user="nobody" if os.geteuid() == 0 else None,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        through = [conninfo.make_conninfo(url, host="127.0.0.1", port=port) for url in urls]
        _until_it_answers(through[0], process, directory / "log")
        yield through
    finally:
        process.kill()
        process.wait(20)
        shutil.rmtree(directory)


def _until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PgBouncer does not answer: {log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
