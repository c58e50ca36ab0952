"""Decide what becomes of a picture that was held or reported.

What is approved is processed as if it had just come, in its place among the uploads; what is
refused is a rejection `not_allowed`. A reported picture is shown: to refuse it is to take it down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from console.operations import progress
from console.operations.avatars import takedown
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError, StaleChangeError
from console.operations.pipeline import reviews
from console.operations.pipeline.reviews import Review
from console.operations.uploads import crops, locks, names, outcomes


@dataclass(frozen=True)
class Approve:
    """Let a held picture be shown, or a reported one stay."""

    target: Target
    deployment: Deployment
    review: Review
    action: ClassVar[str] = "approve"
    destructive: ClassVar[bool] = False

    @property
    def subject(self) -> str:
        """The original and its version."""
        return str(self.review)

    def lines(self) -> Iterator[str]:
        """Yield what will be touched."""
        if self.review.is_reported:
            yield f"keep {self.review} as it is; later reports of it are not listed"
        else:
            yield f"show {self.review} as the avatar {self.review.name}, unless a later one is"

    def check(self) -> None:
        """Raise StaleChangeError if it was decided meanwhile."""
        _check(self.deployment, self.review)

    def execute(self, report: progress.Report) -> str:
        """Record it, and have a held picture processed."""
        with progress.timed(report, "Approve"):
            reviews.decide(self.deployment, self.review, "approved")
        return "kept" if self.review.is_reported else "processed as if it had just come"


@dataclass(frozen=True)
class Refuse:
    """Refuse a picture, and perhaps lock its sender out of sending more.

    Attributes
    ----------
    removal
        What takes the avatar down, where it shows this picture.
    lock
        What locks the sender, where that is wanted.
    """

    target: Target
    deployment: Deployment
    review: Review
    removal: takedown.TakeDown | None
    lock: locks.SetLock | None

    @property
    def action(self) -> str:
        """The audit's verb."""
        return "refuse and lock" if self.lock else "refuse"

    @property
    def subject(self) -> str:
        """The original and its version."""
        return str(self.review)

    @property
    def destructive(self) -> bool:
        """Whether originals are deleted."""
        return self.removal is not None

    def lines(self) -> Iterator[str]:
        """Yield what will be touched."""
        if self.removal:
            yield from self.removal.lines()
        elif self.review.is_reported:
            yield f"note that {self.review}, which is not shown any longer, is refused"
        else:
            yield f"reject {self.review}: not_allowed"
        if self.lock:
            yield from self.lock.lines()

    def check(self) -> None:
        """Raise StaleChangeError if it was decided, shown or replaced meanwhile."""
        _check(self.deployment, self.review)
        if self.review.is_reported and _is_shown(self.deployment, self.review) != self.destructive:
            raise StaleChangeError(
                f"The avatar {self.review.name} shows another picture than before.",
                "Nothing was done. Look at it again.",
            )
        if self.removal:
            self.removal.check()

    def execute(self, report: progress.Report) -> str:
        """Lock first, so that nothing comes in between; then refuse."""
        done = [self.lock.execute(report)] if self.lock else []
        if self.removal:  # which deletes the review, too
            done.append(self.removal.execute(report))
        else:
            with progress.timed(report, "Refuse"):
                reviews.decide(self.deployment, self.review, "refused")
            done.append("refused")
        return "; ".join(done)


def approve(target: Target, deployment: Deployment, review: Review) -> Approve:
    """Return the change that lets a picture be shown."""
    return Approve(target, deployment, review)


def refuse(target: Target, deployment: Deployment, review: Review, *, lock: bool) -> Refuse:
    """Return the change that refuses a picture, and locks its sender if that is wanted.

    Raises
    ------
    OperationError
        If its sender is no user who could be locked.
    """
    shown = review.is_reported and _is_shown(deployment, review)
    return Refuse(
        target,
        deployment,
        review,
        takedown.take_down(target, deployment, review.name) if shown else None,
        _lock(target, deployment, review) if lock else None,
    )


def can_lock(review: Review) -> bool:
    """Say whether a user has sent it, and not an operator by another name."""
    return re.fullmatch(r"[0-9A-Za-z_-]{1,128}", names.user_of(review.key)) is not None


def _lock(target: Target, deployment: Deployment, review: Review) -> locks.SetLock:
    if not can_lock(review):
        raise OperationError(
            f"{review.key} was sent by an operator: there is no user to lock.",
            "Refuse it without a lock.",
        )
    return locks.set_lock(target, deployment, review.key, locked=True)


def _check(deployment: Deployment, review: Review) -> None:
    now = reviews.read(deployment, review.name, review.version_id)
    if now is None or not now.waits or (now.state, now.etag) != (review.state, review.etag):
        raise reviews.decided_meanwhile(review)


def _is_shown(deployment: Deployment, review: Review) -> bool:
    """Say whether the avatar shows the picture, in whichever crop."""
    shown = outcomes.shown_version(deployment, review.name)
    return shown is not None and crops.etag_of(shown) == crops.etag_of(review.etag)
