"""What was uploaded while the system was broken, what became of it, and the table of it all."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from console.operations import web
from console.operations.environments import logs
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters
from console.operations.uploads import names, outcomes
from console.operations.uploads.test_users import SignIn
from tests.integration.system import wait_until
from tests.integration.test_uploads import grant

FAULT = "fault"
COLUMNS = ("accepted", "served", "superseded", "failed visibly", "lost")
WRITERS = 6


@dataclass(frozen=True)
class Upload:
    """A PUT that S3 answered with 200; `version` is its ETag."""

    key: str
    version: str
    version_id: str

    @property
    def name(self) -> str:
        """The avatar's name."""
        return names.name_of(self.key)


class Ledger:
    """Every accepted upload of one fault, and where it ended."""

    def __init__(self, here: Deployment, record: Callable[[str, object], None]) -> None:
        self.here = here
        self.accepted: list[Upload] = []
        self._began = time.time()
        self._record = record

    def put(self, key: str, body: bytes) -> Upload | None:
        """Upload straight into the bucket; None if it was not accepted."""
        try:
            stored = self.here.s3.put_object(Bucket=self.here.uploads_bucket, Key=key, Body=body)
        except (BotoCoreError, ClientError):
            return None
        upload = Upload(key, stored["ETag"].strip('"'), stored["VersionId"])
        self.accepted.append(upload)
        return upload

    def put_all(self, bodies: Iterable[tuple[str, bytes]]) -> None:
        """Upload these with several writers at once."""
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(lambda item: self.put(*item), bodies))

    def put_as_user(self, user: SignIn, body: bytes) -> Upload:
        """Upload as the user's browser does, by a URL from the API."""
        granted = grant(self.here, user, body)
        return self.put_to(granted["url"], granted["headers"], granted["key"], body)

    def put_to(self, url: str, headers: dict[str, str], key: str, body: bytes) -> Upload:
        """Upload to a URL that must take it."""
        stored = web.request("PUT", url, headers, body)
        assert stored.status == 200, stored.body
        etag, version_id = stored.headers["etag"], stored.headers["x-amz-version-id"]
        upload = Upload(key, etag.strip('"'), version_id)
        self.accepted.append(upload)
        return upload

    def settle(self, fault: str, *, dead: int = 0, seconds: float = 120) -> Counter[str]:
        """Wait for the queue to run dry, then look where each accepted upload is.

        Nothing may be lost, half-written or stuck, and no more than `dead` be dead-letter messages.

        Returns
        -------
        Counter
            How many uploads are ``served``, ``superseded``, ``rejected`` and ``dead``.
        """
        here, counts = self.here, {}

        def dry() -> bool:
            counts.update(dead_letters.counts(here))
            return not counts["waiting"] and not counts["in_flight"]

        try:
            wait_until(dry, "an empty queue", seconds)
        except AssertionError as error:
            error.add_note(self._failures())
            raise
        finally:
            with ThreadPoolExecutor(WRITERS) as pool:
                letters = [key for letter in self._dead_letters() for key in letter.keys]
                ends = list(pool.map(lambda upload: self._end(upload, letters), self.accepted))
            found = Counter(ends)
            failed = found["rejected"] + found["dead"]
            numbers = [len(ends), found["served"], found["superseded"], failed, found["lost"]]
            self._record(FAULT, [fault, *numbers])
        lost = [item for item, end in zip(self.accepted, ends, strict=True) if end == "lost"]
        assert not lost
        assert counts["dead"] == dead, self._failures()
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(self._check_whole, {upload.name for upload in self.accepted}))
        return found

    def _dead_letters(self) -> list[dead_letters.DeadLetter]:
        letters = list(dead_letters.receive(self.here))
        dead_letters.release(self.here, letters)
        return letters

    def _failures(self) -> str:
        """Return what the resize function said of messages that failed."""
        lines = logs.read(self.here, ["resize"], self._began - 600, "message failed")
        return "\n".join(str(line.fields) for line in lines)

    def _end(self, upload: Upload, dead: list[str]) -> str:
        shown = outcomes.shown_version(self.here, upload.name)
        if shown == upload.version:
            return "served"
        if outcomes.rejection(self.here, upload.name, upload.version):
            return "rejected"
        later = {item.version for item in self.accepted if item.name == upload.name}
        listed = self.here.s3.list_object_versions(
            Bucket=self.here.uploads_bucket, Prefix=upload.key
        )["Versions"]  # newest first
        for version in listed:
            if version["VersionId"] == upload.version_id:
                break
            if version["ETag"].strip('"') == shown and shown in later:
                return "superseded"
        return "dead" if upload.key in dead else "lost"

    def _check_whole(self, name: str) -> None:
        """Look at every byte of the avatar and of its variants, if there is one."""
        here = self.here
        version = outcomes.shown_version(here, name)
        if version is None:
            return
        keys = {
            f"avatars/{name}.jpg": ("JPEG", 512),
            f"variants/{name}/{version}/512.jpg": ("JPEG", 512),
            f"variants/{name}/{version}/128.webp": ("WEBP", 128),
        }
        for key, (image_format, size) in keys.items():
            body = here.s3.get_object(Bucket=here.assets_bucket, Key=key)["Body"].read()
            with Image.open(io.BytesIO(body)) as image:
                image.load()
                assert (image.format, image.size) == (image_format, (size, size)), key


@pytest.fixture
def ledger(here: Deployment, record_property: Callable[[str, object], None]) -> Ledger:
    """An empty ledger; what it settles appears in the table at the end of the run."""
    return Ledger(here, record_property)


@contextmanager
def redelivered_after(here: Deployment, seconds: int) -> Iterator[None]:
    """Let messages that are received inside, and fail, come again so soon."""
    name: Any = "VisibilityTimeout"
    before = here.sqs.get_queue_attributes(QueueUrl=here.queue_url, AttributeNames=[name])
    here.sqs.set_queue_attributes(QueueUrl=here.queue_url, Attributes={name: str(seconds)})
    try:
        yield
    finally:
        here.sqs.set_queue_attributes(QueueUrl=here.queue_url, Attributes=before["Attributes"])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what each fault did to the uploads."""
    rows = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for name, value in getattr(report, "user_properties", [])
        if name == FAULT
    ]
    if not rows:
        return
    terminalreporter.section("faults")
    width = max(len(row[0]) for row in rows)
    terminalreporter.write_line(" ".join(["fault".ljust(width), *(f"{c:>14}" for c in COLUMNS)]))
    for fault, *numbers in rows:
        terminalreporter.write_line(" ".join([fault.ljust(width), *(f"{n:>14}" for n in numbers)]))
