"""Demo users with activities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import LiteralString

import psycopg
from psycopg import errors

from console.operations.errors import OperationError
from console.operations.migrations.session import LOCK_KEY

# handle: display name, bio, activities from the oldest to the newest
DEMO_USERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "ada": (
        "Ada Lovelace",
        "Analyst of engines.",
        ("The engine weaves algebraic patterns.", "Note G is done at last.", "Bernoulli sends."),
    ),
    "grace": (
        "Grace Hopper",
        "Amazing Grace. Nanoseconds by the foot.",
        ("Found a moth in relay 70.", "It is easier to ask forgiveness than permission."),
    ),
    "alan": ("Alan Turing", "Can machines think?", ("Running to the next town for a meeting.",)),
    "emilie": (
        "Émilie du Châtelet",
        "Énergie, ½mv² — non: mv².",
        ("Principia, enfin en français.",),
    ),
}


def seed(url: str, cognito_users: Mapping[str, str] | None = None, *, relink: bool = False) -> int:
    """Add the demo users that are missing, and give users of `cognito_users` their ``sub``.

    Rows that are there keep what they have: run again, it changes nothing.

    Parameters
    ----------
    cognito_users
        Cognito's ``sub`` by handle; a handle that is no demo user gets a row of its own.
    relink
        Give a row that is there the new ``sub`` too. Only for a local database: elsewhere it is a
        real user's.

    Returns
    -------
    int
        How many users were added.

    Raises
    ------
    OperationError
        If the tables are not there yet.
    """
    subs = dict(cognito_users or {})
    added = 0
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_KEY + 1,))
            for handle in DEMO_USERS.keys() | subs.keys():
                name, bio, messages = DEMO_USERS.get(handle, (handle, "", ()))
                row = connection.execute(
                    """
                    INSERT INTO users (display_name, handle, email, cognito_user_id, bio)
                    SELECT %(name)s, %(handle)s, %(email)s, gen_random_uuid()::text, %(bio)s
                    WHERE NOT EXISTS (SELECT FROM users WHERE handle = %(handle)s)
                    RETURNING uuid
                    """,
                    {"name": name, "handle": handle, "email": f"{handle}@example.com", "bio": bio},
                ).fetchone()
                if row is not None:
                    added += 1
                    for age, message in enumerate(reversed(messages)):
                        connection.execute(
                            "INSERT INTO activities (user_uuid, message, created_at)"
                            " VALUES (%s, %s, now() - make_interval(hours => %s))",
                            (row[0], message, age),
                        )
                if handle in subs and (row is not None or relink):
                    connection.execute(
                        "UPDATE users SET cognito_user_id = %s"
                        " WHERE handle = %s AND cognito_user_id <> %s",
                        (subs[handle], handle, subs[handle]),
                    )
    except (errors.UndefinedTable, errors.UndefinedColumn) as error:
        raise OperationError(
            f"The database can't be seeded yet: {str(error).splitlines()[0]}.",
            "Run `make migrate` first.",
        ) from None
    except psycopg.Error as error:
        raise OperationError(
            f"The database could not be seeded: {str(error).strip().splitlines()[-1]}.",
            "Check DATABASE_URL and that the server runs.",
        ) from None
    return added


def add_user(url: str, handle: str, sub: str) -> None:
    """Add a user without activities, for as long as a test takes.

    Raises
    ------
    OperationError
        If the database refuses, as where the application demands more of a user.
    """
    _execute(
        url,
        "INSERT INTO users (display_name, handle, email, cognito_user_id, bio)"
        " VALUES (%(handle)s, %(handle)s, %(email)s, %(sub)s, '')",
        {"handle": handle, "email": f"{handle}@example.com", "sub": sub},
    )


def remove_user(url: str, handle: str, sub: str) -> None:
    """Delete a user that `add_user` added; no other row is touched."""
    _execute(
        url,
        "DELETE FROM users WHERE handle = %(handle)s AND cognito_user_id = %(sub)s",
        {"handle": handle, "sub": sub},
    )


def _execute(url: str, statement: LiteralString, values: Mapping[str, str]) -> None:
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            connection.execute(statement, values)
    except psycopg.Error as error:
        said = str(error).strip().splitlines()
        raise OperationError(
            f"The database refuses the test user: {said[0] if said else type(error).__name__}.",
            "Check that it can be reached from here and is migrated: `make migrations`.",
        ) from None
