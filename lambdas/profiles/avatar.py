"""Record in ``users`` which upload a user's avatar shows, and what stands for it meanwhile."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from profiles.database import Connection

_KEY = re.compile(r"avatars/([^/\0]+)\.jpg")
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


#: Returns what the avatar of this name shows now.
CurrentlyShown = Callable[[str], Shown]


def names(message: str) -> Iterator[str]:
    """Yield the avatars' names in an SNS message that S3 sent; none in S3's test event."""
    for record in json.loads(message).get("Records", []):
        if match := _KEY.fullmatch(unquote_plus(record["s3"]["object"]["key"])):
            yield match[1]


def record(connection: Connection, name: str, current: CurrentlyShown) -> str | None:
    """Record what the avatar `name` shows now, and return its version.

    Messages come late, twice, and in any order; so none is believed. The row is locked first and
    S3 asked inside the lock: whichever message comes last reads the newest state, and two at once
    can't overtake each other. A name without a user is none of ours.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT avatar_version AS version, avatar_placeholder AS placeholder FROM users"
            " WHERE cognito_user_id = %s FOR UPDATE",
            (name,),
        ).fetchone()
        if row is None:
            return None
        shown = current(name)
        if shown != Shown(**row):
            connection.execute(
                "UPDATE users SET avatar_version = %s, avatar_placeholder = %s"
                " WHERE cognito_user_id = %s",
                (shown.version, shown.placeholder, name),
            )
    return shown.version
