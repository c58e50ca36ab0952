"""What happened to an avatar, from presigning to the CDN."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from console import units
from console.operations import web
from console.operations.avatars.versions import Version
from console.operations.environments import logs
from console.operations.environments.deployment import Deployment

_LINES = 200


@dataclass(frozen=True)
class TimelineEvent:
    """One thing that happened to an avatar.

    Attributes
    ----------
    at
        When, in seconds since 1970.
    where
        The function, S3 or CDN.
    version
        Which upload it was about; empty where that is not known.
    seconds
        How long it took.
    """

    at: float
    where: str
    what: str
    version: str = ""
    detail: str = ""
    seconds: float | None = None


def timeline(
    deployment: Deployment, name: str, stored: Sequence[Version], since: float
) -> list[TimelineEvent]:
    """Return what happened to an avatar since a time, the newest first, from presign to CDN.

    Of more than 200 lines of the functions, the newest.

    Parameters
    ----------
    stored
        Its originals.
    """
    lines = logs.newest(deployment, sorted(deployment.function_names), [name], since, _LINES)
    found = [
        TimelineEvent(
            line.time,
            line.function,
            str(line.fields.get("message") or ""),
            str(line.fields.get("version") or ""),
            str(line.fields.get("code") or ""),
            None if line.fields.get("ms") is None else line.fields["ms"] / 1000,
        )
        for line in lines
        if line.fields
    ]
    found += [
        TimelineEvent(
            item.uploaded.timestamp(), "S3", "original stored", item.version, units.size(item.size)
        )
        for item in stored
        if item.uploaded.timestamp() >= since
    ]
    return sorted([*found, served(deployment, name)], key=lambda item: -item.at)


def served(deployment: Deployment, name: str) -> TimelineEvent:
    """Ask the CDN for the avatar, as a browser does, and say what it serves now."""
    answer = web.request("GET", f"{deployment.assets_url}/avatars/{quote(name)}.jpg")
    facts = [answer.headers.get("x-cache", ""), units.size(len(answer.body))]
    if "age" in answer.headers:
        facts.append(f"cached for {answer.headers['age']} s")
    what = "avatar served" if answer.status == 200 else f"answers {answer.status}"
    if "x-amz-meta-removed" in answer.headers:
        what = "default served, as the avatar was taken down"
    return TimelineEvent(
        time.time(),
        "CDN",
        what,
        answer.headers.get("x-amz-meta-version", ""),
        ", ".join(fact for fact in facts if fact),
    )
