"""Changes of an environment's infrastructure: bootstrap, apply, destroy, unlock."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from console.operations import progress
from console.operations.environments import terraform_state
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.target import Target
from console.operations.environments.terraform import Changes, Plan, Workspace
from console.operations.environments.terraform_state import NothingAppliedError, TerraformState
from console.operations.errors import OperationError, StaleChangeError
from console.operations.releases import aliases

# In Terraform's words
_FUNCTION = re.compile(
    r"^\s*# (\S+)\.aws_lambda_function\.this(?:\[0\])? (?:will be updated|must be replaced)"
)
_COUNTED = 10_000
_BATCH = 1000


@dataclass(frozen=True)
class _InWorkspace:
    """A change of what the workspace's environment is made of."""

    workspace: Workspace

    @property
    def target(self) -> Target:
        return self.workspace.target


@dataclass(frozen=True)
class Bootstrap(_InWorkspace):
    """Make the bucket for Terraform's state, or repair its settings."""

    action = "bootstrap"
    destructive = False

    @property
    def subject(self) -> str:
        return self.workspace.state_bucket

    def lines(self) -> list[str]:
        return [f"bucket {self.subject}: private, versioned, encrypted, over TLS only"]

    def check(self) -> None:
        """Making it twice is as good as once."""

    def execute(self, report: progress.Report) -> str:
        del report
        return f"{self.subject}: {'made' if self.workspace.bootstrap() else 'there already'}."


@dataclass(frozen=True)
class Apply(_InWorkspace):
    """Apply the plan that was shown, and have the versions called that it publishes.

    Attributes
    ----------
    hold
        Leave what is called as it is: the versions wait for a release.
    """

    plan: Plan
    hold: bool = False
    action = "apply"
    destructive = True

    @property
    def subject(self) -> str:
        return f"{self.plan.changes}, plan {self.plan.digest[:12]}"

    def lines(self) -> Iterable[str]:
        yield from self.plan.description
        published = [name for line in self.plan.description if (name := _FUNCTION.search(line))]
        for name in published:
            yield (
                f"= {name[1]}: what is called stays; the version that this publishes waits for "
                f"`make release`"
                if self.hold
                else f"~ {name[1]}: the version that this publishes is called, by everybody"
            )

    def check(self) -> None:
        """Raise StaleChangeError unless plan and zips are those that were shown."""
        self.plan.check()

    def execute(self, report: progress.Report) -> str:
        changes, moved = apply(self.workspace, self.plan, report, hold=self.hold)
        live = f" Called are now: {', '.join(moved)}." if moved else ""
        return f"Applied: {changes}.{live}"


@dataclass(frozen=True)
class Bucket:
    """What is in a bucket besides what Terraform put there.

    Attributes
    ----------
    versions
        How many objects, each old version one; at most `_COUNTED` are counted.
    """

    name: str
    own: frozenset[str]
    versions: int
    markers: bool

    def __str__(self) -> str:
        if self.versions >= _COUNTED:
            return f"bucket {self.name} with more than {_COUNTED:,} objects and versions in it"
        return f"bucket {self.name} with {self.versions:,} objects and versions in it"


@dataclass(frozen=True)
class Destroy(_InWorkspace):
    """Delete all that Terraform made, and with `force` what users put into the buckets."""

    plan: Plan
    state: TerraformState
    buckets: tuple[Bucket, ...]
    force: bool
    action = "destroy"
    destructive = True

    @property
    def subject(self) -> str:
        return f"{self.plan.changes}, plan {self.plan.digest[:12]}"

    def lines(self) -> Iterable[str]:
        after = [_interfaces_stay(subnets)] if (subnets := self._subnets()) else []
        return [*self.plan.description, *(f"- {bucket}" for bucket in self.buckets), *after]

    def check(self) -> None:
        """Raise an error unless the plan is the one that was shown and nothing bars its way."""
        self.plan.check()
        refuse_protected_pools(self.workspace, self.state)
        if not self.force:
            for bucket in self.buckets:
                if counted(self.workspace, bucket.name, bucket.own).versions:
                    raise StaleChangeError(
                        f"The bucket {bucket.name} was empty and now holds objects.",
                        "Run the same command again.",
                    )

    def execute(self, report: progress.Report) -> str:
        for bucket in self.buckets:
            _empty(self.workspace, bucket, report)
        outcome = f"Deleted: {self.workspace.apply(self.plan, report)}."
        subnets = self._subnets()
        return f"{outcome} {_interfaces_stay(subnets)}" if subnets else outcome

    def _subnets(self) -> list[str]:
        """Return the subnets that a function is attached to."""
        configured = [
            network
            for function in self.state.all("aws_lambda_function")
            for network in function.get("vpc_config") or []
        ]
        return sorted({subnet for network in configured for subnet in network["subnet_ids"]})


def _interfaces_stay(subnets: Sequence[str]) -> str:
    return (
        f"Lambda's network interfaces in {', '.join(subnets)} stay for up to 45 minutes: these "
        "subnets and their security groups can be deleted only after that."
    )


def apply(
    workspace: Workspace, plan: Plan, report: progress.Report, *, hold: bool = False
) -> tuple[Changes, list[str]]:
    """Apply a plan, and unless held have the versions called that it published.

    Only those: a release that is being tried, or was rolled back, of another function stays so.

    Returns
    -------
    tuple
        How many resources changed, and of which functions another version is called.
    """
    before = _versions_of_functions(workspace)
    changes = workspace.apply(plan, report)
    after = {} if hold else _versions_of_functions(workspace)
    published = {
        name: version for name, version in after.items() if before.get(name, version) != version
    }
    moved = aliases.go_live(workspace.client("lambda"), published) if published else []
    return changes, [f"{name} {published[name]}" for name in moved]


def _versions_of_functions(workspace: Workspace) -> dict[str, str]:
    """Return the version that Terraform published last of each function."""
    try:
        state = terraform_state.read(workspace)
    except NothingAppliedError:
        return {}
    return {each["function_name"]: each["version"] for each in state.all("aws_lambda_function")}


@contextmanager
def planned_apply(
    workspace: Workspace, report: progress.Report, *, hold: bool = False
) -> Iterator[Apply | None]:
    """Plan, and give the change to apply; None if there is nothing to change."""
    with workspace.planned(report) as plan:
        yield None if plan.empty else Apply(workspace, plan, hold)


@contextmanager
def planned_destroy(
    workspace: Workspace, report: progress.Report, *, force: bool
) -> Iterator[Destroy | None]:
    """Plan to delete everything; None if nothing is there.

    What is there is read from the state's resources: a half-finished apply or destroy has no
    outputs.

    Parameters
    ----------
    force
        Delete the buckets' objects too.

    Raises
    ------
    OperationError
        If a user pool is protected, something is kept by law, or a bucket holds objects and `force`
        was not asked for: before anything is deleted.
    """
    try:
        state = terraform_state.read(workspace)
    except NothingAppliedError:
        yield None
        return
    refuse_protected_pools(workspace, state)
    own = frozenset(item["key"] for item in state.all("aws_s3_object"))
    buckets = [counted(workspace, item["bucket"], own) for item in state.all("aws_s3_bucket")]
    locked = {
        item["bucket"] for item in state.all("aws_s3_bucket") if item.get("object_lock_enabled")
    }
    for bucket in buckets:
        if bucket.versions and bucket.name in locked:
            raise OperationError(
                f"The bucket {bucket.name} keeps what must be kept by law.",
                "Release each hold when it is over: make release-legal-hold NAME=<sub>, where "
                "`aws s3 ls` shows the subs.",
            )
    for bucket in buckets:
        if bucket.versions and not force:
            raise OperationError(
                f"The bucket {bucket.name} holds objects.",
                f"Save what is needed, then: make destroy ENV={workspace.target.env} FORCE=1",
            )
    filled = tuple(bucket for bucket in buckets if bucket.versions or bucket.markers)
    with workspace.planned(report, "-destroy") as plan:
        yield Destroy(workspace, plan, state, filled, force)


def refuse_protected_pools(workspace: Workspace, state: TerraformState) -> None:
    """Raise OperationError if Cognito would refuse to delete a user pool of the state.

    It would be the last thing deleted, when API, CDN and functions are gone.
    """
    cognito = workspace.client("cognito-idp")
    for pool in state.all("aws_cognito_user_pool"):
        with aws_errors("read the user pool"):
            try:
                found = cognito.describe_user_pool(UserPoolId=pool["id"])["UserPool"]
            except cognito.exceptions.ResourceNotFoundException:
                continue
        if found.get("DeletionProtection") == "ACTIVE":
            raise OperationError(
                f"The user pool {pool['id']} with all its users is protected from deletion.",
                "If they are to go: set user_pool_deletion_protection = false in "
                f"terraform/envs/{workspace.target.env}.tfvars, `make apply "
                f"ENV={workspace.target.env}`, then destroy again.",
            )


def counted(workspace: Workspace, name: str, own: frozenset[str]) -> Bucket:
    """Count what is in a bucket besides Terraform's own objects; nothing if it is gone."""
    versions, markers = 0, False
    for version in _versions(workspace, name, own):
        versions += not version["marker"]
        markers |= version["marker"]
        if versions >= _COUNTED:
            break
    return Bucket(name, own, versions, markers)


def _versions(workspace: Workspace, name: str, own: frozenset[str]) -> Iterator[dict[str, Any]]:
    s3 = workspace.client("s3")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=name)
    with aws_errors(f"look into {name}"):
        try:
            for page in pages:
                for kind in ("Versions", "DeleteMarkers"):
                    for item in page.get(kind, []):
                        if item["Key"] not in own:
                            yield {**item, "marker": kind == "DeleteMarkers"}
        except s3.exceptions.NoSuchBucket:
            return


def _empty(workspace: Workspace, bucket: Bucket, report: progress.Report) -> None:
    """Delete every version and marker, until a listing is empty."""
    s3, step, done = workspace.client("s3"), f"Empty {bucket.name}", 0
    with progress.timed(report, step) as detail:
        while batch := list(islice(_versions(workspace, bucket.name, bucket.own), _BATCH)):
            with aws_errors(f"empty {bucket.name}"):
                answer = s3.delete_objects(
                    Bucket=bucket.name,
                    Delete={
                        "Quiet": True,
                        "Objects": [
                            {"Key": item["Key"], "VersionId": item["VersionId"]} for item in batch
                        ],
                    },
                )
            if errors := answer.get("Errors"):
                raise OperationError(
                    f"{len(errors)} objects of {bucket.name} can't be deleted: "
                    f"{errors[0].get('Message', errors[0].get('Code'))}",
                    "Fix what it names, then run the same command again.",
                )
            done += len(batch)
            report(progress.Event(step, "advanced", done=done))
        detail.append(f"{done:,} objects and versions")


@dataclass(frozen=True)
class Lock:
    """The lock that a run of Terraform holds on a state."""

    id: str
    who: str
    operation: str
    created: str

    def __str__(self) -> str:
        return f"lock {self.id}: {self.operation} by {self.who} since {self.created}"


@dataclass(frozen=True)
class Unlock(_InWorkspace):
    """Remove the lock of a run that was killed."""

    lock: Lock
    action = "unlock"
    destructive = True

    @property
    def subject(self) -> str:
        return str(self.lock)

    def lines(self) -> list[str]:
        return [f"- {self.lock}"]

    def check(self) -> None:
        """Raise StaleChangeError if the lock is another one now."""
        if current_lock(self.workspace) != self.lock:
            raise StaleChangeError("The state's lock is another one now.", "Look at it again.")

    def execute(self, report: progress.Report) -> str:
        del report
        self.workspace.unlock(self.lock.id)
        return f"Removed the {self.lock}."


def current_lock(workspace: Workspace) -> Lock | None:
    """Return the lock on the state, or None."""
    s3 = workspace.client("s3")
    with aws_errors("read the state's lock"):
        try:
            answer = s3.get_object(
                Bucket=workspace.state_bucket, Key=f"{workspace.state_key}.tflock"
            )
        except (s3.exceptions.NoSuchBucket, s3.exceptions.NoSuchKey):
            return None
        found = json.loads(answer["Body"].read())
    return Lock(found["ID"], found["Who"], found["Operation"], found["Created"])
