"""The login of the profiles function: one for each database, with the rights of ``profiles``.

Migrations grant to the role ``profiles``, which is the server's and so shared by all its
databases. Nobody is a member of it: the login of a database gets, in that database alone, what
``profiles`` has there, in the transaction of each migration. So a login reads no other
environment's rows, and its password is nobody else's.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import psycopg
from psycopg import conninfo, errors, sql
from sqlalchemy import Connection

from console.operations.errors import OperationError
from console.operations.migrations.session import connect, query
from console.operations.migrations.statements import run_statement

ROLE = "profiles"

# Well below API Gateway's 30 s. The role's, since a session may be shared by a pool.
SETTINGS = {
    "statement_timeout": "5s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
}

# What one role was granted in this database and the other was not.
_DIFFERENCE = """
    WITH roles AS (
        SELECT to_regrole(quote_ident(%s)) AS model, to_regrole(quote_ident(%s)) AS login
    ), rights AS (
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
               c.oid::regclass::text AS object, '' AS columns, a.privilege_type, a.grantee
        FROM pg_class c, aclexplode(c.relacl) a
        UNION ALL
        SELECT 'TABLE', t.attrelid::regclass::text, format('(%%I)', t.attname), a.privilege_type,
               a.grantee
        FROM pg_attribute t, aclexplode(t.attacl) a WHERE NOT t.attisdropped
        UNION ALL
        SELECT 'ROUTINE', p.oid::regprocedure::text, '', a.privilege_type, a.grantee
        FROM pg_proc p, aclexplode(p.proacl) a
        UNION ALL
        SELECT 'SCHEMA', quote_ident(n.nspname), '', a.privilege_type, a.grantee
        FROM pg_namespace n, aclexplode(n.nspacl) a
        UNION ALL
        SELECT 'TYPE', t.oid::regtype::text, '', a.privilege_type, a.grantee
        FROM pg_type t, aclexplode(t.typacl) a
    ), of_model AS (
        SELECT kind, object, columns, privilege_type FROM rights, roles WHERE grantee = model
    ), of_login AS (
        SELECT kind, object, columns, privilege_type FROM rights, roles WHERE grantee = login
    )
    SELECT format('%%s %%s%%s ON %%s %%s %%s %%s', verb, privilege_type, columns, kind, object,
                  way, login)
    FROM roles, (
        SELECT 'GRANT' AS verb, 'TO' AS way, missing.*
        FROM (SELECT * FROM of_model EXCEPT SELECT * FROM of_login) missing
        UNION ALL
        SELECT 'REVOKE', 'FROM', extra.*
        FROM (SELECT * FROM of_login EXCEPT SELECT * FROM of_model) extra
    ) changes
    WHERE login IS NOT NULL
    ORDER BY 1
"""


def login_name(database: str) -> str:
    """Return the role that the function logs in as, on a server that may have other databases."""
    name = f"{ROLE}_{database}"
    if len(name.encode()) <= 63:  # Postgres would cut it
        return name
    return f"{ROLE}_{hashlib.sha256(database.encode()).hexdigest()[:32]}"


def mirror(connection: Connection) -> None:
    """Give the login, where there is one, what ``profiles`` has, in the caller's transaction."""
    database = query(connection, "SELECT current_database()")[0][0]
    for row in query(connection, _DIFFERENCE, ROLE, login_name(database)):
        run_statement(connection, row[0])


def profiles_url(
    url: str, *, model: str | None = None, address: tuple[str, int] | None = None
) -> str:
    """Give the function's role of this database a new password and return the URL to log in with.

    Each call ends the last password: a function that still has it reads the parameter again when
    Postgres refuses it.

    Parameters
    ----------
    url
        How an operator connects; needs the right to change roles.
    model
        The function's URL so far: its host, TLS and other options stay. Without one, they are
        those of `url`.
    address
        Host and port for the function, where `url` leads through a tunnel.

    Raises
    ------
    OperationError
        If the role ``profiles`` is not there yet, or the account may not make roles.
    """
    password = secrets.token_urlsafe(24)
    user = set_password(url, password)
    parts = dict(conninfo.conninfo_to_dict(model or url))
    if model is None:
        # The way of an operator, not of the function.
        for name in ("hostaddr", "options", "application_name", "passfile", "connect_timeout"):
            parts.pop(name, None)
        if address:
            parts["host"], parts["port"] = address[0], str(address[1])
    return with_login(parts, user, password)


def set_password(url: str, password: str) -> str:
    """Make the function's role of this database where it is missing, and set its password.

    Returns
    -------
    str
        The role's name.
    """
    try:
        with connect(url, purpose="login") as connection, connection.begin():
            # Hashed on this side, so that no log of the server can ever show the password.
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)  # noqa: S101  `connect` makes it
            database = driver.info.dbname
            user = login_name(database)
            verifier = driver.pgconn.encrypt_password(
                password.encode(), user.encode(), b"scram-sha-256"
            ).decode()
            if not query(connection, "SELECT to_regrole(%s)", ROLE)[0][0]:
                raise OperationError(
                    f"The role {ROLE} does not exist yet.",
                    "Run `make migrate` first; it makes the role.",
                )
            exists = query(connection, "SELECT FROM pg_roles WHERE rolname = %s", user)
            name = sql.Identifier(user)
            statements = [
                sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                    sql.SQL("ALTER" if exists else "CREATE"), name, sql.Literal(verifier)
                ),
                *(
                    sql.SQL("ALTER ROLE {} SET {} = {}").format(
                        name, sql.Identifier(setting), sql.Literal(value)
                    )
                    for setting, value in SETTINGS.items()
                ),
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                    sql.Identifier(database), name
                ),
            ]
            for statement in statements:
                run_statement(connection, statement.as_string())
            mirror(connection)
            return user
    except Exception as error:
        cause = getattr(error, "orig", error)
        if not isinstance(cause, psycopg.Error):
            raise
        said = str(cause).strip().splitlines()[0]
        remedy = "See the server's log, then run the command again."
        if isinstance(cause, errors.InsufficientPrivilege):
            remedy = "Use an account that may change roles (CREATEROLE)."
        raise OperationError(
            f"The function's role could not be given a login: {said}.", remedy
        ) from None


def with_login(parts: Mapping[str, object], user: str, password: str) -> str:
    """Return the URL of a connection's `parts`, with another user and password."""
    rest = {key: str(value) for key, value in parts.items() if value is not None}
    host, port = rest.pop("host", "localhost"), rest.pop("port", "5432")
    rest.pop("password", None)
    database = quote(rest.pop("dbname", "") or rest.get("user", ""), safe="")
    rest.pop("user", None)
    hosts, ports = host.split(","), port.split(",")
    where = ",".join(
        f"{f'[{name}]' if ':' in name else quote(name, safe='')}"
        f":{ports[number] if len(ports) > 1 else ports[0]}"
        for number, name in enumerate(hosts)
    )
    query_string = f"?{urlencode(rest, quote_via=quote)}" if rest else ""
    return (
        f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@{where}/{database}"
        f"{query_string}"
    )
