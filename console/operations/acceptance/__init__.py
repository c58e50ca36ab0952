"""Try the contract on a running environment, as its users do, and clean up.

What is tried is what docs/contract.md promises, whether the environment is on AWS or embedded. It
makes a test user of its own, sends pictures as that user, and removes both. Each line says what the
contract has and what was answered; where the embedded AWS is known to answer otherwise than AWS
(docs/local-differences.md), the answer is kept beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from console.operations import progress
from console.operations.acceptance import alarms, api, cdn, uploads
from console.operations.acceptance.subject import Answer, Subject
from console.operations.avatars import takedown
from console.operations.environments import terraform_state
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.doctor import examination
from console.operations.environments.doctor.examination import Check, error_code
from console.operations.environments.doctor.finding import Finding
from console.operations.environments.target import Target
from console.operations.environments.terraform import Workspace
from console.operations.errors import OperationError
from console.operations.migrations.seed import remove_user
from console.operations.pipeline import dead_letters
from console.operations.uploads import locks, outcomes, test_users

__all__ = ["Accept", "Result", "checks", "failed", "prepare", "save"]

# The order in which they are shown
_AREAS = ("Users", "API", "Uploads", "CDN", "Buckets", "Alarms", "Not checked", "Not asked",
          "Clean up")  # fmt: skip
State = Literal["ok", "failed", "not asked"]
_STATES: dict[str, State] = {
    "ok": "ok",
    "warning": "failed",
    "error": "failed",
    "unknown": "not asked",
}
_FORBIDDEN = {"403", "AccessDenied", "AccessDeniedException", "AuthorizationError"}
_WORKERS = 4
"""A new account runs ten functions at a time, and has users."""
# What the contract has, and nobody should try on an environment with users
_UNTRIED = {
    "429 above api_throttling": "it takes more requests a second than users should notice",
    "429 too_many_uploads": "it takes as many pictures as upload_limits let a user send",
    "500 and 503": "they need a broken part: the tests in tests/faults break each",
    "an expired token": "a token lives for an hour: the authorizer's tests have one",
}


@dataclass(frozen=True)
class Result:
    """What one attempt came to.

    Attributes
    ----------
    expected, answered
        What the contract has, and what came; without any secret.
    remedy
        What to do, where it failed or was not asked.
    embedded
        What the embedded AWS answers there, where AWS is known or likely to answer otherwise.
    """

    area: str
    name: str
    state: State
    expected: str
    answered: str
    remedy: str = ""
    embedded: str = ""


@dataclass(frozen=True)
class Accept:
    """Try the contract as a test user of its own, and clean up."""

    target: Target
    subject_of_run: Subject
    results: list[Result] = field(default_factory=list, compare=False)
    action: ClassVar[str] = "accept"
    destructive: ClassVar[bool] = False

    @property
    def subject(self) -> str:
        """As whom."""
        return f"the contract, as {self.subject_of_run.user}"

    def lines(self) -> list[str]:
        """Return what is made, and deleted again at the end."""
        here = self.subject_of_run.here
        return [
            f"+ the test user {self.subject_of_run.user} in {here.user_pool_id}",
            *(["+ their row in the table users"] if here.database_url_parameter else []),
            f"+ three uploads of theirs in {here.uploads_bucket}, and what is made of them",
            f"+ a message of theirs in {here.dead_letter_queue_url}",
            *(
                [f"+ counts of those, and a lock for one request, in {here.limits_table}"]
                if here.limits_table
                else []
            ),
            f"~ invalidations of their avatar at {here.assets_url}",
            "- all of it at the end",
        ]

    def check(self) -> None:
        """Pass: nothing of others is touched."""

    def execute(self, report: progress.Report) -> str:
        """Try everything, clean up, and return how much was ok."""
        subject = self.subject_of_run
        findings: list[Finding] = []
        try:
            findings += examination.run(checks(subject), report, "Try the contract", _WORKERS)
        finally:
            findings += _clean_up(subject, report)
            self.results.extend(_results(findings))
        counts = [sum(result.state == state for result in self.results)
                  for state in ("ok", "failed", "not asked")]  # fmt: skip
        return "{} ok, {} failed, {} not asked.".format(*counts)


def prepare(target: Target, here: Deployment, workspace: Callable[[], Workspace]) -> Accept:
    """Return the attempt, to be shown and then carried out.

    Parameters
    ----------
    workspace
        Returns Terraform's workspace. Where its state can't be read, what only it knows is left
        out: all origins but the first, the variants that were set, the alarms.
    """
    try:
        state = terraform_state.read(workspace())
    except OperationError:
        state = None
    return Accept(target, Subject(here, state, target=target))


def checks(subject: Subject) -> list[Check]:
    """Return every attempt, each after those that it needs."""
    found: list[Check] = [*cdn.checks(subject), *api.checks(subject), *uploads.checks(subject),
                          *alarms.checks(subject)]  # fmt: skip
    found += api.last_checks(subject, tuple(check.key for check in found))
    found.append(Check("Not asked", "what is not tried", _untried))
    return [replace(check, run=partial(_tried, check)) for check in found]


def failed(results: list[Result]) -> list[Result]:
    """Return those that failed."""
    return [result for result in results if result.state == "failed"]


def save(change: Accept) -> Path:
    """Write the results where they outlive the run; return the file."""
    now = datetime.now(UTC)
    folder = change.target.state / "acceptance"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(as_json(change, now), indent=2) + "\n")
    return path


def as_json(change: Accept, now: datetime) -> dict[str, Any]:
    """Return the results with where and when they came to be."""
    target = change.target
    return {
        "environment": target.env,
        "account": target.account,
        "region": target.region,
        "emulated": bool(target.endpoint),
        "at": now.isoformat(timespec="seconds"),
        "results": [asdict(result) for result in change.results],
    }


def _tried(check: Check) -> Iterator[Finding]:
    """Make an attempt; what AWS refuses for want of a permission alone is not asked."""
    try:
        yield from check.run()
    except OperationError as error:
        if error_code(error.__cause__) in _FORBIDDEN:
            raise
        yield Finding(check.area, check.key, "error", "", error.message, error.remedy)


def _untried() -> Iterator[Finding]:
    for name, why in _UNTRIED.items():
        yield Finding("Not asked", name, "unknown", "", why)


def _results(findings: list[Finding]) -> Iterator[Result]:
    for found in sorted(findings, key=lambda finding: _AREAS.index(finding.area)):
        embedded = found.embedded if isinstance(found, Answer) else ""
        yield Result(
            found.area, found.name, _STATES[found.state], found.expected, found.found,
            found.remedy, embedded,
        )  # fmt: skip


def _clean_up(subject: Subject, report: progress.Report) -> list[Finding]:
    """Delete what this run made, each thing whatever became of the others."""
    steps: dict[str, Callable[[], None]] = {}
    if subject.message_id:
        steps["the dead-letter message"] = lambda: _delete_message(subject)
    if "uploads" in subject.touched:
        steps["the avatar"] = lambda: _delete_avatar(subject, report)
    if subject.here.limits_table and subject.touched & {"uploads", "limits"}:
        steps["the counts of uploads"] = lambda: locks.drop(subject.here, subject.sub)
    if "row" in subject.touched:
        steps["the profile"] = lambda: _delete_row(subject)
    if "user" in subject.touched:
        steps["the test user"] = lambda: test_users.delete(subject.here, subject.user)
    found = []
    with progress.timed(report, "Clean up"):
        for name, step in steps.items():
            try:
                step()
            except OperationError as error:
                found.append(examination.failure("Clean up", name, error))
            else:
                found.append(Finding("Clean up", name, "ok", "deleted", "deleted"))
    return found


def _delete_row(subject: Subject) -> None:
    remove_user(subject.target.database_url(), subject.user, subject.sub)


def _delete_avatar(subject: Subject, report: progress.Report) -> None:
    """Remove what is left, then the removal mark itself: nobody knows this name."""
    here = subject.here
    if takedown.objects_of(here, subject.sub):
        takedown.take_down(subject.target, here, subject.sub).execute(report)
    with aws_errors("delete the removal mark"):
        here.s3.delete_object(Bucket=here.assets_bucket, Key=outcomes.register_key(subject.sub))


def _delete_message(subject: Subject) -> None:
    """Delete the message that the redrive has left."""
    own = uploads.own_message(subject)
    dead_letters.Discard(subject.target, subject.here, own).execute(progress.ignore)
