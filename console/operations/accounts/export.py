"""Give users what is stored of them: a zip, written piece by piece."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from console import units
from console.operations import progress
from console.operations.accounts import records
from console.operations.accounts.account import Account
from console.operations.accounts.records import Record
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""What a zip's times begin with."""
_KEPT_SECONDS = 86_400


@dataclass(frozen=True)
class Export:
    """Write all that is stored of an account into a zip."""

    target: Target
    deployment: Deployment
    account: Account
    file: Path
    action: ClassVar[str] = "export an account"
    destructive: ClassVar[bool] = False

    @property
    def subject(self) -> str:
        """The user's id."""
        return self.account.sub

    def lines(self) -> Iterator[str]:
        """Yield what will be read, and written."""
        yield f"read what is stored of {self.account}: pictures, profile, activities, records"
        yield f"+ {self.file}, which this machine's user alone may read"

    def check(self) -> None:
        """Raise OperationError if the file is there already, or can't be made."""
        if self.file.exists():
            raise OperationError(f"{self.file} is there already.", "Give another one: FILE=ada.zip")
        if self.file.parent == folder(self.target):
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.file.parent.is_dir():
            raise OperationError(
                f"There is no folder {self.file.parent}.", "Make it, or give another file: FILE="
            )

    def execute(self, report: progress.Report) -> str:
        """Write it; what is there at the end is whole."""
        delete_old(self.target)
        unfinished = self.file.with_name(f"{self.file.name}.part")
        unfinished.unlink(missing_ok=True)
        try:
            handle = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as out:
                count = _write(self, out, report)
            unfinished.rename(self.file)
        except OSError as error:
            raise OperationError(
                f"{self.file} can't be written: {error.strerror}.",
                "Make room, or give another file: FILE=ada.zip",
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)
        return f"{count} files in a zip of {units.size(self.file.stat().st_size)}"


def export(target: Target, deployment: Deployment, account: Account, file: Path) -> Export:
    """Return the export of an account, to be carried out.

    Raises
    ------
    OperationError
        If nothing is known of that account.
    """
    if account.usernames or account.handles:
        return Export(target, deployment, account, file)
    stored = records.of_account(target, deployment, account, for_user=True)
    if any(record.stored for record in stored):
        return Export(target, deployment, account, file)
    raise OperationError(
        f"Nothing is stored of {account.sub}.", "Check the sub, as the user pool has it."
    )


def default_file(account: Account) -> Path:
    """Return the file's name where none is given."""
    return Path(f"{account.sub}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip")


def folder(target: Target) -> Path:
    """Return where the console keeps exports, for a day."""
    return target.state / "exports"


def delete_old(target: Target, account: Account | None = None) -> None:
    """Delete the console's exports of that account, and all that are older than a day."""
    for path in folder(target).glob("*.zip*"):
        is_theirs = account is not None and path.name.startswith(f"{account.sub}-")
        if is_theirs or time.time() - path.stat().st_mtime > _KEPT_SECONDS:
            path.unlink(missing_ok=True)


def _write(change: Export, out: Any, report: progress.Report) -> int:
    entries: list[dict[str, Any]] = []
    with (
        progress.timed(report, "Export") as detail,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for record in records.of_account(
            change.target, change.deployment, change.account, for_user=True
        ):
            entries.append(_add(archive, record))
            report(progress.Event("Export", "advanced", record.path, done=len(entries)))
        manifest = {
            "account": change.account.sub,
            "environment": change.target.env,
            "exported": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": entries,
        }
        archive.writestr("manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False))
        detail.append(f"{len(entries)} files")
    return len(entries) + 1


def _add(archive: zipfile.ZipFile, record: Record) -> dict[str, Any]:
    at = record.modified.astimezone(UTC)
    info = zipfile.ZipInfo(record.path, max(at.timetuple()[:6], _EARLIEST))
    # pictures are compressed already
    info.compress_type = zipfile.ZIP_STORED if record.stored else zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    digest, size = hashlib.sha256(), 0
    with archive.open(info, "w", force_zip64=True) as entry:
        for chunk in record.read():
            entry.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    facts = {name: value for name, value in record.facts.items() if value is not None}
    if record.stored and size < record.stored.size:
        facts["gone"] = True  # deleted while the others were read
    return {
        "file": record.path,
        "stored": at.isoformat(timespec="seconds"),
        "bytes": size,
        "sha256": digest.hexdigest(),
        **facts,
    }
