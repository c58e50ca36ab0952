"""What S3 Inventory knows to be made, so that nobody has to ask for each original.

The list of the assets bucket has keys and times, no metadata: which upload an avatar shows stands
in no list. But images of an original are below its ETag, and are written before the avatar is. So
what was uploaded before both is taken to be shown, and never anything to be missing. That may be
days old: what was shown once is shown until something later is.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError
from s3transfer.exceptions import RetriesExceededError

from console.operations import progress
from console.operations.environments.aws_errors import MISSING, aws_errors, suppressed
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import crops

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectTypeDef

    from console.operations.pipeline.reconcile import Keys

STEP = "Inventory"
NEWEST = "1"
_NAME = "daily"
_FOLDER = "inventory/{bucket}/" + _NAME + "/"
"""As Terraform has S3 deliver it, in the assets bucket itself."""
_COLUMNS = ("Key", "LastModifiedDate")
_CACHE_KB = 256 * 1024
_AVATAR = ""  # in the place of an ETag
_BOTH = 2  # the avatar, and images
_WAIT = "Take another by its date (INVENTORY=2026-01-31), or wait for that of tomorrow."


@dataclass(frozen=True)
class Inventory:
    """A list that S3 has delivered.

    Attributes
    ----------
    taken
        When S3 began to make it.
    files
        The keys of its files, and the MD5 of each in hexadecimal digits.
    columns
        The places of key and time in a row.
    """

    taken: datetime
    files: Mapping[str, str]
    columns: tuple[int, int]

    def __str__(self) -> str:
        hours = (datetime.now(UTC) - self.taken).total_seconds() / 3600
        return f"the inventory of {self.taken:%Y-%m-%d %H:%M} UTC, {hours:.0f} h old"


def find(deployment: Deployment, date: str = NEWEST) -> Inventory:
    """Return the newest inventory that is complete, of a day or of all.

    Parameters
    ----------
    date
        The day on which S3 began to make it, as YYYY-MM-DD; or `NEWEST`.

    Raises
    ------
    OperationError
        If there is none, or it is not what S3 delivers of the assets bucket.
    """
    if date != NEWEST and not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        raise OperationError(
            f"{date!r} is no day.", "INVENTORY=1 takes the newest, INVENTORY=2026-01-31 a day's."
        )
    bucket = deployment.assets_bucket
    folder = _FOLDER.format(bucket=bucket)
    with aws_errors("look for an inventory"):
        pages = deployment.s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=folder, Delimiter="/"
        )
        folders = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]
        days = [one for one in folders if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\dZ/", one[-18:])]
        for day in sorted(days, reverse=True):
            if date == NEWEST or day.startswith(folder + date):
                with suppressed(MISSING):  # not all of it is there yet
                    checksum = _get(deployment, f"{day}manifest.checksum").strip().decode()
                    return _read(bucket, day, _get(deployment, f"{day}manifest.json"), checksum)
        raise _none(deployment, date, [day.removeprefix(folder)[:10] for day in days])


def _get(deployment: Deployment, key: str) -> bytes:
    return deployment.s3.get_object(Bucket=deployment.assets_bucket, Key=key)["Body"].read()


def _none(deployment: Deployment, date: str, days: list[str]) -> OperationError:
    if date != NEWEST and days:
        return OperationError(
            f"There is no complete inventory of {date}.",
            f"Take one of {', '.join(sorted({*days}))}.",
        )
    if not _is_configured(deployment):
        return OperationError(
            f"{deployment.name} has no inventory.",
            "Set `inventory = { enabled = true }` in its tfvars and run `make apply`; "
            "`make reconcile` without INVENTORY asks for each original.",
        )
    return OperationError(
        "S3 has not delivered an inventory yet.",
        "The first takes up to 48 hours; `make reconcile` without INVENTORY needs none.",
    )


def _is_configured(deployment: Deployment) -> bool:
    found = deployment.s3.list_bucket_inventory_configurations(Bucket=deployment.assets_bucket)
    listed = found.get("InventoryConfigurationList", [])
    return any(one.get("Id") == _NAME and one.get("IsEnabled") for one in listed)


def _read(bucket: str, day: str, text: bytes, checksum: str) -> Inventory:
    """Check a manifest, and return what it says."""
    if _md5(io.BytesIO(text)) != checksum:
        raise OperationError(f"{day}manifest.json is not what its checksum says.", _WAIT)
    try:
        said: dict[str, Any] = json.loads(text)
        source, form = said["sourceBucket"], said["fileFormat"]
        schema = [column.strip() for column in said["fileSchema"].split(",")]
        taken = datetime.strptime(day[-18:], "%Y-%m-%dT%H-%MZ/").replace(tzinfo=UTC)
        files = {file["key"]: file["MD5checksum"] for file in said["files"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperationError(
            f"{day}manifest.json is not S3's: {type(error).__name__} at {error}.", _WAIT
        ) from error
    if source != bucket:
        raise OperationError(
            f"The inventory is of the bucket {source}, not of {bucket}.",
            f"Delete what somebody copied to {day}.",
        )
    missing = [column for column in _COLUMNS if column not in schema]
    if form != "CSV" or missing:
        lacks = f"lacks {' and '.join(missing)}" if missing else f"is {form}, not CSV"
        raise OperationError(
            f"The inventory {lacks}.",
            "Run `make apply`, which configures it, and wait for that of tomorrow.",
        )
    key, time = (schema.index(column) for column in _COLUMNS)
    return Inventory(taken, files, (key, time))


@dataclass
class Made:
    """When images and avatars were made, by an inventory; on disk, as memory may not hold them.

    Attributes
    ----------
    by
        The inventory.
    """

    by: Inventory
    _rows: sqlite3.Connection = field(default_factory=lambda: sqlite3.connect(""))

    def __post_init__(self) -> None:
        # without a name the file is deleted with this process, however it ends
        self._rows.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute(
            "CREATE TABLE made (name TEXT, etag TEXT, at INTEGER, PRIMARY KEY (name, etag))"
            " WITHOUT ROWID"
        )

    def add(self, rows: Iterator[tuple[str, str, int]]) -> None:
        """Add names, ETags of originals (of the avatar itself, `_AVATAR`), and times."""
        self._rows.executemany(
            "INSERT INTO made VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
            rows,
        )

    def shows(self, name: str, original: ObjectTypeDef) -> bool:
        """Say whether images of this original, and the avatar, were made after it was stored."""
        ((found,),) = self._rows.execute(
            "SELECT count(*) FROM made WHERE name = ? AND etag IN (?, ?) AND at >= ?",
            (
                name,
                _AVATAR,
                original["ETag"].strip('"'),
                int(original["LastModified"].timestamp()),
            ),
        )
        return bool(found == _BOTH)


def load(deployment: Deployment, by: Inventory, report: progress.Report, keys: Keys) -> Made:
    """Read an inventory's files, each checked before any row of it counts.

    Parameters
    ----------
    keys
        Rows of these originals alone are kept.

    Raises
    ------
    OperationError
        If a file is missing, is not what its MD5 says, or has other rows than the manifest says.
    """
    made = Made(by)
    for number, (key, md5) in enumerate(by.files.items(), 1):
        try:
            with tempfile.TemporaryFile() as local:
                _download(deployment, key, local)
                local.seek(0)
                if _md5(local) != md5:
                    raise OperationError(f"The inventory's {key} is not what its MD5 says.", _WAIT)
                local.seek(0)
                made.add(_rows(local, by, keys))
        except (ValueError, IndexError, csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise OperationError(f"The inventory's {key} can't be read: {error}.", _WAIT) from error
        except (OSError, sqlite3.Error) as error:
            raise OperationError(
                f"The inventory can't be kept on disk: {error}.",
                "Name a folder with more room (TMPDIR=), or take a part by AFTER= and UNTIL=.",
            ) from error
        report(progress.Event(STEP, "advanced", str(by.taken), done=number, total=len(by.files)))
    return made


def _download(deployment: Deployment, key: str, file: Any) -> None:
    with aws_errors(f"read the inventory's {key}"):
        try:
            deployment.s3.download_fileobj(deployment.assets_bucket, key, file)
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING:
                raise OperationError(f"The inventory's {key} is missing.", _WAIT) from error
            raise
        except RetriesExceededError as error:
            raise OperationError(
                f"The inventory's {key} is cut off each time: {error.last_exception}.", "Try again."
            ) from error


def _rows(file: Any, by: Inventory, keys: Keys) -> Iterator[tuple[str, str, int]]:
    key_at, time_at = by.columns
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.reader(lines):
            key = unquote_plus(row[key_at])
            kind, _, rest = key.partition("/")
            if kind == "avatars":
                name, etag = rest.removesuffix(".jpg"), _AVATAR
            elif kind == "variants" and rest.count("/") > 1:
                name, version, _ = rest.rsplit("/", 2)
                etag = crops.etag_of(version)
            else:
                continue
            if keys.may_have(name):
                yield name, etag, int(datetime.fromisoformat(row[time_at]).timestamp())


def _md5(file: Any) -> str:
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
