"""Where avatars live: originals in the uploads bucket, what is served in the assets bucket.

Everything a crash can interrupt is safe to do again: variants are named after the upload's
ETag and crop, and ``avatars/<name>.jpg``, the pointer to the newest upload, is written last and
only on the condition that nobody wrote it since it was read. A removal is written there as an
upload is.

A round trip to S3 takes 10 to 30 ms, so what doesn't depend on another is asked at the same time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from avatar_crop import Crop, version_of
from picture_kinds import AVATAR, BANNER
from resize.events import Upload, is_later

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

POINTER_CACHE = "public, max-age=60"
VARIANT_CACHE = "public, max-age=31536000, immutable"
REJECTION_TAG = "avatar-rejection"
REMOVED_TAG = "avatar-removed=true"
"""The lifecycle rule of the assets bucket lets what is tagged so expire."""
ERASED_TAG = "avatar-erased"
"""That of the uploads bucket likewise, and at once."""
_POINTER_ATTEMPTS = 10
_CALLS_AT_ONCE = 8
_METADATA_KEY_LENGTH = 1400
"""S3 takes 2 KB of metadata in all; a key of 1,024 bytes may take 3,072 percent-encoded."""
_SETTLED_SECONDS = 2
"""After this no other version can have the same `LastModified`, with a second for clocks to differ.
"""


_DEFAULT_PICTURES = {AVATAR: "avatars/_default.jpg", BANNER: "banners/banner.jpg"}
_PROPAGATION = timedelta(minutes=15)
"""For so long after versioning is enabled, S3 may not find the keys of uploads that are there."""
_LONGEST_KEY = 1024
"""In bytes of UTF-8; what S3 takes."""


class StaleUploadError(Exception):
    """The avatar shows this upload or a later one: there is nothing to do."""


class UploadNotFoundYetError(Exception):
    """S3 does not find the key of a new upload; the message is to be delivered again."""


class ContendedPointerError(Exception):
    """Other workers kept writing the same avatar; the message is to be delivered again."""


@dataclass(frozen=True)
class Original:
    """An upload as it was found: its bytes, or none if it is longer than allowed.

    Attributes
    ----------
    version
        The ETag without quotes, and what stands for the crop; names the variants. A delete marker
        has none.
    uploaded
        When S3 stored it, to the second.
    crop
        What its user chose of it, if anything.
    """

    data: bytes
    size: int
    version: str
    version_id: str | None
    uploaded: datetime
    crop: Crop | None = None


@dataclass(frozen=True)
class Pointer:
    """What ``avatars/<name>.jpg`` says of the upload that it shows, or of the avatar's removal.

    A removal leaves the default picture here, without a version, `uploaded` being its time by S3's
    clock. A user's has the source key and sequencer of its delete marker, and is ordered as an
    upload of that key. An operator's has neither, and is ordered as one of another key: uploads of
    its own second or before are older.
    """

    etag: str
    version: str
    version_id: str | None
    source_key: str
    sequencer: str | None
    uploaded: datetime
    placeholder: str = ""

    def shows(self, original: Original) -> bool:
        """Say whether it shows this very version."""
        return bool(self.version and self.version_id) and self.version_id == original.version_id

    def is_of(self, key: str) -> bool:
        """Say whether what it shows was uploaded under this key."""
        return self.source_key == _source_key(key)


class Store:
    """Read originals and write avatars.

    Parameters
    ----------
    max_bytes
        Originals longer than this are not read.
    """

    def __init__(self, s3: S3Client, assets_bucket: str, max_bytes: int) -> None:
        self._s3 = s3
        self._assets = assets_bucket
        self._max_bytes = max_bytes
        self._pool = ThreadPoolExecutor(_CALLS_AT_ONCE)

    def read(self, upload: Upload) -> tuple[Pointer | None, Original | None]:
        """Return what the avatar shows and the upload, both asked for at the same time.

        Returns
        -------
        pointer : Pointer or None
            None if there is no avatar.
        original : Original or None
            None if that version has been deleted since.

        Raises
        ------
        StaleUploadError
            If the avatar shows this upload or a later one; the bytes are not read then.
        UploadNotFoundYetError
            If S3 doesn't find the key, and the upload is so new that it may yet.
        """
        looking = self._pool.submit(self.pointer, upload.name)
        try:
            original = self._original(upload, looking)
        finally:
            looking.exception()  # no call outlives its message
        return looking.result(), original

    def _original(self, upload: Upload, looking: Future[Pointer | None]) -> Original | None:
        """Read the upload.

        Where neither version nor order is told, or it is processed again, wait until the newest
        version is the last of its second: it could not be told from another of the same second.
        """
        version: Any = {"VersionId": upload.version_id} if upload.version_id else {}
        while True:
            try:
                found = self._s3.get_object(Bucket=upload.bucket, Key=upload.key, **version)
            except ClientError as error:
                code = _code(error)
                if code == "NoSuchVersion":  # S3 knows the key: deleted
                    return None
                if code == "MethodNotAllowed" and upload.removes:
                    return self._marker(upload, error, looking)
                if code not in {"NoSuchKey", "404"}:
                    raise
                if upload.version_id and _is_new(upload):
                    raise UploadNotFoundYetError(
                        f"S3 does not find {upload.key}, which is not 15 minutes old"
                    ) from error
                return None
            age = time.time() - found["LastModified"].timestamp()
            told = upload.sequencer or (upload.version_id and not upload.again)
            if told or age >= _SETTLED_SECONDS:
                break
            found["Body"].close()
            time.sleep(min(_SETTLED_SECONDS, _SETTLED_SECONDS - age))
        with found["Body"] as body:
            if _is_known_stale(upload, found["LastModified"], looking.result()):
                raise StaleUploadError
            size, crop = found["ContentLength"], Crop.from_metadata(found["Metadata"])
            return Original(
                data=body.read() if size <= self._max_bytes else b"",
                size=size,
                version=version_of(found["ETag"], crop),
                version_id=found.get("VersionId"),
                uploaded=found["LastModified"],
                crop=crop,
            )

    def _marker(
        self, upload: Upload, refusal: ClientError, looking: Future[Pointer | None]
    ) -> Original:
        """Return what S3 says of a delete marker when it refuses to read it: its time."""
        headers = refusal.response["ResponseMetadata"]["HTTPHeaders"]
        removed = parsedate_to_datetime(headers["last-modified"])
        if _is_known_stale(upload, removed, looking.result()):
            raise StaleUploadError
        return Original(b"", 0, "", upload.version_id, removed)

    def pointer(self, name: str) -> Pointer | None:
        """Return what the avatar shows now, or None if there is none."""
        if not _fits(_pointer_key(name)):
            return None
        try:
            found = self._s3.head_object(Bucket=self._assets, Key=_pointer_key(name))
        except ClientError as error:
            if _code(error) in {"404", "NoSuchKey"}:
                return None
            raise
        metadata = found["Metadata"]
        return Pointer(
            etag=found["ETag"],
            version=metadata.get("version", ""),
            version_id=metadata.get("version-id"),
            source_key=metadata.get("source-key", ""),
            sequencer=metadata.get("sequencer"),
            # put there by hand, any upload replaces it
            uploaded=datetime.fromisoformat(metadata.get("uploaded", "0001-01-01T00:00:00+00:00")),
            placeholder=metadata.get("placeholder", ""),
        )

    @contextmanager
    def variants(self, name: str, version: str) -> Iterator[Callable[[str, str, bytes], None]]:
        """Write ``variants/<name>/<version>/<variant>`` while others are still being made.

        Yields
        ------
        callable
            Takes a variant, such as ``512.jpg``, its content type and its bytes, and returns at
            once. When the context is left, all are written, or the first failure is raised.
        """
        writing: list[Future[Any]] = []

        def write(variant: str, content_type: str, body: bytes) -> None:
            writing.append(
                self._pool.submit(
                    self._s3.put_object,
                    Bucket=self._assets,
                    Key=f"variants/{name}/{version}/{variant}",
                    Body=body,
                    ContentType=content_type,
                    CacheControl=VARIANT_CACHE,
                )
            )

        try:
            yield write
        finally:
            failures = [call.exception() for call in writing]
        for failure in filter(None, failures):
            raise failure

    def write_pointer(
        self,
        upload: Upload,
        original: Original,
        picture: bytes,
        placeholder: str,
        pointer: Pointer | None,
    ) -> Pointer | None:
        """Make ``avatars/<name>.jpg`` show this upload, unless it shows a later one.

        Parameters
        ----------
        placeholder
            The picture's BlurHash.
        pointer
            What the avatar showed when it was last looked at.

        Returns
        -------
        Pointer or None
            What it showed before.

        Raises
        ------
        StaleUploadError
            If a later upload is shown or about to be.
        ContendedPointerError
            If it kept changing under us.
        """
        metadata = {"version": original.version, "placeholder": placeholder}
        return self._write(upload, original, picture, metadata, pointer)

    def write_removal(
        self, upload: Upload, original: Original, pointer: Pointer | None
    ) -> Pointer | None:
        """Show the default picture in the avatar's place, unless a later upload is shown.

        `pointer`, result and errors are those of `write_pointer`.
        """
        metadata = {"removed": original.uploaded.isoformat()}
        picture = self._default_picture(upload)
        return self._write(upload, original, picture, metadata, pointer, Tagging=REMOVED_TAG)

    def _default_picture(self, upload: Upload) -> bytes:
        key = _DEFAULT_PICTURES[upload.kind]
        try:
            found = self._s3.get_object(Bucket=self._assets, Key=key)
        except ClientError as error:
            if _code(error) == "NoSuchKey":
                return b""  # a removal does not wait for an apply
            raise
        return found["Body"].read()

    def _write(
        self,
        upload: Upload,
        original: Original,
        picture: bytes,
        metadata: dict[str, str],
        pointer: Pointer | None,
        **more: Any,
    ) -> Pointer | None:
        metadata |= {
            "source-key": _source_key(upload.key),
            "uploaded": original.uploaded.isoformat(),
        }
        if original.version_id:
            metadata["version-id"] = original.version_id
        for _ in range(_POINTER_ATTEMPTS):
            if not self._is_newer(upload, original, pointer):
                raise StaleUploadError
            shown = pointer if pointer and pointer.shows(original) else None
            # a message of our own must not take the order away
            sequencer = upload.sequencer or (shown.sequencer if shown else None)
            if sequencer:
                metadata["sequencer"] = sequencer
            else:
                metadata.pop("sequencer", None)
            body = _signed_with(picture, f"{original.version_id} {sequencer}")
            if shown and _is_written(shown, body, metadata):
                return shown
            condition: dict[str, Any] = (
                {"IfMatch": pointer.etag} if pointer else {"IfNoneMatch": "*"}
            )
            try:
                self._s3.put_object(
                    Bucket=self._assets,
                    Key=_pointer_key(upload.name),
                    Body=body,
                    ContentType="image/jpeg",
                    CacheControl=POINTER_CACHE,
                    Metadata=metadata,
                    **condition,
                    **more,
                )
            except ClientError as error:
                # 409 and 404 are S3's answers to a write or delete at the same moment
                if _code(error) not in {
                    "PreconditionFailed",
                    "ConditionalRequestConflict",
                    "NoSuchKey",
                }:
                    raise
                pointer = self.pointer(upload.name)
            else:
                return pointer
        raise ContendedPointerError(f"avatars/{upload.name}.jpg changed {_POINTER_ATTEMPTS} times")

    def write_rejection(self, upload: Upload, original: Original, code: str, message: str) -> None:
        """Record why an upload was refused, for the user and for operators, and mark it.

        Where the record's key would be too long for S3, the mark is all there is.
        """
        self.write_record(upload, original, code, message)
        self.mark(upload, original, code)

    def mark(self, upload: Upload, original: Original, code: str) -> None:
        """Mark an upload as refused, for operators, and so that it is not tried again."""
        self._tag(upload, original.version_id, REJECTION_TAG, code)

    def let_expire(self, upload: Upload) -> None:
        """Mark an upload whose user's account is erased, so that nothing of it is kept."""
        self._tag(upload, upload.version_id, ERASED_TAG, "true")

    def _tag(self, upload: Upload, version_id: str | None, tag: str, value: str) -> None:
        version: Any = {"VersionId": version_id} if version_id else {}
        try:
            self._s3.put_object_tagging(
                Bucket=upload.bucket,
                Key=upload.key,
                Tagging={"TagSet": [{"Key": tag, "Value": value}]},
                **version,
            )
        except ClientError as error:
            if _code(error) not in {"NoSuchVersion", "NoSuchKey", "MethodNotAllowed"}:  # it is gone
                raise

    def rejection(self, upload: Upload, original: Original) -> str:
        """Return the code with which an upload was rejected; "" if it was not."""
        version: Any = {"VersionId": original.version_id} if original.version_id else {}
        tags = self._s3.get_object_tagging(Bucket=upload.bucket, Key=upload.key, **version)
        return {tag["Key"]: tag["Value"] for tag in tags["TagSet"]}.get(REJECTION_TAG, "")

    def write_record(self, upload: Upload, original: Original, code: str, message: str) -> None:
        """Record for the user why an upload is not shown, or not yet."""
        key = f"rejections/{upload.name}/{original.version}.json"
        if not _fits(key):
            return
        self._s3.put_object(
            Bucket=self._assets,
            Key=key,
            Body=json.dumps(
                {
                    "code": code,
                    "message": message,
                    "key": upload.key,
                    "version_id": original.version_id,
                    "size": original.size,
                    "uploaded": original.uploaded.isoformat(),
                }
            ).encode(),
            ContentType="application/json",
            CacheControl=POINTER_CACHE,
        )

    def _is_newer(self, upload: Upload, original: Original, pointer: Pointer | None) -> bool:
        if _is_known_stale(upload, original.uploaded, pointer):
            return False
        if pointer and pointer.shows(original):
            return True
        if not upload.again and (
            pointer is None or _same_order(upload, pointer) or pointer.uploaded != original.uploaded
        ):
            return True
        # With a message of our own, within one second: the newest version of the key counts
        try:
            newest = self._s3.head_object(Bucket=upload.bucket, Key=upload.key)
        except ClientError as error:
            if _code(error) not in {"404", "NoSuchKey"}:
                raise
            headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
            # which marker is the newest, S3 says
            return upload.removes and upload.version_id == headers.get(
                "x-amz-version-id", upload.version_id
            )
        return newest.get("VersionId") == original.version_id


def _signed_with(picture: bytes, upload: str) -> bytes:
    """Return the JPEG with a comment that is this upload's alone.

    An ETag covers an object's bytes and not its metadata: were the same picture uploaded twice,
    `If-Match` could not tell the second pointer from the first, and an upload that came between
    them could overwrite the second.
    """
    comment = hashlib.sha256(upload.encode()).hexdigest()[:32].encode()
    # behind JFIF's segment, which some receivers look for in the first bytes
    after = 4 + int.from_bytes(picture[4:6], "big") if picture[2:4] == b"\xff\xe0" else 2
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    return picture[:after] + segment + picture[after:]


def _is_written(shown: Pointer, body: bytes, metadata: dict[str, str]) -> bool:
    """Say whether it is there already, so that nobody needs to be notified again."""
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()  # S3's, if no KMS key is used
    return (
        shown.etag.strip('"') == etag
        and shown.version == metadata.get("version")
        and shown.placeholder == metadata.get("placeholder")
        and shown.sequencer == metadata.get("sequencer")
    )


def _is_new(upload: Upload) -> bool:
    if upload.event_time is None:
        return False
    return datetime.now(UTC) - datetime.fromisoformat(upload.event_time) < _PROPAGATION


def _fits(key: str) -> bool:
    return len(key.encode()) <= _LONGEST_KEY


def _pointer_key(name: str) -> str:
    return f"avatars/{name}.jpg"


def _same_order(upload: Upload, pointer: Pointer) -> bool:
    """Sequencers order the events of one key only."""
    return bool(
        upload.sequencer and pointer.sequencer and pointer.source_key == _source_key(upload.key)
    )


def _is_known_stale(upload: Upload, uploaded: datetime, pointer: Pointer | None) -> bool:
    """Say whether the avatar shows this upload or a later one, as far as no call is needed.

    Without sequencers of one key, as in a message of our own or with another key of the same name,
    the one uploaded last counts. Two keys have no order within one second, so the one that is
    shown stays: were it to and fro, an ETag could come back.
    """
    if pointer is None:
        return False
    if _same_order(upload, pointer):
        return not is_later(upload.sequencer or "", pointer.sequencer or "")
    if pointer.uploaded != uploaded:
        return uploaded < pointer.uploaded
    return pointer.source_key != _source_key(upload.key)


def _source_key(key: str) -> str:
    """Return the key as metadata holds it: percent-encoded, or in base64 if that is too long."""
    encoded = quote(key)
    if len(encoded) <= _METADATA_KEY_LENGTH:
        return encoded
    return "base64:" + base64.b64encode(key.encode()).decode()


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
