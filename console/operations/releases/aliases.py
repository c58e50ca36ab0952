"""Which version of a function is called: the alias `live`, which API, queues and schedules call.

Each apply that changes a function publishes a version of it. The alias calls one, or, while a
release is tried, another one for some of the calls. Its description keeps which one was before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from console.operations import progress
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError, StaleChangeError

ALIAS = "live"
_BEFORE = "The version before was {}."
_IS_BEFORE = re.compile(re.escape(_BEFORE).replace(re.escape("{}"), r"(\d+)"))


@dataclass(frozen=True)
class Alias:
    """What calls of a function reach.

    Attributes
    ----------
    function
        Its short name, such as ``resize``.
    live
        The version that is called.
    trial
        The one that is called instead for `percent` of the calls; empty without.
    newest
        The one that was published last.
    before
        The one that was live before; empty if there was none.
    published
        When each of these was, in AWS's own writing.
    revision
        Another one after each change of the alias.
    """

    function: str
    name: str
    live: str
    trial: str
    percent: int
    newest: str
    before: str
    published: Mapping[str, str]
    revision: str

    @property
    def next(self) -> str:
        """The version that would be promoted; empty if there is none."""
        if self.trial:
            return self.trial
        return self.newest if int(self.newest) > int(self.live) else ""

    @property
    def compared(self) -> tuple[str, ...]:
        """The versions that are or were called: on trial, live, before."""
        return tuple(each for each in dict.fromkeys((self.trial, self.live, self.before)) if each)

    @property
    def calls(self) -> str:
        """What is called, in words."""
        if self.trial:
            return (
                f"version {self.live}, and version {self.trial} for {self.percent} % of the calls"
            )
        return f"version {self.live}"


def read(deployment: Deployment, function: str) -> Alias:
    """Return what calls of a function reach.

    Raises
    ------
    OperationError
        If there is no such function, or it was applied before there were aliases.
    """
    name = deployment.function_names.get(function)
    if name is None:
        raise OperationError(
            f"There is no function {function!r}." if function else "No function was named.",
            f"There are: {', '.join(sorted(deployment.function_names))}. FUNCTION=…",
        )
    client = deployment.functions
    with aws_errors(f"read the versions of {function}"):
        try:
            alias = client.get_alias(FunctionName=name, Name=ALIAS)
        except client.exceptions.ResourceNotFoundException:
            raise OperationError(
                f"{name} has no alias {ALIAS}.", f"Run `make apply ENV={deployment.name}` once."
            ) from None
        published = {
            version["Version"]: version["LastModified"]
            for page in client.get_paginator("list_versions_by_function").paginate(
                FunctionName=name
            )
            for version in page["Versions"]
            if version["Version"].isdecimal()
        }
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    trial, weight = next(iter(weights.items()), ("", 0.0))
    before = _IS_BEFORE.search(alias.get("Description", ""))
    return Alias(
        function=function,
        name=name,
        live=alias["FunctionVersion"],
        trial=trial,
        percent=round(100 * weight),
        newest=max(published, key=int),
        before=before[1] if before and before[1] in published else "",
        published=published,
        revision=alias["RevisionId"],
    )


@dataclass(frozen=True)
class Move:
    """Have other versions called.

    Attributes
    ----------
    version
        The one to be called.
    trial
        The one to be called for `percent` of the calls; empty for none.
    before
        The one to come back to.
    """

    target: Target
    deployment: Deployment
    action: Literal["release", "promote", "back"]
    alias: Alias
    version: str
    trial: str = ""
    percent: int = 0
    before: str = ""
    destructive: ClassVar[bool] = False

    @property
    def subject(self) -> str:
        """The function."""
        return self.alias.name

    @property
    def outcome(self) -> str:
        """What will be called."""
        if self.trial:
            return (
                f"version {self.trial} of {self.alias.name} is called for {self.percent} % of the "
                f"calls, version {self.version} for the others"
            )
        return f"version {self.version} of {self.alias.name} is called"

    def lines(self) -> list[str]:
        """Return what is called now, and what then."""
        stamps = {
            number: self.alias.published.get(number, "deleted")
            for number in dict.fromkeys((self.alias.live, self.version, self.trial))
            if number
        }
        return [
            f"- {self.alias.name}: {self.alias.calls}",
            f"+ {self.outcome}",
            *(f"  version {number}: published {at}" for number, at in stamps.items()),
        ]

    def check(self) -> None:
        """Raise StaleChangeError if somebody else has moved the alias, or published a version."""
        if read(self.deployment, self.alias.function) != self.alias:
            raise _stale(self.alias.name)

    def execute(self, report: progress.Report) -> str:
        """Move the alias, unless somebody else has meanwhile."""
        client = self.deployment.functions
        with progress.timed(report, self.action.capitalize()), aws_errors(f"move {ALIAS}"):
            try:
                client.update_alias(
                    FunctionName=self.alias.name,
                    Name=ALIAS,
                    FunctionVersion=self.version,
                    RoutingConfig={
                        "AdditionalVersionWeights": (
                            {self.trial: self.percent / 100} if self.trial else {}
                        )
                    },
                    Description=_BEFORE.format(self.before) if self.before else "",
                    RevisionId=self.alias.revision,
                )
            except client.exceptions.PreconditionFailedException:
                raise _stale(self.alias.name) from None
        return f"{self.outcome[0].upper()}{self.outcome[1:]}"


def _stale(name: str) -> StaleChangeError:
    return StaleChangeError(
        f"What is called of {name} is no longer what was shown.", "Look at it again: make releases."
    )


def release(target: Target, deployment: Deployment, alias: Alias, percent: int) -> Move:
    """Return the change that has the newest version called for some of the calls.

    Raises
    ------
    OperationError
        If there is no newer version, or the share is none.
    """
    if not 1 <= percent <= 99:
        raise OperationError(
            f"{percent} % is no share of the calls.", "Give 1 to 99: PERCENT=10; all: make promote."
        )
    version = alias.newest
    if int(version) <= int(alias.live):
        raise _nothing_newer(alias)
    return Move(
        target, deployment, "release", alias, alias.live, version, percent, before=alias.before
    )


def promote(target: Target, deployment: Deployment, alias: Alias) -> Move:
    """Return the change that has the version on trial, or else the newest, called by everybody.

    Raises
    ------
    OperationError
        If there is none.
    """
    if not alias.next:
        raise _nothing_newer(alias)
    return Move(target, deployment, "promote", alias, alias.next, before=alias.live)


def back(target: Target, deployment: Deployment, alias: Alias) -> Move:
    """Return the change that ends a release, or else has the version before called again.

    Raises
    ------
    OperationError
        If there is neither.
    """
    if alias.trial:
        return Move(target, deployment, "back", alias, alias.live, before=alias.before)
    if not alias.before:
        raise OperationError(
            f"No version of {alias.name} was live before version {alias.live}.",
            "Nothing is to be done; or apply the sources of an older release.",
        )
    return Move(target, deployment, "back", alias, alias.before, before=alias.live)


def _nothing_newer(alias: Alias) -> OperationError:
    return OperationError(
        f"Nothing newer than version {alias.live} of {alias.name} was published.",
        "Publish one first: make apply HOLD=1.",
    )


def go_live(client: Any, published: Mapping[str, str]) -> list[str]:
    """Have these versions called by everybody; return the functions that were moved.

    Parameters
    ----------
    published
        Versions by the functions' deployed names.
    """
    moved = []
    with aws_errors(f"move {ALIAS}"):
        for name, version in sorted(published.items()):
            live = client.get_alias(FunctionName=name, Name=ALIAS)["FunctionVersion"]
            if live != version:
                client.update_alias(
                    FunctionName=name,
                    Name=ALIAS,
                    FunctionVersion=version,
                    RoutingConfig={"AdditionalVersionWeights": {}},
                    Description=_BEFORE.format(live),
                )
                moved.append(name)
    return moved
