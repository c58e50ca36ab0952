"""Profiles: reading one with its activities, and changing one's own."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avatar_crop import Crop
from avatar_variants import POINTERS
from picture_kinds import BANNER, KINDS, Kind
from profiles import default_avatar, displayed
from profiles.database import Connection
from profiles.errors import ApiError

MAX_DISPLAY_NAME = 64
MAX_BIO = 1000
#: Code points per character that a person counts, on average; a family emoji has up to 11.
MAX_CODE_POINTS = 16
#: Combining marks on one character; Vietnamese and Hebrew need three or four.
MAX_MARKS = 8
MAX_ACTIVITIES = 40

_CURSOR = re.compile(r"(\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?\+00:00) ([0-9a-f-]{36})")

# Also the one place where the column's name becomes the API's. A user whose activities were not
# counted yet, in an older database, has no number.
_PROFILE = """
    u.uuid::text AS uuid, u.cognito_user_id AS cognito_user_uuid, u.handle, u.display_name,
    coalesce(u.bio, '') AS bio,
    coalesce(u.activities_count + (SELECT coalesce(sum(c.change), 0)::bigint
                                   FROM public.activity_changes c WHERE c.user_uuid = u.uuid),
             (SELECT count(*) FROM public.activities a WHERE a.user_uuid = u.uuid)) AS cruds_count,
    u.avatar_version, u.avatar_placeholder, u.banner_version, u.banner_placeholder
"""


def _utc(column: str) -> str:
    """Return SQL for a time as JSON has it, whatever the session's time zone."""
    return f"(to_jsonb({column}::timestamptz AT TIME ZONE 'UTC') #>> '{{}}') || '+00:00'"


# One row more than is shown tells whether there are more.
_READ = f"""
    SELECT {_PROFILE}, (
        SELECT coalesce(json_agg(newest), '[]')
        FROM (
            SELECT a.uuid, u.handle, u.display_name, a.message, a.replies_count, a.reposts_count,
                   a.likes_count, a.reply_to_activity_uuid,
                   {_utc("a.expires_at")} AS expires_at, {_utc("a.created_at")} AS created_at
            FROM public.activities a
            WHERE a.user_uuid = u.uuid
              AND (%(at)s::timestamptz IS NULL OR a.created_at <= %(at)s)
              AND (%(at)s::timestamptz IS NULL OR a.created_at < %(at)s OR a.uuid > %(uuid)s)
            ORDER BY a.created_at DESC, a.uuid
            LIMIT {MAX_ACTIVITIES + 1}
        ) newest
    ) AS activities
    FROM public.users u
    WHERE u.handle = %(handle)s
    ORDER BY u.created_at
    LIMIT 1
"""  # noqa: S608  only our own constants are put in  # nosec B608

_UPDATE = f"""
    UPDATE public.users u SET display_name = %s, bio = coalesce(%s, u.bio)
    WHERE u.cognito_user_id = %s
    RETURNING {_PROFILE}
"""  # noqa: S608  # nosec B608


@dataclass(frozen=True)
class Pictures:
    """Where avatars and banners are served.

    Attributes
    ----------
    assets_url
        Without a trailing slash.
    variants
        What is made of each upload of a kind, such as ``512.jpg``, the largest first.
    """

    assets_url: str
    variants: Mapping[Kind, tuple[str, ...]]


@dataclass(frozen=True)
class Change:
    """A valid change of a profile; a `bio` of None stays as it is."""

    display_name: str
    bio: str | None


@dataclass(frozen=True)
class After:
    """Where a page of activities begins: behind the one of this time and uuid."""

    created_at: str
    uuid: str

    @classmethod
    def decode(cls, cursor: str) -> After:
        """Return what `encode` made a cursor of.

        Raises
        ------
        ApiError
            400 ``invalid_request`` if it made no such cursor.
        """
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode(
                "ascii"
            )
        except ValueError:
            text = ""
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise ApiError(
                400, "invalid_request", "The cursor must be the `next_cursor` of an earlier answer."
            )
        return cls(match[1], match[2])

    def encode(self) -> str:
        """Return it as a cursor, which needs no quoting in a URL."""
        text = f"{self.created_at} {self.uuid}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(
    connection: Connection, handle: str, pictures: Pictures, after: After | None = None
) -> dict[str, Any]:
    """Return the profile of `handle` and a page of its activities, newest first, by one query.

    Parameters
    ----------
    handle
        With or without a leading ``@``.
    pictures
        Where avatars and banners are served.
    after
        Where the page begins; at the newest one if None.

    Returns
    -------
    dict
        ``{"profile": …, "activities": […], "next_cursor": …}`` as in docs/contract.md.

    Raises
    ------
    ApiError
        404 ``not_found``.
    """
    handle = handle.removeprefix("@")
    wanted = {
        "handle": handle,
        "at": after and after.created_at,
        "uuid": after and after.uuid,
    }
    # Postgres's text holds no NUL and no half of a character, so no handle does.
    row = None if _unstorable(handle) else connection.execute(_READ, wanted).fetchone()
    if row is None:
        raise ApiError(404, "not_found", "There is no user with this handle.")
    activities = row.pop("activities")
    shown = activities[:MAX_ACTIVITIES]
    more = len(activities) > len(shown)
    return {
        "profile": _profile(row, pictures),
        "activities": shown,
        "next_cursor": After(shown[-1]["created_at"], shown[-1]["uuid"]).encode() if more else None,
    }


def change(body: dict[str, Any]) -> Change:
    """Return what a request's `body` asks to change; without ``bio`` the bio stays as it is.

    Raises
    ------
    ApiError
        422 with a code for what is wrong with a field.
    """
    name = _text("display_name", body.get("display_name") or "", MAX_DISPLAY_NAME)
    if displayed.is_blank(name):
        raise ApiError(422, "display_name_blank", "The display name must not be blank.")
    if displayed.turns_text(name):
        raise ApiError(
            422,
            "display_name_invalid",
            "The display name must not hold line breaks, control characters, or characters that "
            "turn the direction of the text around it.",
        )
    bio = body.get("bio")
    return Change(name, None if bio is None else _text("bio", bio, MAX_BIO))


def update(connection: Connection, sub: str, change: Change, pictures: Pictures) -> dict[str, Any]:
    """Change the profile of the user `sub` and return it.

    Raises
    ------
    ApiError
        404 ``not_found`` if `sub` has no profile.
    """
    row = connection.execute(_UPDATE, (change.display_name, change.bio, sub)).fetchone()
    if row is None:
        raise ApiError(404, "not_found", "Your account has no profile yet.")
    return _profile(row, pictures)


def _unstorable(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


def _text(field: str, value: object, limit: int) -> str:
    shown = field.replace("_", " ")
    if not isinstance(value, str) or _unstorable(value):
        raise ApiError(422, f"{field}_invalid", f"The {shown} is not a text that can be kept.")
    value = value.strip()
    length = displayed.length(value) if len(value) <= limit * MAX_CODE_POINTS else len(value)
    if length > limit:
        raise ApiError(
            422,
            f"{field}_too_long",
            f"The {shown} may have {limit} characters; this one has {length}.",
        )
    if displayed.stacks_marks(value, MAX_MARKS):
        raise ApiError(
            422,
            f"{field}_invalid",
            f"The {shown} must not stack more than {MAX_MARKS} marks on one character.",
        )
    return value


def _profile(row: dict[str, Any], pictures: Pictures) -> dict[str, Any]:
    """Turn a row into the API's profile.

    A variant's address changes with each upload, so a new picture shows at once, whatever caches
    still hold. Without a version, the stable address also answers for a missing avatar; in the
    place of a missing banner there is the one that all have.
    """
    sub = row["cognito_user_uuid"]
    shown: dict[str, Any] = {}
    for kind in KINDS:
        shown |= _picture(kind, sub, row.pop(f"{kind.name}_version"), pictures)
    return {
        **row,
        **shown,
        "default": {
            "initials": default_avatar.initials(row["display_name"] or "", row["handle"] or ""),
            "hue": default_avatar.hue(sub),
        },
    }


def _picture(kind: Kind, sub: str, version: str | None, pictures: Pictures) -> dict[str, Any]:
    """Return what the profile says of one picture, by names that begin with its kind."""
    name = kind.folder + sub
    folder = f"{pictures.assets_url}/variants/{name}/{version}"
    urls = {each: f"{folder}/{each}" for each in pictures.variants[kind]} if version else {}
    default = "banners/banner.jpg" if kind == BANNER else f"avatars/{name}.jpg"
    crop = Crop.from_version(version or "")
    return {
        f"{kind.name}_url": urls.get(str(POINTERS[kind]))
        or next(iter(urls.values()), f"{pictures.assets_url}/{default}"),
        f"{kind.name}_variants": urls,
        f"{kind.name}_crop": crop and crop.parts,
    }
