"""Profiles: reading one with its activities, and changing one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from profiles.database import Connection
from profiles.errors import ApiError

MAX_DISPLAY_NAME = 64
MAX_BIO = 1000
MAX_ACTIVITIES = 40

# Also the one place where the column's name becomes the API's.
_PROFILE = """
    u.uuid::text AS uuid, u.cognito_user_id AS cognito_user_uuid, u.handle, u.display_name,
    coalesce(u.bio, '') AS bio,
    (SELECT count(*) FROM activities a WHERE a.user_uuid = u.uuid) AS cruds_count,
    u.avatar_version
"""

_READ = f"""
    SELECT {_PROFILE}, (
        SELECT coalesce(json_agg(newest), '[]')
        FROM (
            SELECT a.uuid, u.handle, u.display_name, a.message, a.replies_count, a.reposts_count,
                   a.likes_count, a.reply_to_activity_uuid, a.expires_at, a.created_at
            FROM activities a
            WHERE a.user_uuid = u.uuid
            ORDER BY a.created_at DESC, a.uuid
            LIMIT {MAX_ACTIVITIES}
        ) newest
    ) AS activities
    FROM users u
    WHERE u.handle = %s
    ORDER BY u.created_at
    LIMIT 1
"""  # noqa: S608  only our own constants are put in  # nosec B608

_UPDATE = f"""
    UPDATE users u SET display_name = %s, bio = coalesce(%s, u.bio)
    WHERE u.cognito_user_id = %s
    RETURNING {_PROFILE}
"""  # noqa: S608  # nosec B608


@dataclass(frozen=True)
class Avatars:
    """Where avatars are served.

    Attributes
    ----------
    assets_url
        Without a trailing slash.
    variants
        What is made of each upload, such as ``512.jpg``, the largest first.
    """

    assets_url: str
    variants: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A valid change of a profile; a `bio` of None stays as it is."""

    display_name: str
    bio: str | None


def read(connection: Connection, handle: str, avatars: Avatars) -> dict[str, Any]:
    """Return the profile of `handle` and its newest activities, by one query.

    Parameters
    ----------
    handle
        With or without a leading ``@``.
    avatars
        Where avatars are served.

    Returns
    -------
    dict
        ``{"profile": …, "activities": […]}`` as in docs/contract.md.

    Raises
    ------
    ApiError
        404 ``not_found``.
    """
    handle = handle.removeprefix("@")
    # Postgres's text holds no NUL, so no handle does.
    row = None if "\0" in handle else connection.execute(_READ, (handle,)).fetchone()
    if row is None:
        raise ApiError(404, "not_found", "There is no user with this handle.")
    activities = row.pop("activities")
    return {"profile": _profile(row, avatars), "activities": activities}


def change(body: dict[str, Any]) -> Change:
    """Return what a request's `body` asks to change; without ``bio`` the bio stays as it is.

    Raises
    ------
    ApiError
        422 with a code for what is wrong with a field.
    """
    name = _text("display_name", body.get("display_name") or "", MAX_DISPLAY_NAME)
    if not any(character.isprintable() and not character.isspace() for character in name):
        raise ApiError(422, "display_name_blank", "The display name must not be blank.")
    bio = body.get("bio")
    return Change(name, None if bio is None else _text("bio", bio, MAX_BIO))


def update(connection: Connection, sub: str, change: Change, avatars: Avatars) -> dict[str, Any]:
    """Change the profile of the user `sub` and return it.

    Raises
    ------
    ApiError
        404 ``not_found`` if `sub` has no profile.
    """
    row = connection.execute(_UPDATE, (change.display_name, change.bio, sub)).fetchone()
    if row is None:
        raise ApiError(404, "not_found", "Your account has no profile yet.")
    return _profile(row, avatars)


def _text(field: str, value: object, limit: int) -> str:
    """Return `value` trimmed, if it is text that Postgres can hold and no longer than `limit`."""
    shown = field.replace("_", " ")
    if not isinstance(value, str):
        raise ApiError(422, f"{field}_invalid", f"The {shown} must be text.")
    value = value.strip()
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ApiError(422, f"{field}_invalid", f"The {shown} holds a character that is no text.")
    if len(value) > limit:
        raise ApiError(
            422,
            f"{field}_too_long",
            f"The {shown} may have {limit} characters; this one has {len(value)}.",
        )
    return value


def _profile(row: dict[str, Any], avatars: Avatars) -> dict[str, Any]:
    """Turn a row into the API's profile.

    A variant's address changes with each upload, so a new avatar shows at once, whatever caches
    still hold. Without a version, the stable address also answers for a missing avatar.
    """
    sub, version = row["cognito_user_uuid"], row.pop("avatar_version")
    folder = f"{avatars.assets_url}/variants/{sub}/{version}"
    urls = {name: f"{folder}/{name}" for name in avatars.variants} if version else {}
    shown = urls.get("512.jpg") or next(
        iter(urls.values()), f"{avatars.assets_url}/avatars/{sub}.jpg"
    )
    return {**row, "avatar_url": shown, "avatar_variants": urls}
