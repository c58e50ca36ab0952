"""A real Postgres for the session, and a database of its own for each test.

``empty_database`` and ``migrated_database`` are superuser URLs; both databases are dropped at the
end of the test, and the server with its folder at the end of the session.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from console.operations import migrations
from console.operations.migrations import postgres_server as postgres


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The superuser's URL of a running server."""
    directory = tmp_path_factory.mktemp("postgres")
    url = postgres.start(directory, free_port())
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.SQL(setting)))
            connection.execute("SELECT pg_reload_conf()")
        yield url
    finally:
        postgres.stop(directory)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> Iterator[str]:
    """The name of a database with every migration applied, to copy from."""
    with _database(postgres_server, "template0") as url:
        migrations.migrate(url)
        yield url.rpartition("/")[2]


@pytest.fixture
def empty_database(postgres_server: str) -> Iterator[str]:
    """The URL of a new, empty database."""
    with _database(postgres_server, "template0") as url:
        yield url


@pytest.fixture
def migrated_database(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """The URL of a new database with every migration applied and no rows."""
    with _database(postgres_server, migrated_template) as url:
        yield url


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _database(server: str, template: str) -> Iterator[str]:
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )
