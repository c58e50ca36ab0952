"""Examine an environment: every setting compared, everything that can be probed, probed.

The truth is Terraform's state: what it made, with which attributes. Settings files, functions'
environments and policies are compared with it; what users rely on is tried for real. Nothing is
changed, except that a test user signs in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from console.operations import progress
from console.operations.environments import (
    deployment,
    settings_files,
    target,
    terraform_state,
)
from console.operations.environments.deployment import Deployment
from console.operations.environments.doctor import (
    api,
    buckets,
    cdn,
    database,
    dns,
    functions,
    permissions,
    pipeline,
    settings,
    users,
)
from console.operations.environments.doctor.database import Drift, Migrations
from console.operations.environments.doctor.examination import (
    Check,
    failure,
    not_checked,
    refuses_credentials,
    run,
)
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import AREAS, Finding, State, in_order, severity
from console.operations.environments.target import MismatchError
from console.operations.environments.terraform import Workspace
from console.operations.environments.terraform_state import NothingAppliedError, TerraformState
from console.operations.errors import OperationError

__all__ = ["AREAS", "Finding", "State", "examine", "severity"]

# What a settings file may hold besides
_OPTIONAL = ("DATABASE_URL",)
_SETTINGS, _CREDENTIALS = "the console's settings", "the credentials"
_NOTHING = "nothing was applied"
_HALF = "an apply did not run to its end"


def examine(
    env: str,
    workspace: Callable[[], Workspace],
    report: progress.Report = progress.ignore,
    *,
    who: str | None = "doctor",
    migrations: Migrations | None = None,
    drift: Drift | None = None,
) -> list[Finding]:
    """Look at all of an environment.

    Parameters
    ----------
    workspace
        Returns Terraform's workspace; what it can't be asked is reported as unknown.
    who
        The test user that signs in; None where nobody may, which leaves out what needs a token.
    migrations
        Returns the database's migrations, or raises OperationError if it can't be reached; None
        without a database.
    drift
        Returns how the database's schema differs from what its migrations make; None leaves it
        out, for it starts a Postgres.

    Returns
    -------
    list of Finding
        By area. Never an error for what is only the consequence of another one.
    """
    return in_order(_examine(env, workspace, report, who, migrations, drift))


def _examine(
    env: str,
    workspace: Callable[[], Workspace],
    report: progress.Report,
    who: str | None,
    migrations: Migrations | None,
    drift: Drift | None,
) -> Iterator[Finding]:
    found = deployment.read_settings(env)
    state, findings, barrier = _ask_terraform(env, found, workspace)
    yield from findings
    if barrier not in {_NOTHING, _HALF}:
        yield from _settings(env, state)
    here = None if barrier else _deployment(env, found, state)
    if here is None:
        yield not_checked(barrier or _SETTINGS, ["everything that AWS would have to be asked"])
    else:
        yield from run(all_checks(Examined(here, state), who, migrations, drift), report)


def all_checks(
    subject: Examined, who: str | None, migrations: Migrations | None, drift: Drift | None = None
) -> list[Check]:
    """Return every check of an environment that AWS or the database must be asked for."""
    return [
        *functions.checks(subject),
        *buckets.checks(subject),
        *permissions.checks(subject),
        *pipeline.checks(subject),
        *users.checks(subject, who),
        *dns.checks(subject),
        *database.checks(subject, migrations, drift),
        *api.checks(subject, who),
        *cdn.checks(subject),
    ]


def _ask_terraform(
    env: str, found: dict[str, str], workspace: Callable[[], Workspace]
) -> tuple[TerraformState | None, list[Finding], str]:
    """Return the state if it can be read, what is to say, and what bars the way to AWS if any."""
    access = {name: found[name] for name in deployment.ACCESS if found.get(name)}
    if env == "local" and len(access) < len(deployment.ACCESS):
        return None, [], _SETTINGS  # the SDK would turn to AWS itself
    findings: list[Finding] = []
    terraform: Workspace | None = None
    try:
        terraform = workspace()
    except OperationError as error:
        if isinstance(error, MismatchError) or refuses_credentials(error):
            return None, [_refused(error)], _CREDENTIALS
        findings.append(Finding("Terraform", "state", "unknown", "", error.message, error.remedy))
    try:
        if terraform:
            arn = target.caller(terraform.target.region, terraform.target.access).arn
        else:
            arn = target.caller(found.get("REGION", ""), access).arn
    except OperationError as error:
        # what kept Terraform from its state is no second fault
        others = [finding for finding in findings if finding.found != error.message]
        return None, [*others, _refused(error)], _CREDENTIALS
    findings.append(Finding("Credentials", "AWS", "ok", "valid", arn))
    state = None
    if terraform:
        try:
            state = terraform_state.read(terraform)
        except OperationError as error:
            if refuses_credentials(error):
                return None, [_refused(error)], _CREDENTIALS
            findings.append(failure("Terraform", "state", error))
            if isinstance(error, NothingAppliedError):
                return None, findings, _NOTHING
        else:
            if missing := settings_files.missing_outputs(state.outputs):
                return None, [*findings, _half_applied(env, state, missing)], _HALF
            findings.append(Finding("Terraform", "state", "ok", "readable", _count(state)))
    return state, findings, ""


def _half_applied(env: str, state: TerraformState, missing: list[str]) -> Finding:
    error = settings_files.half_applied(env, missing)
    found = f"{_count(state)}; {error.message}"
    return Finding("Terraform", "state", "error", "applied to its end", found, error.remedy)


def _count(state: TerraformState) -> str:
    return f"{sum(len(items) for items in state.instances.values())} resources"


def _refused(error: OperationError) -> Finding:
    return Finding("Credentials", "AWS", "error", "valid", error.message, error.remedy)


def _settings(env: str, state: TerraformState | None) -> Iterator[Finding]:
    expected: dict[str, str | None]
    if state:
        expected = dict(settings_files.console_settings(state.outputs, {}))
        expected_by_front_end: dict[str, str | None] = dict(
            settings_files.front_end_settings(state.outputs)
        )
    else:
        expected = dict.fromkeys(settings_files.console_settings({}, {}))
        there = deployment.read_variables(deployment.settings_file(env))
        optional = [name.upper() for name in settings_files.OPTIONAL]
        expected |= {name: "" for name in optional if not there.get(name)}
        expected_by_front_end = dict.fromkeys(settings_files.FRONT_END)
    if env == "local":
        expected |= dict.fromkeys(deployment.ACCESS) | {"AWS_REGION": expected["REGION"]}
    for area, path, wanted in (
        ("Console settings", deployment.settings_file(env), expected),
        ("Front-end settings", settings_files.front_end_file(env), expected_by_front_end),
    ):
        variables = deployment.read_variables(path)
        wanted |= {name: None for name in _OPTIONAL if name in variables}
        if not variables:
            yield Finding(area, path.name, "error", "a file", "there is none", _refresh(env))
            continue
        yield from settings.compare(area, "", wanted, variables, _refresh(env))


def _refresh(env: str) -> str:
    up = " (or `make up`)" if env == "local" else ""
    return f"Write the file again: `make env ENV={env}`{up}."


def _deployment(env: str, found: dict[str, str], state: TerraformState | None) -> Deployment | None:
    """Return where to look: as Terraform says, where it can be asked."""
    if state is None:
        try:
            return deployment.load(env)
        except OperationError:
            return None
    values: dict[str, Any] = {
        field.name: state.outputs[field.name]
        for field in fields(Deployment)
        if field.name in state.outputs
    }
    access = {name: found[name] for name in deployment.ACCESS if name in found}
    return Deployment(**(values | {"name": env, "access": access}))
