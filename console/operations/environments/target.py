"""What a command or a button acts on: one environment, resolved once and shown everywhere.

Nothing else reads ``ENV``, ``DATABASE_URL``, ``TUNNEL``, ``AVATAR_OPS_STATE`` or ``AWS_…`` from the
process's environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from console.operations.environments import clients, deployment
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import ROOT
from console.operations.errors import OperationError


class MismatchError(OperationError):
    """The parts of an environment do not agree with each other."""


TFVARS = ROOT / "terraform/envs"


@dataclass(frozen=True)
class Database:
    """A Postgres database and the role that operators use there.

    Attributes
    ----------
    host, port, name, user
        Where it is, as its own URL says.
    tunnel
        ``host:port`` that connections go to instead (``TUNNEL``); empty without one.
    url
        Returns the URL with its password, which is kept out of `repr` and comparisons.
    """

    host: str
    port: int
    name: str
    user: str
    tunnel: str = ""
    url: Callable[[], str] = field(default=lambda: "", repr=False, compare=False)

    def __str__(self) -> str:
        through = f" through {self.tunnel}" if self.tunnel else ""
        return f"database {self.user}@{self.host}:{self.port}/{self.name}{through}"


@dataclass(frozen=True)
class Target:
    """An environment, the account and region it is in, and its database.

    Attributes
    ----------
    env
        The environment's name, `ENV`.
    account
        The id of the AWS account; empty where there is none to ask (only a database is used).
    database
        None without one, or if nothing says where it is (`database_error`).
    state
        The folder of what is kept between runs, of this environment alone.
    endpoint
        The emulator's address; empty on AWS.
    access
        The environment variables that reach the emulator; empty on AWS, where boto3 finds the
        operator's own credentials.
    database_error
        Why the database of this environment is not known.
    """

    env: str
    account: str
    region: str
    database: Database | None
    state: Path
    endpoint: str = ""
    access: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    database_error: OperationError | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        parts = [self.env]
        if self.account:
            where = f" at {self.endpoint}" if self.endpoint else ""
            parts.append(f"account {self.account}{where}")
        if self.region:
            parts.append(self.region)
        if self.database:
            parts.append(str(self.database))
        else:
            parts.append("database unknown" if self.database_error else "no database")
        return ", ".join(parts)

    def database_url(self) -> str:
        """Return the operators' database URL, password included: never to be shown or kept.

        Raises
        ------
        OperationError
            If this environment has no database, or nothing says where it is.
        """
        if self.database:
            return self.database.url()
        raise self.database_error or OperationError(
            f"{self.env} has no database.",
            "Set `database` in the environment's tfvars, then run `make apply`.",
        )


@dataclass(frozen=True)
class Tfvars:
    """What ``terraform/envs/<env>.tfvars`` says of the place; empty where it says nothing."""

    environment: str = ""
    region: str = ""
    account_id: str = ""


def chosen_env() -> str:
    """Return the name of the environment that was asked for (``ENV``)."""
    return os.environ.get("ENV") or "local"


def state_root() -> Path:
    """Return the folder with each environment's state (``AVATAR_OPS_STATE`` moves it)."""
    return Path(os.environ.get("AVATAR_OPS_STATE") or ROOT / ".local/state").resolve()


def state_folder(env: str) -> Path:
    """Return the folder of one environment's state, bringing along what older versions kept."""
    deployment.check_name(env)
    root = state_root()
    folder = root / env
    for old, new in (
        (root / "terraform" / env, folder / "terraform"),
        (root / f"audit-waiting-{env}.jsonl", folder / "audit-waiting.jsonl"),
    ):
        if old.exists() and not new.exists():
            folder.mkdir(parents=True, exist_ok=True)
            old.rename(new)
    return folder


def read_tfvars(env: str) -> Tfvars | None:
    """Return what the environment's tfvars say of the place; None without such a file."""
    deployment.check_name(env)
    try:
        text = (TFVARS / f"{env}.tfvars").read_text()
    except FileNotFoundError:
        return None
    found = re.findall(r'^\s*(environment|region|account_id)\s*=\s*"([^"]*)"', text, re.MULTILINE)
    return Tfvars(**dict(found))


def resolve(env: str, access: Mapping[str, str] | None = None) -> Target:
    """Return the environment as everything that is known of it agrees on.

    Parameters
    ----------
    access
        The environment variables that reach the emulator, where no settings file has them yet.

    Raises
    ------
    OperationError
        If the parts disagree: the credentials' account, ``account_id``, ``environment`` and
        ``region`` of the tfvars, the settings file, a ``DATABASE_URL`` of the shell.
    """
    deployment.check_name(env)
    given = given_database_url(env)
    settings = deployment.read_settings(env)
    access = _access(env) if access is None else dict(access)
    endpoint = access.get("AWS_ENDPOINT_URL", "")
    tfvars = read_tfvars(env)
    region = _agreed_region(env, tfvars, settings)
    account = ""
    if settings or access or endpoint or env != "local":
        account = caller(region, access).account
        _check_account(env, account, tfvars, settings, emulated=bool(endpoint))
    database, database_error = _database(env, given, settings)
    return Target(
        env=env,
        account=account,
        region=region,
        database=database,
        state=state_folder(env),
        endpoint=endpoint,
        access=access,
        database_error=database_error,
    )


def endpoint_of(env: str) -> str:
    """Return the address of the emulator that the environment is on; empty on AWS."""
    return _access(env).get("AWS_ENDPOINT_URL", "")


def _access(env: str) -> dict[str, str]:
    """Return what reaches the emulator: from the settings file, or else from the shell."""
    if access := deployment.read_access(env):
        return access
    if not os.environ.get("AWS_ENDPOINT_URL"):
        return {}
    return {name: os.environ[name] for name in deployment.ACCESS if os.environ.get(name)}


def caller(region: str, access: Mapping[str, str]) -> clients.Caller:
    """Return whose credentials these are.

    Raises
    ------
    OperationError
        If AWS can't be asked.
    """
    with aws_errors("ask AWS whose credentials these are"):
        return clients.caller(region or None, tuple(sorted(access.items())))


def _agreed_region(env: str, tfvars: Tfvars | None, settings: Mapping[str, str]) -> str:
    file = f"terraform/envs/{env}.tfvars"
    if tfvars is None:
        return settings.get("REGION", "")
    if tfvars.environment != env:
        said = f"is of {tfvars.environment!r}" if tfvars.environment else "names no environment"
        raise MismatchError(
            f"ENV is {env}, but {file} {said}.", f'Set in that file: environment = "{env}"'
        )
    if not tfvars.region:
        raise MismatchError(f"{file} sets no region.", 'Add a line: region = "eu-central-1"')
    applied = settings.get("REGION")
    if applied and applied != tfvars.region:
        raise MismatchError(
            f"{file} says {tfvars.region}, but {env} was applied in {applied}.",
            f"Set the region back; or, once {env} is destroyed there, delete "
            f"{deployment.settings_file(env).name}.",
        )
    return tfvars.region


def _check_account(
    env: str,
    account: str,
    tfvars: Tfvars | None,
    settings: Mapping[str, str],
    *,
    emulated: bool,
) -> None:
    file = f"terraform/envs/{env}.tfvars"
    expected = {
        file: tfvars.account_id if tfvars else "",
        deployment.settings_file(env).name: settings.get("ACCOUNT_ID", ""),
    }
    for source, value in expected.items():
        if value and value != account:
            raise MismatchError(
                f"These credentials are of the AWS account {account}, but {source} says that {env} "
                f"is in {value}.",
                "Sign in to that account, or set AWS_PROFILE.",
            )
    if not emulated and env != "local" and not any(expected.values()):
        raise MismatchError(
            f"Nothing says which AWS account {env} is in; these credentials are of {account}.",
            f'If that is the one, add to {file}: account_id = "{account}"',
        )


def given_database_url(env: str) -> str:
    """Return the ``DATABASE_URL`` that was given for this very command; empty without one.

    Raises
    ------
    OperationError
        If it is from elsewhere, or the environment has a database of its own.
    """
    url = os.environ.get("DATABASE_URL", "").strip()
    if not url:
        return ""
    if env != "local":
        raise MismatchError(
            f"DATABASE_URL is set, but {env} has its own database.",
            "Run `unset DATABASE_URL`. The owner's URL belongs into the SSM parameter with "
            "`-owner` at its end; to go there through a tunnel, give TUNNEL=127.0.0.1:6543.",
        )
    if os.environ.get("DATABASE_URL_ORIGIN") != "command line":
        raise MismatchError(
            "DATABASE_URL is set in the shell, where it may be another environment's.",
            "Run `unset DATABASE_URL`, or give it for this command: "
            "make … DATABASE_URL=postgresql://…",
        )
    return url


def _database(
    env: str, given: str, settings: Mapping[str, str]
) -> tuple[Database | None, OperationError | None]:
    if not given and not settings.get("DATABASE_URL_PARAMETER"):
        return None, None
    from console.operations.environments import databases  # loads psycopg: only where needed

    try:
        if given:
            return databases.parse(given), None
        url = databases.operator_url(deployment.load(env))
        return databases.parse(url, os.environ.get("TUNNEL", "").strip()), None
    except OperationError as error:
        return None, error
