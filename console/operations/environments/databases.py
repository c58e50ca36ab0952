"""Where the database is: an operator's way in, and the function's.

The function reads its URL from the SSM SecureString that Terraform is told of; the operators' URL,
whose role owns the tables, lies beside it under the same name with ``-owner``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
from botocore.exceptions import ClientError

from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import ROOT, Deployment
from console.operations.environments.target import Database
from console.operations.errors import OperationError

VERSIONS = ROOT / "migrations/versions"


@dataclass(frozen=True)
class SchemaState:
    """How far the database is migrated, by the version that it names itself."""

    applied: int
    pending: int


def owner_parameter(deployment: Deployment) -> str:
    """Return the name of the parameter with the operators' URL."""
    return f"{deployment.database_url_parameter}-owner"


def operator_url(deployment: Deployment) -> str:
    """Return the operators' URL from the owner's parameter, password included.

    Raises
    ------
    OperationError
        If this environment has no database, or the parameter can't be read.
    """
    if not deployment.database_url_parameter:
        raise OperationError(
            f"{deployment.name} has no database.",
            "Set `database` in the environment's tfvars, then run `make apply`.",
        )
    name = owner_parameter(deployment)
    with aws_errors(f"read the parameter {name}"):
        try:
            found = deployment.parameters.get_parameter(Name=name, WithDecryption=True)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise
            raise OperationError(
                f"There is no parameter {name}.",
                "Store the operators' URL there as a SecureString.",
            ) from None
    return found["Parameter"]["Value"]


def parse(url: str, tunnel: str = "") -> Database:
    """Return the database that a URL names.

    Parameters
    ----------
    tunnel
        ``host:port`` to connect to instead. The server's certificate is still checked against
        the URL's own host.

    Raises
    ------
    OperationError
        If the URL, which is never shown, or the tunnel is not one.
    """
    try:
        known = psycopg.conninfo.conninfo_to_dict(url)
        host = str(known.get("host") or known.get("hostaddr") or "localhost")
        port = int(known.get("port") or 5432)
    except (psycopg.Error, ValueError):
        raise OperationError(
            "The database URL is not valid.", "Write postgresql://user:password@host:5432/name."
        ) from None
    if tunnel:
        match = re.fullmatch(r"(localhost|[0-9.]+|\[?[0-9a-f:]+\]?):(\d{1,5})", tunnel)
        if not match:
            raise OperationError(
                f"TUNNEL is {tunnel!r}.", "Give the tunnel's near end: TUNNEL=127.0.0.1:6543"
            )
        address = "127.0.0.1" if match[1] == "localhost" else match[1].strip("[]")
        url = psycopg.conninfo.make_conninfo(url, hostaddr=address, port=match[2])
    return Database(
        host=host,
        port=port,
        name=str(known.get("dbname") or known.get("user") or ""),
        user=str(known.get("user") or ""),
        tunnel=tunnel,
        url=lambda: url,
    )


def keep_operator_url(deployment: Deployment, url: str) -> None:
    """Write the operators' URL into its parameter."""
    _store(deployment, owner_parameter(deployment), url)


def ensure_login(deployment: Deployment, url: str) -> bool:
    """Give the function a login of its own, if the one in its parameter does not work.

    Returns
    -------
    bool
        Whether a new one was made.

    Raises
    ------
    OperationError
        If the parameter can't be written or the role can't be changed.
    """
    name = deployment.database_url_parameter
    with aws_errors(f"read the parameter {name}"):
        try:
            current = deployment.parameters.get_parameter(Name=name, WithDecryption=True)
            psycopg.connect(current["Parameter"]["Value"], connect_timeout=5).close()
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise
        except psycopg.Error:
            pass
        else:
            return False
    from console.operations.migrations.seed import profiles_url  # loads SQLAlchemy

    _store(deployment, name, profiles_url(url))
    return True


def schema_state(url: str) -> SchemaState:
    """Return how far the database is migrated; `make migrations` compares every file.

    Raises
    ------
    OperationError
        If the database can't be reached, or is at a version that no file here has.
    """
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute("SELECT to_regclass('alembic_version') IS NULL").fetchone()
            new = row is None or bool(row[0])
            query = "SELECT version_num FROM alembic_version"
            versions = [] if new else [str(found) for (found,) in connection.execute(query)]
    except psycopg.Error as error:
        raise OperationError(
            f"The database can't be read: {_last_line(error)}.",
            "Check that the server runs and can be reached from here.",
        ) from None
    known = sorted(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*_*.py"))
    if len(versions) > 1 or (versions and versions[0] not in known):
        raise OperationError(
            f"The database is at {', '.join(versions)}, which is not in migrations/versions.",
            "`make migrations` shows what is different.",
        )
    applied = known.index(versions[0]) + 1 if versions else 0
    return SchemaState(applied, len(known) - applied)


def _last_line(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def _store(deployment: Deployment, name: str, value: str) -> None:
    with aws_errors(f"write the parameter {name}"):
        deployment.parameters.put_parameter(
            Name=name, Value=value, Type="SecureString", Overwrite=True
        )
