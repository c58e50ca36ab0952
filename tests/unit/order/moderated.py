"""The same histories where each upload is held, and operators approve and refuse.

A decision is a worker of its own: it dies between its steps, its calls fail, and two operators
decide at once. An avatar must show no upload that was not approved; an approved one counts as if
it had just come, in its place among the others; nothing that is held is lost from the list.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from console.operations.avatars import moderation as decisions
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.pipeline import reviews
from console.operations.pipeline.reviews import Review
from resize import moderation, store
from tests.unit.order.machine import (
    CROPS,
    ENDINGS,
    KEYS,
    LISTED,
    NAME,
    PICTURES,
    RESIZING,
    Order,
    OrderError,
    chosen_from,
    is_good,
)
from tests.unit.order.s3 import Stored
from tests.unit.order.table import Item, Table, TableClient
from tests.unit.order.workers import Crashed, Ending, Worker, current, pause

REVIEWING = 2


class Recording(Table):
    """The table, which notes what was ever decided."""

    def __init__(self) -> None:
        super().__init__()
        self.approved: set[str] = set()
        self.refused: set[str] = set()
        self.held: set[str] = set()

    def update_item(self, **request: Any) -> Item:
        answer = super().update_item(**request)
        version = request["Key"]["version"]["S"]
        state = self.items[NAME, version]["state"]["S"]
        noted = {"approved": self.approved, "refused": self.refused, "held": self.held}
        noted.get(state, set()).add(version)
        return answer


class Moderated(Order):
    """Uploads of one avatar, each of which is held."""

    reviews_table = "reviews"

    def __init__(self) -> None:
        super().__init__()
        self.table = Recording()
        self.dynamodb = TableClient(self.table)
        moderation.time = self  # type: ignore[assignment]
        self.world.resize.moderation = moderation.Moderation(  # type: ignore[attr-defined]
            cast("Any", TableClient(self.table)), "all", 90
        )

    @property
    def waiting(self) -> list[Review]:
        """What is on the operators' list."""
        return [reviews._review(item) for item in self.table.items.values() if "queue" in item]

    @precondition(lambda self: len(self.resizing) < RESIZING)
    @rule(key=st.sampled_from(KEYS), picture=st.sampled_from(PICTURES), crop=st.sampled_from(CROPS))
    def upload_and_hold(self, key: str, picture: bytes, crop: str) -> None:
        self.upload(key, picture, crop)
        if not self.messages:  # the account is erased
            return
        self.deliver(self.messages[-1], by_queue=True)
        worker = self.resizing[-1]
        while not worker.done:
            self._step(worker)

    @precondition(lambda self: self.waiting and len(self.reviewing) < REVIEWING)
    @rule(
        review=chosen_from("waiting"),
        approves=st.sampled_from([True, True, False]),
        calls=st.integers(0, 8),
    )
    def decide(self, review: Review, approves: bool, calls: int) -> None:
        worker = self._decide(review, approves)
        for _ in range(calls):
            if not worker.done:
                self._step(worker)

    @precondition(lambda self: self.waiting)
    @rule(review=chosen_from("waiting"), approves=st.booleans())
    def decide_at_once(self, review: Review, approves: bool) -> None:
        worker = self._decide(review, approves)
        while not worker.done:
            self._step(worker)

    @precondition(lambda self: self.reviewing)
    @rule(worker=chosen_from("reviewing"), ending=ENDINGS)
    def decide_on(self, worker: Worker, ending: Ending) -> None:
        self._step(worker, ending)

    def _decide(self, review: Review, approves: bool) -> Worker:
        deployment = self._deployment()
        removed: list[datetime | None] = []

        def work() -> None:
            target = cast("Target", None)
            change = (
                decisions.approve(target, deployment, review)
                if approves
                else decisions.refuse(target, deployment, review, lock=False)
            )
            pause(LISTED)
            change.check()
            change.execute(lambda _: None)
            if change.destructive:
                worker = current()
                assert worker
                removed.append(worker.removed)

        def ended(result: Any) -> None:
            if isinstance(result, BaseException):
                if not isinstance(result, OperationError | Crashed):
                    raise result
                return
            self.world.decided += 1
            if removed == [self.removed]:
                self.unfinished = False

        worker = Worker(work, ended)
        self.reviewing.append(worker)
        self._tidy()
        return worker

    def _begin_again(self) -> None:
        """Decide once more what is decided and still on the list, as an operator would."""
        if not self.reviewing:
            for review in self.waiting:
                if review.state in {"approved", "refused"}:
                    self._decide(review, review.state == "approved")

    def _may_be_shown(self, upload: Stored) -> bool:
        return upload.is_marker or (
            is_good(upload)
            and (not self._is_held(upload) or upload.version_id in self.table.approved)
        )

    def _is_held(self, _upload: Stored) -> bool:
        """Say whether it waits for an operator."""
        return True

    def _check_that_nothing_is_left(self) -> None:
        super()._check_that_nothing_is_left()
        if self.table.items:
            raise OrderError(f"of an erased account is left on the list {self.table.items}")

    def _check_the_end(self) -> None:
        super()._check_the_end()
        self.world.held += len(self.table.held)
        if self.limits.erased is not None:
            return
        both = self.table.approved & self.table.refused
        if both:
            raise OrderError(f"{both} were approved and refused")
        on_the_list = {review.version_id for review in self.waiting}
        for upload in self.uploads:
            if upload.is_marker or not is_good(upload) or upload.uploaded <= self.removed:
                continue
            later = any(
                shown.number >= upload.number
                if shown.key == upload.key
                else shown.uploaded >= upload.uploaded
                for shown in self.newest_shown.values()
            )
            decided = upload.version_id in self.table.approved | self.table.refused
            decided |= self._is_refused_in_another_crop(upload)
            waits = self._is_held(upload) and not decided
            if waits and not later and upload.version_id not in on_the_list:
                raise OrderError(f"{upload} is lost: held, and on no list")
            self._check_what_its_user_is_told(upload, later)

    def _is_refused_in_another_crop(self, upload: Stored) -> bool:
        same = {other.version_id for other in self.uploads if other.etag == upload.etag}
        return upload.tags.get(store.REJECTION_TAG) == "not_allowed" and bool(
            same & self.table.refused
        )

    def _check_what_its_user_is_told(self, upload: Stored, later: bool) -> None:
        key = f"rejections/{NAME}/{upload.version}.json"
        record = self.s3.newest("assets", key)
        said = json.loads(record.body) if record else {}
        if said.get("version_id") not in {None, upload.version_id}:
            return  # it is of another upload of the same bytes
        if upload.version_id in self.table.refused and not later:
            if said.get("code") != "not_allowed" and key not in self.swept:
                raise OrderError(f"{upload} was refused, and its user is told {said}")
        elif (
            said.get("code") == "not_allowed"
            and upload.version_id not in self.table.refused
            and not self._is_refused_in_another_crop(upload)
        ):
            raise OrderError(f"{upload} was not refused, and its user is told so")
