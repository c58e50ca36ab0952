"""Where the database is: an operator's way in, and the function's.

The function reads its URL from the SSM SecureString whose name Terraform is given; the operators'
URL, whose role owns the tables, is stored next to it under the same name with ``-owner``.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

from console.operations.environments import deployment as deployments
from console.operations.environments.aws_errors import aws_errors, suppressed
from console.operations.environments.deployment import ROOT, Deployment
from console.operations.environments.target import Database, Target
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
    url = _read(deployment, name)
    if url is None:
        raise OperationError(
            f"There is no parameter {name}.",
            "Store the operators' URL there as a SecureString.",
        )
    return url


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
            "The database URL is not valid.",
            "Write postgresql://user:password@host:5432/name.",  # pragma: allowlist secret
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


@dataclass(frozen=True)
class LoginPlan:
    """What is to be done about the function's login.

    Attributes
    ----------
    change
        ``keep``, ``make`` where the parameter holds none, ``replace`` the password.
    reason
        Why, as a sentence without a secret.
    stored
        The URL in the parameter; empty without one.
    """

    change: Literal["keep", "make", "replace"]
    reason: str
    stored: str = field(default="", repr=False)


def login_plan(deployment: Deployment, url: str) -> LoginPlan:
    """Return whether the function's login is to be kept, made, or given another password.

    Only a refused password is replaced: that a server can't be reached from here, through
    whatever network the function has, says nothing about it. So the password is tried on the
    way that operators take.
    """
    stored = _stored_url(deployment)
    if not stored:
        return LoginPlan("make", "The parameter holds no URL.")
    try:
        known = psycopg.conninfo.conninfo_to_dict(stored)
    except psycopg.Error:
        return LoginPlan("make", "What the parameter holds is not a URL of a database.")
    user, password = str(known.get("user") or ""), str(known.get("password") or "")
    from console.operations.migrations import logins  # loads SQLAlchemy

    ours = logins.login_name(str(psycopg.conninfo.conninfo_to_dict(url).get("dbname") or ""))
    if user not in (ours, logins.ROLE):
        return LoginPlan(
            "keep", f"The function logs in as {user}, which is not of our making.", stored
        )
    answer = try_login(url, user, password)
    if answer is None:
        return LoginPlan("keep", f"{user} logs in.", stored)
    if answer.refused:
        return LoginPlan("replace", f"Postgres refuses the password of {user}.", stored)
    return LoginPlan("keep", f"Whether {user} logs in is not known: {answer.said}", stored)


@dataclass(frozen=True)
class LoginFailure:
    """Why a login failed; `refused` if that was the user or the password."""

    refused: bool
    said: str


# As Postgres and PgBouncer say it in English.
_REFUSED = re.compile(
    r'(?:password|SASL) authentication failed|role "[^"]*" (?:does not exist|is not permitted)'
)


def try_login(url: str, user: str, password: str) -> LoginFailure | None:
    """Try a user and password on the server that `url` leads to; None if they are accepted.

    libpq gives no code for a failed login, and a server may speak any language. So where the
    words aren't known, a password is refused if the server asked for it, and says the same of one
    that can't be right.
    """
    answer = _login(url, user, password)
    if answer is None:
        return None
    said, asked = answer
    refused = bool(_REFUSED.search(said)) or (
        asked and _login(url, user, secrets.token_urlsafe(24)) == answer
    )
    return LoginFailure(refused, said)


def _login(url: str, user: str, password: str) -> tuple[str, bool] | None:
    """Return why a login fails and whether its password was asked for; None if it doesn't."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    for name in ("options", "passfile", "sslcert", "sslkey"):
        parts.pop(name, None)
    parts |= {"user": user, "password": password, "connect_timeout": "5"}
    try:
        psycopg.connect(psycopg.conninfo.make_conninfo("", **parts)).close()
    except psycopg.Error as error:
        said = str(error).strip().splitlines()[-1].strip()
        return said, bool(error.pgconn and error.pgconn.used_password)
    return None


def address(target: Target) -> tuple[str, int] | None:
    """Return where the functions find an environment's database."""
    return (target.database.host, target.database.port) if target.database else None


def login_after_migration(target: Target) -> str:
    """Give the profiles function a login, if the one it has is refused; `make up` does locally.

    Returns
    -------
    str
        What to add to the migration's outcome.
    """
    if target.env == "local" or not deployments.settings_file(target.env).exists():
        return ""
    deployed = deployments.load(target.env)
    if deployed.database_url_parameter and ensure_login(
        deployed, target.database_url(), address(target)
    ):
        return "The profiles function has a new login."
    return ""


def ensure_login(deployment: Deployment, url: str, address: tuple[str, int] | None = None) -> bool:
    """Do what `login_plan` says; see `rotate_login`.

    Returns
    -------
    bool
        Whether the function has a new login.
    """
    plan = login_plan(deployment, url)
    if plan.change == "keep":
        return False
    rotate_login(deployment, url, address)
    return True


def rotate_login(deployment: Deployment, url: str, address: tuple[str, int] | None = None) -> str:
    """Give the function's role of this database a new password, in Postgres and in the parameter.

    Host, port, TLS and other options of the function's URL stay. A function that has the old
    password reads the parameter again when Postgres refuses it.

    Parameters
    ----------
    address
        Host and port for a function that has no URL yet, where `url` leads through a tunnel.

    Returns
    -------
    str
        The role that the function logs in as.

    Raises
    ------
    OperationError
        If the role can't be changed, or the parameter not be written; then the old password
        holds on.
    """
    from console.operations.migrations import logins  # loads SQLAlchemy

    stored = _stored_url(deployment)
    try:
        known = psycopg.conninfo.conninfo_to_dict(stored)
    except psycopg.Error:
        stored, known = "", {}
    fresh = logins.profiles_url(url, model=stored or None, address=address)
    role = str(psycopg.conninfo.conninfo_to_dict(fresh)["user"])
    try:
        _store(deployment, deployment.database_url_parameter, fresh)
    except OperationError:
        if known.get("user") == role and known.get("password"):
            logins.set_password(url, str(known["password"]))
        raise
    return role


def _stored_url(deployment: Deployment) -> str:
    return (_read(deployment, deployment.database_url_parameter) or "").strip()


def _read(deployment: Deployment, name: str) -> str | None:
    """Return a parameter's value, or None if there is no such parameter."""
    with aws_errors(f"read the parameter {name}"), suppressed({"ParameterNotFound"}):
        found = deployment.parameters.get_parameter(Name=name, WithDecryption=True)
        return found["Parameter"]["Value"]
    return None


def schema_state(url: str) -> SchemaState:
    """Return how far the database is migrated; `make migrations` compares every file.

    Raises
    ------
    OperationError
        If the database can't be reached, or is at a version that no file here has.
    """
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute(
                "SELECT to_regclass('public.alembic_version') IS NULL"
            ).fetchone()
            new = row is None or bool(row[0])
            query = "SELECT version_num FROM public.alembic_version"
            versions = [] if new else [str(found) for (found,) in connection.execute(query)]
    except psycopg.OperationalError as error:
        raise OperationError(
            f"The database can't be reached: {_first_line(error)}.",
            "Check that the server runs and can be reached from here.",
        ) from None
    except psycopg.Error as error:
        raise OperationError(
            f"The database can't be read: {_first_line(error)}.",
            "Check the rights of the operators' role.",
        ) from None
    known = sorted(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*_*.py"))
    if len(versions) > 1 or (versions and versions[0] not in known):
        raise OperationError(
            f"The database is at {', '.join(versions)}, which is not in migrations/versions.",
            "`make migrations` shows what is different.",
        )
    applied = known.index(versions[0]) + 1 if versions else 0
    return SchemaState(applied, len(known) - applied)


def _first_line(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _store(deployment: Deployment, name: str, value: str) -> None:
    with aws_errors(f"write the parameter {name}"):
        # Without it, a value that has a key of its own would move to AWS's.
        kinds = deployment.parameters.describe_parameters(
            ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}]
        )["Parameters"]
        key: Any = {"KeyId": kinds[0]["KeyId"]} if kinds and kinds[0].get("KeyId") else {}
        deployment.parameters.put_parameter(
            Name=name, Value=value, Type="SecureString", Overwrite=True, **key
        )
