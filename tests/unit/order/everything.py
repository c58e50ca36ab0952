"""The same histories with all that may become of an account at once.

Pictures are held, each or those that a verdict function holds; users report what is shown, with
words of their own; operators decide, take down, erase the account, hold it by law and release it,
and some decide on what they have had on their screen for long. A held account is not erased. Of an
erased one nothing is left on the list either, whatever was decided or reported late.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from console.operations.accounts import legal_hold
from console.operations.accounts.account import Account
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.pipeline import reviews
from console.operations.pipeline.reviews import Review
from dynamodb import TableError
from resize import moderation
from tests.unit.order.machine import ENDINGS, NAME, PICTURES, OrderError, chosen_from
from tests.unit.order.moderated import REVIEWING, Moderated
from tests.unit.order.s3 import Stored
from tests.unit.order.table import TableClient, Tables
from tests.unit.order.workers import Client, Crashed, Ending, Worker, pause

REPORTING = 2
REPORT_SECONDS = 15
"""After which the report function is stopped: never later than `resize`."""
SUSPICIOUS = PICTURES[1]


class Verdict:
    """A verdict function that holds one of the pictures."""

    def ask(self, _upload: Any, original: Any, _picture: bytes) -> tuple[bool, float | None]:
        return original.data == SUSPICIOUS, None


class Everything(Moderated):
    """Uploads, holds, reports, decisions, removals, erasures and legal holds of one account.

    Attributes
    ----------
    seen
        Each review that was ever on an operator's screen, as it was then.
    said
        The words of the reports that were sent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mode = "all"
        self.reviews = TableClient(self.table)
        self.dynamodb = Tables(Client(self.limits), self.reviews)
        self.seen: dict[tuple[str | None, str], Review] = {}
        self.said = 0
        self.releasing: list[Worker] = []
        self.world.report._TABLE = self.reviews  # type: ignore[attr-defined]
        self.world.report._s3 = self.world.client(self.s3)  # type: ignore[attr-defined]

    @property
    def stale(self) -> list[Review]:
        """What operators have on their screens, in a stable order."""
        return list(self.seen.values())

    @initialize(mode=st.sampled_from(["all", "suspicious"]))
    def uploads_are_held(self, mode: str) -> None:
        self.mode = mode
        verdict = cast("Any", Verdict()) if mode == "suspicious" else None
        self.world.resize.moderation = moderation.Moderation(  # type: ignore[attr-defined]
            cast("Any", self.reviews), mode, 90, verdict
        )

    @invariant()
    def operators_look(self) -> None:
        for review in self.waiting:
            self.seen.setdefault((review.version_id, review.state), review)

    @invariant()
    def no_held_account_is_erased(self) -> None:
        if self.limits.held and self.limits.erased is not None:
            raise OrderError("the account is held by law, and is being erased")

    # What users and operators do

    @precondition(lambda self: len(self.reporting) < REPORTING)
    @rule(calls=st.integers(0, 2))
    def report(self, calls: int) -> None:
        worker = self._report()
        for _ in range(calls):
            if not worker.done:
                self._step(worker)

    @precondition(lambda self: self.reporting)
    @rule(worker=chosen_from("reporting"), ending=ENDINGS)
    def report_on(self, worker: Worker, ending: Ending) -> None:
        self._step(worker, ending)

    @precondition(lambda self: self.stale and len(self.reviewing) < REVIEWING)
    @rule(review=chosen_from("stale"), approves=st.booleans(), calls=st.integers(0, 8))
    def decide_late(self, review: Review, approves: bool, calls: int) -> None:
        """Decide on what was on the screen, and may have been decided or erased since."""
        worker = self._decide(review, approves)
        for _ in range(calls):
            if not worker.done:
                self._step(worker)

    @precondition(lambda self: len(self.reviewing) < REVIEWING)
    @rule(calls=st.integers(0, 40))
    def hold_by_law(self, calls: int) -> None:
        worker = self._hold_by_law()
        for _ in range(calls):
            if not worker.done:
                self._step(worker)

    @precondition(lambda self: self.limits.held and len(self.reviewing) < REVIEWING)
    @rule(calls=st.integers(0, 40))
    def release(self, calls: int) -> None:
        worker = self._release()
        for _ in range(calls):
            if not worker.done:
                self._step(worker)

    # How it is done

    def _decide(self, review: Review, approves: bool) -> Worker:
        self.world.late_decisions += self.is_erased
        return super()._decide(review, approves)

    def _report(self) -> Worker:
        self.world.reports += 1
        self.world.late_reports += self.is_erased
        self.said += 1
        said = {"reason": "hate", "text": f"words {self.said}."}
        who = f"user {self.said}"

        def work() -> None:
            self.world.report._record(who, NAME, said, "")

        def ended(result: Any) -> None:
            if isinstance(result, BaseException) and not isinstance(
                result, BotoCoreError | ClientError | TableError | Crashed
            ):
                raise result

        worker = Worker(work, ended, ends_at=self.s3.seconds + REPORT_SECONDS)
        self.reporting.append(worker)
        self._tidy()
        return worker

    def _hold_by_law(self) -> Worker:
        self.world.legal_holds += 1
        target, account = Target("local", "", "", None, Path("nowhere")), Account(NAME)
        change = legal_hold.place(target, self._deployment(), account, "case 4711")
        before: list[set[str]] = []

        def work() -> None:
            pause("place the hold")
            before.append(self._to_be_kept())
            change.execute(lambda _: None)

        def ended(result: Any) -> None:
            if isinstance(result, BaseException):
                if not isinstance(result, OperationError | Crashed):
                    raise result
                return
            self.world.kept += 1
            if not self.releasing:  # else who releases it deletes the copies
                self._check_copies(before[0] & self._to_be_kept())

        worker = Worker(work, ended)
        self.reviewing.append(worker)
        self._tidy()
        return worker

    def _release(self) -> Worker:
        target, account = Target("local", "", "", None, Path("nowhere")), Account(NAME)

        def work() -> None:
            change = legal_hold.release(target, self._deployment(), account)
            pause("confirm the release")
            change.execute(lambda _: None)

        def ended(result: Any) -> None:
            if isinstance(result, BaseException) and not isinstance(
                result, OperationError | Crashed
            ):
                raise result

        worker = Worker(work, ended)
        self.reviewing.append(worker)
        self.releasing.append(worker)
        self._tidy()
        return worker

    def _tidy(self) -> None:
        super()._tidy()
        # who holds it meanwhile may have begun before the release ended
        if not any(worker in self.reviewing for worker in self.releasing):
            self.releasing.clear()

    def _is_held(self, upload: Stored) -> bool:
        return self.mode == "all" or upload.body == SUSPICIOUS

    def _may_be_shown(self, upload: Stored) -> bool:
        judged = self._is_held(upload) or not self._is_refused_in_another_crop(upload)
        return judged and super()._may_be_shown(upload)

    # What must hold

    def _to_be_kept(self) -> set[str]:
        """Return the versions of the originals, and the words of the reports."""
        stored = self.s3.buckets["uploads"].values()
        kept = {item.version_id or "" for items in stored for item in items if not item.is_marker}
        return kept | {each.text for review in self._reviews() for each in review.reports}

    def _reviews(self) -> list[Review]:
        return [reviews._review(item) for item in self.table.items.values()]

    def _check_copies(self, wanted: set[str]) -> None:
        copies = [each for items in self.s3.buckets["holds"].values() for each in items]
        names = " ".join(f"{each.key} " for each in copies)
        words = b"".join(each.body for each in copies if each.key.endswith("/reviews.json"))
        for each in wanted:
            if f"-{each}.bin " not in names and each.encode() not in words:
                self.wrong = f"{each} is not among the copies of a legal hold"
        if {each.version_id for each in copies} - self.s3.locked:
            self.wrong = "copies of a legal hold are not locked"

    def _end(self) -> None:
        self._settle()
        if self.limits.held:
            before = self._to_be_kept()
            self._erase()
            self._settle()
            if self.limits.erased is not None or before != self._to_be_kept():
                raise OrderError("the account is held by law, and its erasure has begun")
            self._release()
            self._settle()
            if self.limits.held:
                raise OrderError("the account is still held after its release")
        if any(self.s3.buckets["holds"].values()):
            self._release()
            self._settle()
        if left := [key for key, kept in self.s3.buckets["holds"].items() if kept]:
            raise OrderError(f"these copies outlive the release: {left}")
        super()._end()
        if self.is_erased and not self.wrong:
            for review in self.stale:
                for approves in (True, False):
                    self._decide(review, approves)
            self._report()
            self._settle()
