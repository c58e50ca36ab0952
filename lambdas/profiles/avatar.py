"""Record in ``users`` which uploads a user's avatar and banner show, and what stands for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

import picture_kinds
from picture_kinds import BANNER, KINDS
from profiles.database import Connection

_KEY = re.compile(rf"avatars/((?:{BANNER.folder})?[^/\0]+)\.jpg")
# An ETag without its quotes, a crop
_VERSION = re.compile(r"[0-9a-f]{32}(-[0-9]+)?(-[0-9a-f]{15})?")
# A BlurHash of 4 x 3 components
_PLACEHOLDER = re.compile(r"L[0-9A-Za-z#$%*+,.:;=?@[\]^_{|}~-]{27}")


@dataclass(frozen=True)
class Shown:
    """What an avatar shows.

    Attributes
    ----------
    version
        That of the upload; None if there is none, or it is an operator's own.
    placeholder
        Its BlurHash; None without a version, and where it was made before there were any.
    """

    version: str | None = None
    placeholder: str | None = None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Shown:
        """Return what the metadata of the stable object say."""
        version, placeholder = metadata.get("version", ""), metadata.get("placeholder", "")
        if not _VERSION.fullmatch(version):
            return cls()
        return cls(version, placeholder if _PLACEHOLDER.fullmatch(placeholder) else None)


# Each kind has columns of its own.
_STATEMENTS = {
    kind: (
        f"SELECT {kind.name}_version AS version, {kind.name}_placeholder AS placeholder FROM users"  # noqa: S608  # nosec B608
        " WHERE cognito_user_id = %s FOR UPDATE",
        f"UPDATE users SET {kind.name}_version = %s, {kind.name}_placeholder = %s"  # noqa: S608  # nosec B608
        " WHERE cognito_user_id = %s",
    )
    for kind in KINDS
}

#: Returns what the avatar or banner of this name shows now.
CurrentlyShown = Callable[[str], Shown]


def names(message: str) -> Iterator[str]:
    """Yield what an SNS message that S3 sent is about, as names; none in S3's test event."""
    for record in json.loads(message).get("Records", []):
        if match := _KEY.fullmatch(unquote_plus(record["s3"]["object"]["key"])):
            yield match[1]


def record(connection: Connection, name: str, current: CurrentlyShown) -> str | None:
    """Record what the avatar or banner `name` shows now, and return its version.

    Messages come late, twice, and in any order; so none is believed. The row is locked first and
    S3 asked inside the lock: whichever message comes last reads the newest state, and two at once
    can't overtake each other. A name without a user is none of ours.
    """
    kind = picture_kinds.of(name)
    read, write = _STATEMENTS[kind]
    sub = name.removeprefix(kind.folder)
    with connection.transaction():
        row = connection.execute(read, (sub,)).fetchone()
        if row is None:
            return None
        shown = current(name)
        if shown != Shown(**row):
            connection.execute(write, (shown.version, shown.placeholder, sub))
    return shown.version
