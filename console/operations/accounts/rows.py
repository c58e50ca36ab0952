"""What the database keeps of an account: its rows of `users`, and all that belongs to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from console.operations.errors import OperationError

_AT_ONCE = 5000
_ATTEMPTS = 5


@dataclass(frozen=True)
class Row:
    """A row of `users`, as far as it says whose it is; `activities` is their number."""

    uuid: str
    sub: str
    handle: str
    activities: int


def of_handle(url: str, handle: str) -> list[Row]:
    """Return the rows with that handle; the schema allows several."""
    return _rows(url, "handle", handle)


def of_sub(url: str, sub: str) -> list[Row]:
    """Return the rows of a user of the pool: one, or none."""
    return _rows(url, "cognito_user_id", sub)


def profiles(url: str, sub: str) -> Iterator[dict[str, Any]]:
    """Yield each row of `users` of the account, with all its columns."""
    with _connected(url) as connection:
        yield from connection.execute(
            "SELECT * FROM public.users WHERE cognito_user_id = %s ORDER BY created_at", (sub,)
        ).fetchall()


def activities(url: str, sub: str) -> Iterator[dict[str, Any]]:
    """Yield each activity of the account, oldest first; never all in memory."""
    with (
        _connected(url) as connection,
        connection.transaction(),
        connection.cursor(name="activities") as cursor,
    ):
        cursor.itersize = _AT_ONCE
        yield from cursor.execute(
            "SELECT a.* FROM public.activities a JOIN public.users u ON u.uuid = a.user_uuid"
            " WHERE u.cognito_user_id = %s ORDER BY a.created_at, a.uuid",
            (sub,),
        )


def delete(url: str, sub: str) -> tuple[int, int]:
    """Delete the account's rows and activities; return how many of each.

    Activities go in parts, so that no lock is held for long, and a run that was killed is gone on
    with. What others answered to them stays.

    Raises
    ------
    OperationError
        If another table refers to what is to go, or the application keeps adding activities.
    """
    deleted = 0
    with _connected(url) as connection:
        for _ in range(_ATTEMPTS):
            while count := connection.execute(
                "DELETE FROM public.activities WHERE uuid IN (SELECT a.uuid FROM public.activities"
                " a JOIN public.users u ON u.uuid = a.user_uuid WHERE u.cognito_user_id = %s"
                " LIMIT %s)",
                (sub, _AT_ONCE),
            ).rowcount:
                deleted += count
            try:
                return _delete_users(connection, sub), deleted
            except psycopg.errors.ForeignKeyViolation as error:
                if error.diag.table_name != "activities":
                    raise OperationError(
                        f"Rows of the table {error.diag.schema_name}.{error.diag.table_name} refer "
                        "to this account.",
                        "Delete them, or let its foreign key say ON DELETE; then run the same "
                        "command again.",
                    ) from error
    raise OperationError(
        "The application keeps adding activities of this account.",
        "Keep it from that, then run the same command again.",
    )


def _delete_users(connection: psycopg.Connection[Any], sub: str) -> int:
    with connection.transaction():
        found = connection.execute(
            "SELECT uuid FROM public.users WHERE cognito_user_id = %s FOR UPDATE", (sub,)
        ).fetchall()
        uuids = [row["uuid"] for row in found]
        connection.execute("DELETE FROM public.users WHERE uuid = ANY(%s)", (uuids,))
        # No activity can come now; the triggers have added up those that went
        if _has_changes(connection):
            connection.execute(
                "DELETE FROM public.activity_changes WHERE user_uuid = ANY(%s)", (uuids,)
            )
    return len(uuids)


def _has_changes(connection: psycopg.Connection[Any]) -> bool:
    found = connection.execute("SELECT to_regclass('public.activity_changes') AS it").fetchone()
    return found is not None and found["it"] is not None


def _rows(url: str, column: str, value: str) -> list[Row]:
    if "\0" in value:
        return []  # Postgres takes none
    query = sql.SQL(
        "SELECT uuid, cognito_user_id, handle, (SELECT count(*) FROM public.activities a"
        " WHERE a.user_uuid = u.uuid) AS activities FROM public.users u"
        " WHERE {} = %s ORDER BY uuid"
    ).format(sql.Identifier(column))
    with _connected(url) as connection:
        found: Sequence[dict[str, Any]] = connection.execute(query, (value,)).fetchall()
    return [
        Row(str(row["uuid"]), row["cognito_user_id"], row["handle"], row["activities"])
        for row in found
    ]


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        # a pooler may give each transaction another server connection: nothing outlives one
        with psycopg.connect(
            url, connect_timeout=5, autocommit=True, prepare_threshold=None, row_factory=dict_row
        ) as connection:
            yield connection
    except psycopg.errors.UndefinedTable as error:
        raise OperationError(
            "The database has no profiles yet.", "Run `make migrate`, then the same command again."
        ) from error
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise OperationError(
            f"The database can't be asked: {reason}.", "Check it with `make status`."
        ) from error
