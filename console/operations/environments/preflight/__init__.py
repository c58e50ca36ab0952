"""Say before the first apply what would stop it minutes later.

Each check asks a little of AWS, of public DNS, or of the settings themselves, and changes nothing.
What can't be asked, for want of a permission, a network or an account, is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Callable

from console.operations import progress
from console.operations.environments import target as targets
from console.operations.environments import terraform_state, tfvars
from console.operations.environments.doctor import examination
from console.operations.environments.doctor.finding import Finding
from console.operations.environments.preflight import account, domain, names, settings
from console.operations.environments.preflight.planned import Planned
from console.operations.environments.target import Target
from console.operations.environments.terraform import Workspace
from console.operations.environments.terraform_state import NothingAppliedError
from console.operations.errors import OperationError

__all__ = ["examine", "problems", "stops"]


def examine(
    env: str,
    resolved: Callable[[], Target],
    workspace: Callable[[Target], Workspace] = Workspace,
    report: progress.Report = progress.ignore,
) -> list[Finding]:
    """Look at all that an apply would meet.

    Parameters
    ----------
    resolved
        Returns the environment, or raises what is wrong with it.

    Returns
    -------
    list of Finding
        An ``error`` stops an apply, a ``warning`` may, ``unknown`` could not be asked.
    """
    path = targets.TFVARS / f"{env}.tfvars"
    if not path.exists():
        return [
            Finding(
                "Settings", path.name, "error", "a file", "there is none",
                f"Copy example.tfvars there to {path.name} and fill it in.",
            )
        ]  # fmt: skip
    try:
        given = tfvars.read(path)
    except OperationError as error:
        return [Finding("Settings", path.name, "error", "", error.message, error.remedy)]
    region = str(given.get("region", ""))
    if refused := account.wrong_partition(region):
        return [refused]
    try:
        target = resolved()
    except OperationError as error:
        return [account.refused(region, error)]
    found: list[Finding] = []
    try:
        state = terraform_state.read(workspace(target))
    except NothingAppliedError:
        state = None
    except OperationError as error:
        state = None
        found.append(Finding("Account", "Terraform's state", "unknown", "readable",
                             error.message, error.remedy))  # fmt: skip
    planned = Planned(target, given, state)
    checks = [
        *settings.checks(planned),
        *account.checks(planned),
        *names.checks(planned),
        *domain.checks(planned),
    ]
    return found + examination.run(checks, report, "Preflight")


def problems(findings: list[Finding]) -> list[Finding]:
    """Return what an apply may fail on."""
    return [finding for finding in findings if finding.state in {"error", "warning"}]


def stops(findings: list[Finding]) -> bool:
    """Say whether an apply would fail."""
    return any(finding.state == "error" for finding in findings)
