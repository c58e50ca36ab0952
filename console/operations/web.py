"""Plain HTTP requests to what users see: the API, presigned URLs, the CDN."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3

from console.operations.errors import OperationError

_TIMEOUT = urllib3.Timeout(connect=5, read=60)
_pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=False, maxsize=16)


@dataclass(frozen=True)
class Response:
    """An HTTP response, whatever its status; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body parsed as JSON, or None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def request(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Response:
    """Send one request, following no redirect and trying no second time.

    Raises
    ------
    OperationError
        If no response comes.
    """
    parts = urlsplit(url)
    sent = dict(headers or {})
    # Browsers resolve *.localhost by themselves (RFC 6761), Python's resolver doesn't
    if parts.hostname and parts.hostname.endswith(".localhost"):
        sent["Host"] = parts.netloc
        url = parts._replace(netloc=f"127.0.0.1:{parts.port or 80}").geturl()
    try:
        answer = _pool.request(method, url, headers=sent, body=body)
    except urllib3.exceptions.HTTPError as error:
        raise OperationError(
            f"{parts.scheme}://{parts.netloc} did not answer ({type(error).__name__}).",
            "Check that it is up: `make status`.",
        ) from error
    return Response(
        answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data
    )
