"""Run checks side by side, each for itself, but none whose prerequisite is known to be broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from console.operations import progress
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.doctor.finding import Finding, State
from console.operations.errors import OperationError

_WORKERS = 8
_MISSING = {"404", "NoSuchEntity", "NoSuchBucket", "NoSuchDistribution", "NoSuchHostedZone"}
_BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


@dataclass(frozen=True)
class Check:
    """Something to look at.

    Attributes
    ----------
    key
        Its name, unique among the checks.
    needs
        Keys of earlier checks: if one of them finds an error, this one is not run, for what it
        would find is only the consequence. Keys of checks that are left out don't matter.
    after
        Keys of earlier checks that must have ended, whatever they found.
    """

    area: str
    key: str
    run: Callable[[], Iterable[Finding]]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Outcome:
    findings: list[Finding] = field(default_factory=list)
    broken_by: str = ""


def run(
    checks: Sequence[Check],
    report: progress.Report,
    step: str = "Examine",
    workers: int = _WORKERS,
) -> list[Finding]:
    """Run the checks, so many at a time, and return what they found.

    What was left out because of a broken prerequisite is said in one finding for each such
    prerequisite.
    """
    outcomes: dict[str, Future[_Outcome]] = {}
    skipped: dict[str, list[str]] = {}

    def one(check: Check) -> _Outcome:
        # Each waits only for earlier ones, which therefore run already: the pool can't lock up
        earlier = {key: outcomes[key].result() for key in check.after + check.needs
                   if key in outcomes}  # fmt: skip
        for key in check.needs:
            if cause := earlier.get(key, _Outcome()).broken_by:
                skipped.setdefault(cause, []).append(check.key)
                return _Outcome(broken_by=cause)
        findings = _guarded(check)
        broken = any(finding.state == "error" for finding in findings)
        return _Outcome(findings, check.key if broken else "")

    with (
        progress.timed(report, step) as detail,
        ThreadPoolExecutor(workers, thread_name_prefix="doctor") as pool,
    ):
        names: dict[Future[_Outcome], str] = {}
        for check in checks:
            outcomes[check.key] = pool.submit(one, check)
            names[outcomes[check.key]] = check.key
        for done, future in enumerate(as_completed(names), 1):
            report(progress.Event(step, "advanced", names[future], done=done, total=len(checks)))
        detail.append(f"{len(checks)} checks")
    found = [finding for future in outcomes.values() for finding in future.result().findings]
    return found + [not_checked(cause, names) for cause, names in skipped.items()]


def not_checked(cause: str, names: Iterable[str]) -> Finding:
    """Return the one finding for all that was not looked at because of `cause`."""
    return Finding(
        "Not checked",
        f"because of: {cause}",
        "unknown",
        "",
        ", ".join(sorted(names)),
        f"Fix {cause} first, then examine again.",
    )


def _guarded(check: Check) -> list[Finding]:
    findings: list[Finding] = []
    try:
        findings.extend(check.run())
    except Exception as error:  # no check may take the others down with it
        findings.append(failure(check.area, check.key, error))
    return findings


def failure(area: str, name: str, error: Exception) -> Finding:
    """Return the finding for a check that ended with an error."""
    cause = error.__cause__ if isinstance(error, OperationError) else error
    if isinstance(cause, ClientError):
        code = error_code(cause)
        if code in _MISSING or any(word in code for word in ("NotFound", "NonExistent")):
            return Finding(
                area,
                name,
                "error",
                "it exists",
                "it does not exist",
                "`make apply` creates it again, unless the settings name the wrong one.",
            )
    state: State = "unknown"
    if isinstance(error, OperationError) and not isinstance(cause, ClientError | BotoCoreError):
        state = "error"
    elif not isinstance(error, OperationError):
        error = _explained(name, error)
    return Finding(area, name, state, "", error.message, error.remedy)


def _explained(name: str, error: Exception) -> OperationError:
    try:
        with aws_errors(f"check {name}"):
            raise error
    except OperationError as understood:
        return understood
    except Exception:
        return OperationError(
            f"The check failed: {type(error).__name__}: {error}",
            "This is a defect in Avatar Ops: please report it.",
        )


def error_code(error: BaseException | None) -> str:
    """Return AWS's code for what went wrong, or nothing."""
    return str(error.response["Error"].get("Code", "")) if isinstance(error, ClientError) else ""


def refuses_credentials(error: Exception) -> bool:
    """Say whether AWS refused who asked, rather than what was asked for."""
    return error_code(error) in _BAD_CREDENTIALS or error_code(error.__cause__) in _BAD_CREDENTIALS
