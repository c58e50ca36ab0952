"""Everything that can happen to uploads of one avatar, in any order.

The functions are the real ones, and so is Postgres; S3 is in memory, and making pictures is left
out. Messages come twice, late and out of order; workers run at the same time, one call of S3
after the other; calls fail, and workers die before any of them, or when their time is up. Users
remove their avatars, operators take them down, and what is no longer shown is cleaned up. At the
end all that is outstanding is delivered, and the avatar must show the newest good upload, or none
if it was removed since; nothing else is left of it. Some accounts are erased: then nothing at all
is left, and nothing that comes later is shown or kept.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast
from urllib.parse import quote_plus

from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from avatar_crop import Crop
from avatar_variants import Variant
from cleanup.leftovers import Leftovers
from console.operations.accounts import erasure
from console.operations.accounts.account import Account
from console.operations.avatars import takedown
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.pipeline import reconcile
from console.operations.uploads.crops import etag_of
from limits import Refusal
from picture_kinds import AVATAR, BANNER
from profiles import avatar
from profiles.database import Connection
from resize import leftovers, store
from resize.image import AvatarRejected
from tests.unit.order.s3 import S3, START, Stored
from tests.unit.order.workers import Client, Crashed, Ending, Pool, Worker, current, pause

NAME = "ada"
KEYS = ("ada", "ada.png")
PICTURES = (b"good 1", b"good 2", b"bad")
CROPS = ("", "0,0,0.5", "0.5,0,0.5")
CONTEXT: Any = SimpleNamespace(aws_request_id="request-1")
ADDRESS_SECONDS = 3
"""For so long an address to upload to is good; what is sent by it may be stored even later."""
RESIZING, RECORDING, REMOVING, CLEANING = 4, 3, 2, 2
"""How many workers may be at work at the same time; one more when all is delivered at the end."""

RESIZE_SECONDS, CLEANUP_SECONDS, DELAY = 15, 30, 40
"""After which the functions are stopped, and by which the cleanup queue delays its messages."""
LISTED = "the prompt"
SETTLED = 2
"""What a removal's wait is to the clock; who was at work when it began has ended when it is over.
"""

Message = dict[str, Any]


class OrderError(AssertionError):
    """The avatar does not show what it must."""


@dataclass
class World:
    """What all runs share: the functions, the database, and the counts.

    Attributes
    ----------
    client
        Makes the functions' S3 client.
    with_removals, with_rights, with_erasures
        Whether operators take avatars down; whether users remove them, and what was replaced is
        cleaned up meanwhile; and whether accounts are erased. What has to do with uploads alone, or
        operators, shows sooner without.
    connections
        One for each worker that records, and one for the test.
    """

    resize: ModuleType
    profiles: ModuleType
    report: ModuleType
    store: Callable[[Client], Any]
    connections: list[Connection]
    watcher: Connection
    client: Callable[[S3], Client] = Client
    with_removals: bool = True
    with_rights: bool = True
    with_erasures: bool = False
    runs: int = 0
    steps: int = 0
    calls: int = 0
    crashes: int = 0
    uploads: int = 0
    crops: int = 0
    writes: int = 0
    marks: int = 0
    removals: int = 0
    removals_by_users: int = 0
    held: int = 0
    decided: int = 0
    cleanups: int = 0
    repairs: int = 0
    reprocessed: int = 0
    erasures: int = 0
    erased: int = 0
    ended_erased: int = 0
    uploads_of_erased: int = 0
    reports: int = 0
    late_reports: int = 0
    late_decisions: int = 0
    legal_holds: int = 0
    kept: int = 0
    refused_erasures: int = 0

    def __str__(self) -> str:
        return (
            f"{self.runs} runs, {self.steps} steps, {self.calls} calls of S3, "
            f"{self.crashes} crashes, {self.uploads} uploads, {self.crops} of them crops, "
            f"{self.writes} pointers written, "
            f"{self.marks} removals by operators begun, {self.removals} completed, "
            f"{self.removals_by_users} by users, {self.cleanups} cleanups, {self.repairs} repairs, "
            f"{self.reprocessed} reprocessed, "
            f"{self.erasures} erasures begun, {self.erased} completed, "
            f"{self.uploads_of_erased} uploads after them"
            + (f", {self.held} held, {self.decided} decided" if self.held else "")
            + (
                f", {self.reports} reports begun and {self.late_reports} after an erasure, as "
                f"{self.late_decisions} decisions; {self.legal_holds} legal holds begun, "
                f"{self.kept} completed, {self.refused_erasures} erasures refused by them"
                if self.reports
                else ""
            )
        )


def render(
    data: bytes, variants: Iterable[Variant], crop: Crop | None = None
) -> Iterator[tuple[Variant, bytes]]:
    """Take the place of the image engine."""
    if data.startswith(b"bad"):
        raise AvatarRejected("damaged")
    for variant in variants:
        yield variant, b"\xff\xd8" + data + str(crop or "").encode()


def placeholder(avatar: bytes) -> str:
    """Take the place of the BlurHash: another for each picture."""
    return f"L{hashlib.sha256(avatar).hexdigest()[:27]}"


def chosen_from(attribute: str) -> st.SearchStrategy[Any]:
    """Draw one of a list that the machine keeps."""
    return st.runner().flatmap(lambda machine: st.sampled_from(getattr(machine, attribute)))


ENDINGS = st.sampled_from([*[Ending.OK] * 6, *Ending])


class Order(RuleBasedStateMachine):
    """Uploads of one avatar, and all that becomes of them.

    Attributes
    ----------
    messages, delivered
        Events of the uploads bucket, and messages to reconcile: those that must still come, and
        those that may come again.
    notices, told
        What the topic tells the profiles function, likewise.
    shown, newest_shown
        The upload that the avatar shows, and of each key the newest that it has shown since the
        last removal.
    cleanups
        When which name may be cleaned up at the earliest, as announced.
    swept
        What was deleted so.
    removed, unfinished
        The time of the last removal by an operator, and whether it was begun and has not been
        completed.
    cached
        The variants and rejections that the CDN holds.
    limits
        The table of limits.
    is_erased
        Whether an erasure of the account has been completed.
    drawn
        What each variant has shown.
    wrong
        What a worker did that must never be.
    """

    world: World
    reviews_table = ""
    dynamodb: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.s3 = S3()
        self.s3.put_object(Bucket="assets", Key="avatars/_default.jpg", Body=b"default")
        self.s3.on_put = self._put
        self.messages: list[Message] = []
        self.delivered: list[Message] = []
        self.notices: list[str] = []
        self.told: list[str] = []
        self.resizing: list[Worker] = []
        self.recording: list[Worker] = []
        self.removing: list[Worker] = []
        self.cleaning: list[Worker] = []
        self.reviewing: list[Worker] = []
        self.reporting: list[Worker] = []
        self.cleanups: list[tuple[int, str]] = []
        self.swept: set[str] = set()
        self.removed = START - timedelta(seconds=1)
        self.unfinished = False
        self.cached: set[str] = set()
        self.limits = Limits(self.s3)
        self.is_erased = False
        self.drawn: dict[str, bytes] = {}
        self.uploads: list[Stored] = []
        self.shown: Stored | None = None
        self.newest_shown: dict[str, Stored] = {}
        self.wrong = ""
        self.idle = list(self.world.connections)
        client = self.world.client(self.s3)
        self.world.resize.store = self.world.store(client)  # type: ignore[attr-defined]
        queue = Client(SimpleNamespace(send_message=self._announced))
        self.world.resize.leftovers = leftovers.Leftovers(lambda: queue, "")  # type: ignore[attr-defined]
        self.world.profiles._s3 = lambda: client  # type: ignore[attr-defined]
        self.world.resize.limits = self if self.world.with_erasures else None  # type: ignore[attr-defined]
        self.world.resize.counting = Pool(1)  # type: ignore[attr-defined]
        store.time = reconcile.time = self  # type: ignore[assignment]
        erasure.time = SimpleNamespace(  # type: ignore[assignment]
            monotonic=lambda: float(self.s3.seconds), sleep=self.sleep
        )
        takedown.time = SimpleNamespace(  # type: ignore[assignment]
            monotonic=lambda: 0.0, sleep=lambda _: self.sleep(SETTLED)
        )
        self.world.watcher.execute(
            "UPDATE users SET avatar_version = NULL, avatar_placeholder = NULL,"
            " banner_version = NULL, banner_placeholder = NULL"
        )
        self.world.runs += 1

    @property
    def due(self) -> list[int]:
        """Cleanups whose delay is over."""
        return [each for each in self.cleanups if each[0] <= self.s3.seconds]

    @property
    def able_to_record(self) -> list[Worker]:
        """Those that do not wait for the row's lock."""
        return [worker for worker in self.recording if worker.paused]

    def time(self) -> float:
        """Return the functions' clock, which is S3's."""
        return (START + timedelta(seconds=self.s3.seconds)).timestamp()

    def sleep(self, seconds: float) -> None:
        """Let whatever may happen meanwhile happen."""
        pause("sleep")
        self.s3.seconds += math.ceil(seconds)

    @initialize(late=st.booleans())
    def calls_at_the_same_time(self, late: bool) -> None:
        Pool.late = late

    # What users and operators do

    @rule(key=st.sampled_from(KEYS), picture=st.sampled_from(PICTURES), crop=st.sampled_from(CROPS))
    def upload(self, key: str, picture: bytes, crop: str = "") -> None:
        """Send a picture; by an address that was given before, where the account is erased."""
        if self.limits.erased is None or key == NAME:
            self.world.uploads_of_erased += self.is_erased
            metadata = {"crop": crop} if crop else {}
            self.s3.put_object(Bucket="uploads", Key=key, Body=picture, Metadata=metadata)

    @precondition(lambda self: self.s3.newest("uploads", NAME))
    @rule(crop=st.sampled_from(CROPS[1:]))
    def crop_again(self, crop: str) -> None:
        """Have the newest original copied over itself; perhaps while the account is erased."""
        self.world.crops += 1
        self.world.uploads_of_erased += self.is_erased
        self.s3.copy_object(Bucket="uploads", Key=NAME, CopySource={}, Metadata={"crop": crop})

    @precondition(lambda self: self.world.with_erasures and len(self.removing) < REMOVING)
    @rule(calls=st.integers(0, 20))
    def erase(self, calls: int) -> None:
        worker = self._erase()
        self._steps(worker, calls)

    @precondition(lambda self: self.world.with_rights)
    @rule(key=st.sampled_from(KEYS))
    def remove(self, key: str) -> None:
        self.s3.delete_object(Bucket="uploads", Key=key)

    @rule()
    def a_second_passes(self) -> None:
        self.s3.seconds += 1

    @precondition(lambda self: self.cleanups and self.world.with_rights)
    @rule()
    def minutes_pass(self) -> None:
        """Let cleanups fall due; who is at work is stopped at its next call."""
        self.s3.seconds += DELAY + 1

    @rule(everything=st.booleans())
    def reconcile(self, everything: bool) -> None:
        queue = SimpleNamespace(send_message_batch=self._queued)
        deployment = SimpleNamespace(
            s3=self.s3,
            sqs=queue,
            uploads_bucket="uploads",
            assets_bucket="assets",
            queue_url="",
        )
        for _ in reconcile.reconcile(
            cast("Deployment", deployment), lambda _: None, dry_run=False, everything=everything
        ):
            pass

    @rule()
    def reprocess(self) -> None:
        """List what is there now; S3 Batch Operations calls the function for it at any time."""
        for key in KEYS:
            if newest := self.s3.newest("uploads", key):
                self.world.reprocessed += 1
                self.messages.append(_again(newest))

    @precondition(lambda self: self.world.with_removals and len(self.removing) < REMOVING)
    @rule(calls=st.integers(0, 20))
    def take_down(self, calls: int) -> None:
        """List, wait at the prompt for as long as may be, and take the avatar down."""
        worker = self._take_down()
        self._steps(worker, calls)

    @precondition(lambda self: self.world.with_removals)
    @rule()
    def visit(self) -> None:
        """Have the CDN fetch whatever it may."""
        self.cached |= self._made()

    # What AWS does

    @precondition(lambda self: self.messages and len(self.resizing) < RESIZING)
    @rule(message=chosen_from("messages"), by_queue=st.booleans())
    def deliver(self, message: Message, by_queue: bool) -> None:
        self._resize([message], by_queue)

    @precondition(lambda self: len(self.messages) > 1 and len(self.resizing) < RESIZING)
    @rule(first=chosen_from("messages"), second=chosen_from("messages"))
    def deliver_a_batch(self, first: Message, second: Message) -> None:
        """Two messages, perhaps the same one twice."""
        self._resize([first, second], by_queue=True)

    @precondition(lambda self: self.delivered and len(self.resizing) < RESIZING)
    @rule(message=chosen_from("delivered"), by_queue=st.booleans())
    def deliver_again(self, message: Message, by_queue: bool) -> None:
        self._resize([message], by_queue)

    @precondition(lambda self: self.due and len(self.cleaning) < CLEANING)
    @rule(calls=st.integers(0, 6))
    def clean(self, calls: int) -> None:
        worker = self._clean(self.due[0])
        self._steps(worker, calls)

    @precondition(lambda self: self.cleaning)
    @rule(worker=chosen_from("cleaning"), ending=ENDINGS)
    def clean_on(self, worker: Worker, ending: Ending) -> None:
        self._step(worker, ending)

    @precondition(lambda self: self.notices and len(self.recording) < RECORDING)
    @rule(notice=chosen_from("notices"))
    def tell(self, notice: str) -> None:
        self._record(notice)

    @precondition(lambda self: self.told and len(self.recording) < RECORDING)
    @rule(notice=chosen_from("told"))
    def tell_again(self, notice: str) -> None:
        self._record(notice)

    @precondition(lambda self: self.resizing)
    @rule(worker=chosen_from("resizing"), ending=ENDINGS)
    def resize_on(self, worker: Worker, ending: Ending) -> None:
        self._step(worker, ending)

    @precondition(lambda self: self.resizing)
    @rule(worker=chosen_from("resizing"), calls=st.integers(2, 8))
    def resize_far(self, worker: Worker, calls: int) -> None:
        self._steps(worker, calls)

    @precondition(lambda self: self.able_to_record)
    @rule(worker=chosen_from("able_to_record"), ending=ENDINGS)
    def record_on(self, worker: Worker, ending: Ending) -> None:
        self._step(worker, ending)

    @precondition(lambda self: self.removing)
    @rule(worker=chosen_from("removing"), ending=ENDINGS)
    def remove_on(self, worker: Worker, ending: Ending) -> None:
        self._step(worker, ending)

    @precondition(lambda self: self.removing)
    @rule(worker=chosen_from("removing"), calls=st.integers(4, 24))
    def remove_far(self, worker: Worker, calls: int) -> None:
        self._steps(worker, calls)

    # What must hold

    @invariant()
    def nothing_is_wrong(self) -> None:
        self.world.steps += 1
        if self.wrong:
            raise OrderError(self.wrong)

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            while left := [
                item for workers in self._workers() for item in workers if not item.done
            ]:
                for worker in left:
                    worker.settle()
                    if worker.paused:
                        worker.step(Ending.CRASH)

    def _end(self) -> None:
        """Have all that is outstanding delivered, and what was begun completed."""
        if not self.wrong:
            self._settle()
        if self.limits.erased is not None and not self.is_erased and not self.wrong:
            self._erase()
            self._settle()
            assert self.is_erased, "an erasure that is run again must complete it"
        if self.is_erased and not self.wrong:
            self.world.ended_erased += 1
            self._send_late()
            self._deliver_everything()
            self.reconcile(everything=False)
            self._settle()
        if self.unfinished and not self.wrong:
            self._take_down()
            self._settle()
            assert not self.unfinished, "a removal that is run again must complete it"

    def _send_late(self) -> None:
        """Send what took longer than is waited for."""
        self.upload(NAME, PICTURES[0])

    def _settle(self) -> None:
        self._deliver_everything()
        self.nothing_is_wrong()
        self._check_the_end()

    def _deliver_everything(self) -> None:
        """Let the last come first, and who began first end last: the worst order."""
        enough = self.world.calls + 10_000
        while self._begin_again() or any(
            (
                self.messages,
                self.resizing,
                self.removing,
                self.reviewing,
                self.reporting,
                self.cleanups,
                self.cleaning,
            )
        ):
            if self.messages and len(self.resizing) <= RESIZING:
                self._resize([self.messages[-1]], by_queue=True)
            elif self.removing:
                self._step(self.removing[-1])
            elif self.reporting:
                self._step(self.reporting[-1])
            elif self.reviewing:
                self._step(self.reviewing[-1])
            elif self.resizing:
                self._step(self.resizing[-1])
            elif self.cleaning:
                self._step(self.cleaning[-1])
            elif self.due:
                self._clean(self.due[-1])
            else:
                self.s3.seconds = min(self.cleanups)[0]
            assert self.world.calls < enough, f"these never end: {self.messages}"
        while self.notices or self.recording:
            if self.notices and self.idle:
                self._record(self.notices[-1])
            else:
                self._step(self.able_to_record[-1])

    def _begin_again(self) -> None:
        """Have completed what operators began and did not complete."""

    def _may_be_shown(self, upload: Stored) -> bool:
        return is_good(upload)

    def _workers(self) -> list[list[Worker]]:
        return [
            self.resizing,
            self.recording,
            self.removing,
            self.cleaning,
            self.reviewing,
            self.reporting,
        ]

    def _check_the_end(self) -> None:
        if self.limits.erased is not None:
            if self.is_erased:
                self._check_that_nothing_is_left()
            return
        uploads = [item for item in self.uploads if item.uploaded > self.removed]
        newest = [
            max(good, key=lambda stored: stored.number)
            for key in KEYS
            if (good := [item for item in uploads if item.key == key and self._may_be_shown(item)])
        ]
        # of two keys in the same second, either
        last = max((stored.uploaded for stored in newest), default=None)
        allowed = [stored for stored in newest if stored.uploaded == last] or [None]
        if self.shown not in allowed:
            raise OrderError(f"the avatar ends at {self.shown}, not at one of {allowed}")
        pointer = self.s3.newest("assets", f"avatars/{NAME}.jpg")
        version = (self.shown.version or None) if self.shown else None
        if version != (pointer.metadata.get("version") if pointer else None):
            raise OrderError(f"the avatar shows {pointer}, not {version}")
        drawn = self.drawn[f"variants/{NAME}/{version}/512.jpg"] if version else b""
        expected = (version, placeholder(drawn) if version else None)
        if self._recorded() != expected:
            raise OrderError(f"the database says {self._recorded()}, the avatar shows {expected}")
        if self.unfinished:  # whoever runs it again completes it
            return
        for upload in uploads:
            later = any(
                shown.number > upload.number
                if shown.key == upload.key
                else shown.uploaded >= upload.uploaded
                for shown in self.newest_shown.values()
            )
            record = self.s3.newest("assets", f"rejections/{NAME}/{upload.version}.json")
            kept = record or f"rejections/{NAME}/{upload.version}.json" in self.swept
            if not (is_good(upload) or later or (kept and upload.tags)):
                raise OrderError(f"{upload} is lost: rejected without a record")
        for key in self._variants(self.shown) if self.shown else ():
            if not self.s3.newest("assets", key):
                raise OrderError(f"{key} of the avatar is lost")
        for key in self._made():
            if key.startswith("variants/") and key.split("/")[2] != version:
                raise OrderError(f"{key} is left, though nothing shows it")
            if key.startswith("rejections/") and self._is_before_a_removal(key.split("/")[2]):
                raise OrderError(f"{key} is left of a user whose avatar is removed")
        self._check_that_nothing_removed_is_left({item.etag for item in uploads})

    def _is_before_a_removal(self, record: str) -> bool:
        """Say whether a rejection's every upload came before the removal that is shown."""
        shown = self.shown
        return bool(shown and shown.is_marker) and not any(
            item.number > shown.number
            for item in self.uploads
            if shown and f"{item.version}.json" == record
        )

    def _check_that_nothing_is_left(self) -> None:
        pointer = self.s3.newest("assets", f"avatars/{NAME}.jpg")
        if pointer is None or "removed" not in pointer.metadata:
            raise OrderError(f"the avatar of an erased account shows {pointer}")
        if any(self._recorded()):
            raise OrderError(f"the database says {self._recorded()} of an erased account")
        originals = [item for key in KEYS for item in self.s3.buckets["uploads"].get(key, [])]
        # what comes after it expires
        kept = [
            item for item in originals if not item.is_marker and store.ERASED_TAG not in item.tags
        ]
        if kept or self._made() or self.cached:
            raise OrderError(f"of an erased account is left {kept} {self._made()} {self.cached}")

    def _recorded(self) -> tuple[str | None, str | None]:
        row = self.world.watcher.execute(
            "SELECT avatar_version, avatar_placeholder FROM users"
        ).fetchone()
        assert row
        return row["avatar_version"], row["avatar_placeholder"]

    def _check_that_nothing_removed_is_left(self, etags: set[str]) -> None:
        left = [
            stored
            for key in KEYS
            for stored in self.s3.buckets["uploads"].get(key, [])
            if stored.uploaded <= self.removed
        ]
        if left:
            raise OrderError(f"these originals outlive the removal: {left}")
        made = self._made()
        for key in made:
            if etag_of(key.split("/")[2].removesuffix(".json")) not in etags:
                raise OrderError(f"{key} outlives the removal")
        if self.cached - made - self.swept:  # what was swept is gone within a day
            raise OrderError(f"the CDN still serves {self.cached - made}")

    def _made(self) -> set[str]:
        """Return the variants and rejections that were not deleted."""
        folders = (f"variants/{NAME}/", f"rejections/{NAME}/")
        assets = self.s3.buckets["assets"]
        return {key for key, kept in assets.items() if kept and key.startswith(folders)}

    def _variants(self, upload: Stored) -> Iterator[str]:
        for image_format in () if upload.is_marker else ("jpg", "webp"):
            yield f"variants/{NAME}/{upload.version}/512.{image_format}"

    def _put(self, bucket: str, stored: Stored) -> None:
        if bucket == "uploads":
            self.world.uploads += 1
            self.uploads.append(stored)
            self.messages.append(_event(stored))
        elif stored.key.startswith("variants/"):
            if self.drawn.setdefault(stored.key, stored.body) != stored.body:
                self.wrong = f"{stored.key} shows another crop than before"
        elif stored.key == f"avatars/{NAME}.jpg":
            self.notices.append(_notice("ObjectCreated:Put", stored))
            if "removed" in stored.metadata and "source-key" not in stored.metadata:
                self._check_mark(datetime.fromisoformat(stored.metadata["removed"]))
            else:
                self.world.writes += 1
                self._check_pointer(stored.metadata["version-id"])

    def _check_mark(self, removed: datetime) -> None:
        self.world.marks += 1
        worker = current()
        assert worker
        worker.removed = removed
        if self.shown and self.shown.uploaded > removed:
            self.wrong = f"the removal at {removed} takes the later {self.shown} away"
        if removed < self.removed:
            self.wrong = f"the removal at {removed} replaces the one at {self.removed}"
        self.removed, self.unfinished = removed, True
        self.shown, self.newest_shown = None, {}

    def _check_pointer(self, version_id: str) -> None:
        worker = current()
        assert worker
        (upload,) = (item for item in self.uploads if item.version_id == version_id)
        assert upload.is_marker or worker.read == version_id
        self.world.removals_by_users += upload.is_marker
        before = self.shown
        newest = self.newest_shown.setdefault(upload.key, upload)
        if upload.number < newest.number:
            self.wrong = f"the avatar goes back to {upload} though it has shown {newest}"
        elif before and upload.uploaded < before.uploaded:
            self.wrong = f"the avatar goes back from {before} to {upload}"
        elif upload.uploaded <= self.removed:
            self.wrong = f"the avatar shows {upload}, which was removed"
        elif self.is_erased and not upload.is_marker:
            self.wrong = f"the avatar of an erased account shows {upload}"
        elif not self._may_be_shown(upload):
            self.wrong = f"the avatar shows {upload}, which is rejected"
        for key in self._variants(upload):
            if not self.s3.newest("assets", key):
                self.wrong = f"the avatar shows {upload} before {key} exists"
        self.shown = self.newest_shown[upload.key] = upload

    def _queued(self, *, Entries: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803
        self.messages += [json.loads(entry["MessageBody"]) for entry in Entries]
        return {}

    def _resize(self, messages: list[Message], by_queue: bool) -> None:
        for message in messages:
            _move(message, self.messages, self.delivered)

        def work() -> list[Message]:
            """Return the messages that come again."""
            if not by_queue:
                answer = self.world.resize.handler(_directly(messages[0]), CONTEXT)
                codes = {result["resultCode"] for result in (answer or {}).get("results", [])}
                return messages if "TemporaryFailure" in codes else []
            answer = self.world.resize.handler(_batch(messages), CONTEXT)
            return [messages[int(item["itemIdentifier"])] for item in answer["batchItemFailures"]]

        def ended(result: Any) -> None:
            failed = messages if isinstance(result, BaseException) else result
            for message in failed:
                _move(message, self.delivered, self.messages)

        self.resizing.append(Worker(work, ended, ends_at=self.s3.seconds + RESIZE_SECONDS))
        self._tidy()

    def _announced(self, **message: str) -> dict[str, Any]:
        name = json.loads(message["MessageBody"])["name"]
        self.cleanups.append((self.s3.seconds + DELAY, name))
        return {}

    def _clean(self, due: tuple[int, str]) -> Worker:
        _, name = due
        self.cleanups.remove(due)
        self.world.cleanups += 1
        cleaner = Leftovers(
            cast("Any", Sweeping(self.world.client(self.s3), self.swept)),
            cast("Any", Client(SimpleNamespace(send_message=self._repaired))),
            assets_bucket="assets",
            uploads_bucket="uploads",
            queue_url="",
            variants={
                AVATAR: frozenset({"512.jpg", "512.webp"}),
                BANNER: frozenset({"1500x500.jpg", "600x200.webp"}),
            },
            resize_seconds=RESIZE_SECONDS,
        )

        def ended(result: Any) -> None:
            if isinstance(result, BaseException):
                self.cleanups.append((self.s3.seconds, name))

        worker = Worker(
            lambda: cleaner.delete(name), ended, ends_at=self.s3.seconds + CLEANUP_SECONDS
        )
        self.cleaning.append(worker)
        self._tidy()
        return worker

    def _repaired(self, **message: str) -> dict[str, Any]:
        self.world.repairs += 1
        return self._sent(**message)

    def _sent(self, **message: str) -> dict[str, Any]:
        self.messages.append(json.loads(message["MessageBody"]))
        return {}

    def count(self, _user: str, _upload: str, _at: float) -> Refusal | None:
        """Take the place of the limits that the resize function asks.

        Where the table can't be asked, it goes on without; not for as long as an address is good.
        """
        try:
            Client(self.limits).get_item()
        except (ClientError, BotoCoreError):
            if self.time() <= (self.limits.erased or 0) + ADDRESS_SECONDS:
                return None
        return Refusal("erased") if self.limits.erased is not None else None

    def look_for_lock(self, user: str) -> Refusal | None:
        return self.count(user, "", 0.0)

    def _erase(self) -> Worker:
        target = Target("local", "", "", None, Path("nowhere"))

        def work() -> bool:
            change = erasure.erase(target, self._deployment(), Account(NAME))
            pause(LISTED)
            change.check()
            change.execute(lambda _: None)
            return True

        def ended(result: Any) -> None:
            if isinstance(result, BaseException):
                if not isinstance(result, OperationError | Crashed):
                    raise result
                self.world.refused_erasures += "held by law" in str(result)
                return
            self.world.erased += 1
            self.is_erased, self.unfinished = True, False

        self.world.erasures += 1
        worker = Worker(work, ended)
        self.removing.append(worker)
        self._tidy()
        return worker

    def _deployment(self) -> Deployment:
        return cast(
            "Deployment",
            SimpleNamespace(
                s3=self.world.client(self.s3),
                sqs=SimpleNamespace(
                    send_message_batch=self._queued,
                    send_message=Client(SimpleNamespace(send_message=self._sent)).send_message,
                    receive_message=lambda **_: {},
                    get_queue_url=lambda **_: {"QueueUrl": ""},
                ),
                limits_table="limits",
                legal_holds_bucket="holds",
                assets_url="https://assets",
                user_pool_id="",
                cognito=Client(SimpleNamespace(list_users=lambda **_: {"Users": []})),
                database_url_parameter="",
                dead_letter_queue_url="",
                cloudfront=Client(SimpleNamespace(create_invalidation=self._invalidated)),
                functions=SimpleNamespace(get_function_configuration=lambda **_: {"Timeout": 30}),
                function_names={"resize": "resize"},
                uploads_bucket="uploads",
                assets_bucket="assets",
                distribution_id="",
                queue_url="",
                reviews_table=self.reviews_table,
                dynamodb=self.dynamodb or Client(self.limits),
            ),
        )

    def _take_down(self) -> Worker:
        def work() -> datetime | None:
            change = takedown.take_down(cast("Target", None), self._deployment(), NAME)
            pause(LISTED)
            change.check()
            change.execute(lambda _: None)
            worker = current()
            assert worker
            return worker.removed

        def ended(result: Any) -> None:
            if isinstance(result, BaseException):
                if not isinstance(result, OperationError | Crashed):
                    raise result
                return
            self.world.removals += 1
            if result == self.removed:
                self.unfinished = False

        worker = Worker(work, ended)
        self.removing.append(worker)
        self._tidy()
        return worker

    def _invalidated(self, **_: Any) -> dict[str, Any]:
        self.cached.clear()
        return {"Invalidation": {"Id": "I1", "Status": "Completed"}}

    def _record(self, notice: str) -> None:
        _move(notice, self.notices, self.told)
        connection = self.idle.pop()
        pid = connection.info.backend_pid

        def look(name: str) -> avatar.Shown:
            shown = self.world.profiles._currently_shown(name)
            pause("write the version")
            return cast("avatar.Shown", shown)

        def work() -> None:
            for name in avatar.names(notice):
                avatar.record(connection, name, look)

        def blocked() -> bool:
            row = self.world.watcher.execute(
                "SELECT cardinality(pg_blocking_pids(%s)) > 0 AS blocked", (pid,)
            ).fetchone()
            return bool(row and row["blocked"])

        def ended(result: Any) -> None:
            self.idle.append(connection)
            if isinstance(result, BaseException):
                _move(notice, self.told, self.notices)
            for waiting in self.recording:
                waiting.settle()

        self.recording.append(Worker(work, ended, blocked))
        self._tidy()

    def _step(self, worker: Worker, ending: Ending = Ending.OK) -> None:
        if worker.ends_at is not None and self.s3.seconds > worker.ends_at:
            ending = Ending.CRASH  # its time is up
        self.world.calls += 1
        self.world.crashes += ending is Ending.CRASH
        removes = worker in self.removing + self.reviewing
        if removes and worker.call == "sleep":
            for older in worker.slower:
                if not older.done:
                    older.step(Ending.CRASH)  # the function's time is up
        worker.step(ending)
        if removes and worker.call == "sleep":
            worker.slower = self._outlived()
        self._tidy()

    def _steps(self, worker: Worker, calls: int) -> None:
        """Let a worker make so many calls, or as many as it has left."""
        for _ in range(calls):
            if not worker.done:
                self._step(worker)

    def _end_of(self, worker: Worker) -> None:
        """Let a worker go on to its end."""
        while not worker.done:
            self._step(worker)

    def _outlived(self) -> list[Worker]:
        """Return who is at work, and has ended when a removal has waited."""
        return self.resizing + self.reporting

    def _tidy(self) -> None:
        for workers in self._workers():
            for worker in [item for item in workers if item.done]:
                workers.remove(worker)
                worker.close()


class Limits:
    """The table of limits, as far as erasures and legal holds ask it."""

    def __init__(self, s3: S3) -> None:
        self._s3 = s3
        self._items: dict[str, dict[str, Any]] = {}

    @property
    def erased(self) -> int | None:
        """When the account's erasure began."""
        item = self._items.get(NAME, {})
        return int(item["erased"]["N"]) if "erased" in item else None

    @property
    def held(self) -> bool:
        """Whether the account is held by law."""
        return f"legal-hold/{NAME}" in self._items

    def get_item(self, *, Key: Any = None, **_: Any) -> dict[str, Any]:  # noqa: N803
        answer: dict[str, Any] = {"ResponseMetadata": {"HTTPHeaders": {"date": self._s3.date()}}}
        item = self._items.get(Key["user"]["S"] if Key else NAME)
        return answer | ({"Item": dict(item)} if item else {})

    def delete_item(self, *, Key: Any, **_: Any) -> dict[str, Any]:  # noqa: N803
        self._items.pop(Key["user"]["S"], None)
        return {}

    def transact_write_items(self, *, TransactItems: Any) -> dict[str, Any]:  # noqa: N803
        puts = [each["Put"] for each in TransactItems if "Put" in each]
        checks = [each["ConditionCheck"] for each in TransactItems if "ConditionCheck" in each]
        places = [
            *((each, each["Key"]["user"]["S"]) for each in checks),
            *((each, each["Item"]["user"]["S"]) for each in puts),
        ]
        for each, user in places:
            condition = each.get("ConditionExpression", "attribute_not_exists(nothing)")
            name = condition.removeprefix("attribute_not_exists(").removesuffix(")")
            if name in self._items.get(user, {}):
                response: Any = {
                    "Error": {"Code": "TransactionCanceledException"},
                    "CancellationReasons": [{"Code": "ConditionalCheckFailed"}],
                }
                raise ClientError(response, "TransactWriteItems")
        for put in puts:
            self._items[put["Item"]["user"]["S"]] = put["Item"]
        return {}


class Sweeping:
    """The cleaning workers' S3 client; keeps what they delete."""

    def __init__(self, client: Client, swept: set[str]) -> None:
        self._client = client
        self._swept = swept

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)

    def delete_objects(self, **arguments: Any) -> Any:
        self._swept |= {item["Key"] for item in arguments["Delete"]["Objects"]}
        return self._client.delete_objects(**arguments)


def _move(item: Any, source: list[Any], target: list[Any]) -> None:
    if item in source:
        source.remove(item)
        target.append(item)


def is_good(upload: Stored) -> bool:
    """Whether a picture can be made of it, or it removes the avatar."""
    return not upload.body.startswith(b"bad")


def _event(stored: Stored) -> Message:
    described = {
        "key": quote_plus(stored.key),
        "versionId": stored.version_id,
        "sequencer": stored.sequencer,
    }
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectRemoved:DeleteMarkerCreated"
                if stored.is_marker
                else "ObjectCreated:Copy"
                if stored.is_copy
                else "ObjectCreated:Put",
                "eventTime": stored.uploaded.isoformat(),
                "s3": {"bucket": {"name": "uploads"}, "object": described},
            }
        ]
    }


def _again(stored: Stored) -> Message:
    described = {"key": quote_plus(stored.key), "versionId": stored.version_id}
    entity = {"bucket": {"name": "uploads"}, "object": described}
    return {"Records": [{"eventName": "ObjectCreated:Reprocess", "s3": entity}]}


def _directly(message: Message) -> Message:
    """Return what calls the function without a queue: S3, or S3 Batch Operations."""
    (record,) = message["Records"]
    if record["eventName"] != "ObjectCreated:Reprocess":
        return message
    stored = record["s3"]["object"]
    return {
        "invocationSchemaVersion": "1.0",
        "invocationId": "invocation-1",
        "job": {"id": "job-1"},
        "tasks": [
            {
                "taskId": "task-1",
                "s3Key": stored["key"],
                "s3VersionId": stored["versionId"],
                "s3BucketArn": "arn:aws:s3:::uploads",
            }
        ],
    }


def _notice(name: str, stored: Stored) -> str:
    described = {"key": quote_plus(stored.key), "sequencer": stored.sequencer}
    entity = {"bucket": {"name": "assets"}, "object": described}
    return json.dumps({"Records": [{"eventName": name, "s3": entity}]})


def _batch(messages: list[Message]) -> Message:
    return {
        "Records": [
            {
                "eventSource": "aws:sqs",
                "messageId": str(index),
                "body": json.dumps(message),
                "attributes": {"ApproximateReceiveCount": "1"},
            }
            for index, message in enumerate(messages)
        ]
    }
