"""Changes of a database: migrate, roll back, adopt, seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from console.operations.environments.target import Target
from console.operations.errors import OperationError, StaleChangeError
from console.operations.migrations import history, runner
from console.operations.migrations.adoption import Adoption, adopt, adoption
from console.operations.migrations.drift import require_none
from console.operations.migrations.files import DIRECTORY, Direction, Files
from console.operations.migrations.seed import DEMO_USERS, seed
from console.operations.migrations.session import Limits, Trace, connect
from console.operations.progress import Report


def planned(
    url: str,
    direction: Direction,
    *,
    to: str | None = None,
    steps: int | None = None,
    directory: Path = DIRECTORY,
) -> tuple[str, ...]:
    """Return the names of the migrations that a run would handle, in its order.

    Raises
    ------
    OperationError
        As the run itself would before its first statement.
    """
    files = Files(directory)
    with connect(url) as connection:
        at = history.current(connection)
        entries = history.entries(connection)
        history.verify(files, at, entries)
        if at is None:
            runner.check_adoption(connection, files)
    current = files.by_id[at] if at else None
    if direction == "down":
        plan = runner.rollback_plan(files, current, entries, to, steps)
    else:
        last = files.find(to or "head") if files.line else None
        plan = files.line[files.position(current) : files.position(last)]
    return tuple(revision.name for revision in plan)


@dataclass(frozen=True)
class _Run:
    """A run of the migrations that were shown, and of no other.

    Attributes
    ----------
    who
        Whom the history names; ``user@host`` if None.
    """

    target: Target
    names: tuple[str, ...]
    to: str | None = None
    steps: int | None = None
    limits: Limits = field(default_factory=Limits)
    trace: Trace | None = None
    who: str | None = None
    directory: Path = DIRECTORY
    direction: ClassVar[Direction]

    def check(self) -> None:
        """Raise StaleChangeError if it would be others now."""
        url, where = self.target.database_url(), self.directory
        if self.names != planned(
            url, self.direction, to=self.to, steps=self.steps, directory=where
        ):
            raise StaleChangeError(
                f"Somebody else has migrated {self.target.database} since this was shown.",
                "Look at what it would do now, then decide again.",
            )


@dataclass(frozen=True)
class Migrate(_Run):
    """Apply pending migrations.

    Attributes
    ----------
    allow_drift
        Whether to apply them to a schema that was changed by hand, too.
    afterwards
        Called when the schema is up to date; returns what to add to the outcome.
    """

    allow_drift: bool = False
    afterwards: Callable[[], str] | None = None
    action: ClassVar[str] = "migrate"
    destructive: ClassVar[bool] = False
    direction: ClassVar[Direction] = "up"

    @property
    def subject(self) -> str:
        return self.to or "head"

    def lines(self) -> list[str]:
        return [f"+ apply {name}" for name in self.names]

    def execute(self, report: Report) -> str:
        url = self.target.database_url()
        if self.names and not self.allow_drift:
            require_none(url, report=report, limits=self.limits)
        run = runner.migrate(
            url,
            self.to,
            limits=self.limits,
            report=report,
            trace=self.trace,
            who=self.who,
            directory=self.directory,
            expected=self.names,
        )
        more = self.afterwards() if self.afterwards else ""
        return f"{run}. {more}".strip()


@dataclass(frozen=True)
class Rollback(_Run):
    """Roll back applied migrations."""

    action: ClassVar[str] = "rollback"
    destructive: ClassVar[bool] = True
    direction: ClassVar[Direction] = "down"

    @property
    def subject(self) -> str:
        return ", ".join(self.names)

    def lines(self) -> list[str]:
        return [f"- roll back {name}" for name in self.names]

    def execute(self, report: Report) -> str:
        run = runner.rollback(
            self.target.database_url(),
            to=self.to,
            steps=self.steps,
            limits=self.limits,
            report=report,
            trace=self.trace,
            who=self.who,
            directory=self.directory,
            expected=self.names,
        )
        return f"{run}."


@dataclass(frozen=True)
class Adopt:
    """Take a database that has the tables but no history as it is; `who` as for migrations."""

    target: Target
    found: Adoption
    who: str | None = None
    directory: Path = DIRECTORY
    action: ClassVar[str] = "adopt"
    destructive: ClassVar[bool] = True

    @property
    def subject(self) -> str:
        return f"as {self.found.revision}"

    def lines(self) -> list[str]:
        return [
            f"Its schema is that of {self.found.revision}; nothing in its tables changes.",
            *(f"+ counts as applied: {name}" for name in self.found.baseline),
            *(f"~ {difference}" for difference in self.found.differences),
        ]

    def check(self) -> None:
        """Raise StaleChangeError if the database is another one now."""
        if adoption(self.target.database_url(), self.directory) != self.found:
            raise StaleChangeError(
                "The database has changed since this was shown.", "Compare it again."
            )

    def execute(self, report: Report) -> str:
        url = self.target.database_url()
        adopted = adopt(url, report=report, who=self.who, directory=self.directory)
        return f"{str(adopted).capitalize()}."


def adopting(target: Target, directory: Path = DIRECTORY) -> Adopt:
    """Return the change that adopts the database.

    Raises
    ------
    OperationError
        If there is nothing to adopt.
    """
    found = adoption(target.database_url(), directory)
    if found is None:
        raise OperationError("There is nothing to adopt here.", "Run `make migrate`.")
    return Adopt(target, found, directory=directory)


@dataclass(frozen=True)
class Seed:
    """Add the demo users; only a local database has its users linked to others."""

    target: Target
    subs: Mapping[str, str]
    action: ClassVar[str] = "seed"
    destructive: ClassVar[bool] = False

    @property
    def subject(self) -> str:
        return "demo users"

    def lines(self) -> list[str]:
        handles = sorted(DEMO_USERS.keys() | self.subs.keys())
        return [f"+ {handle}, if missing" for handle in handles]

    def check(self) -> None:
        """Adding twice is as good as once."""

    def execute(self, report: Report) -> str:
        del report
        relink = self.target.env == "local"
        return f"{seed(self.target.database_url(), self.subs, relink=relink)} users added."
