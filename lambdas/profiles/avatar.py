"""Record in ``users.avatar_version`` which upload a user's avatar shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus

from profiles.database import Connection

_KEY = re.compile(r"avatars/([^/\0]+)\.jpg")
_VERSION = re.compile(
    r"[0-9a-f]{32}(-[0-9]+)?(-[0-9a-f]{15})?"
)  # an ETag without its quotes, a crop

#: Returns the version that the avatar of this name shows now; None if there is none.
CurrentVersion = Callable[[str], str | None]


def names(message: str) -> Iterator[str]:
    """Yield the avatars' names in an SNS message that S3 sent; none in S3's test event."""
    for record in json.loads(message).get("Records", []):
        if match := _KEY.fullmatch(unquote_plus(record["s3"]["object"]["key"])):
            yield match[1]


def record(connection: Connection, name: str, current: CurrentVersion) -> str | None:
    """Record the version that the avatar `name` shows now, and return it.

    Messages come late, twice, and in any order; so none is believed. The row is locked first and
    S3 asked inside the lock: whichever message comes last reads the newest state, and two at once
    can't overtake each other. A name without a user is none of ours.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT avatar_version FROM users WHERE cognito_user_id = %s FOR UPDATE", (name,)
        ).fetchone()
        if row is None:
            return None
        version = current(name)
        if version != row["avatar_version"]:
            connection.execute(
                "UPDATE users SET avatar_version = %s WHERE cognito_user_id = %s", (version, name)
            )
    return version


def version_in(metadata: dict[str, Any]) -> str | None:
    """Return the version in an object's metadata; None where an operator's own upload has none."""
    version = metadata.get("version", "")
    return version if _VERSION.fullmatch(version) else None
