"""Fetch from the CDN, every minute, what must be there: what S3 refuses it, everybody misses.

Where the bucket's policy no longer admits the distribution S3 answers 403, as for a picture that
isn't there, and the distribution 404 with the default avatar, as for a user who has none.
"""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import quote, urlsplit

import env_settings
import json_log

_SECONDS = 3

LOG = json_log.logger("probe")
_URL = urlsplit(env_settings.text("ASSETS_URL", pattern=r"https?://[^/\s]+"))
_KEYS = env_settings.texts("PROBED_KEYS")


class NotServedError(Exception):
    """The CDN doesn't serve what must be there."""


@json_log.with_request_id
def handler(_event: Any, _context: json_log.LambdaContext) -> None:
    """Fetch each of the objects.

    Raises
    ------
    NotServedError
        If one is not served as itself.
    """
    wrong, bodies = {}, set()
    for key in _KEYS:
        try:
            status, body = _fetch(key)
        except (OSError, http.client.HTTPException) as error:
            wrong[key] = repr(error)
            continue
        if status != 200:
            wrong[key] = f"status {status}"
        elif body in bodies:  # each has its own
            wrong[key] = "another picture in its place"
        bodies.add(body)
    LOG.info("probed", extra={"fields": {"objects": len(_KEYS), "not_served": wrong}})
    if wrong:
        raise NotServedError("; ".join(f"{key}: {what}" for key, what in wrong.items()))


def _fetch(key: str) -> tuple[int, bytes]:
    host = _URL.hostname or ""
    # such names are of the machine itself (RFC 6761), which Python's resolver doesn't know
    place = "127.0.0.1" if host.endswith(".localhost") else host
    kind = http.client.HTTPSConnection if _URL.scheme == "https" else http.client.HTTPConnection
    connection = kind(place, _URL.port, timeout=_SECONDS)
    try:
        connection.request("GET", f"/{quote(key)}", headers={"Host": _URL.netloc})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
