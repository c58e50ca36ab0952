"""What the browser asks for: a picture's extension and its exact size."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_BODY_LENGTH = 1_024
"""Characters; a request has about 40."""

CONTENT_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
}
"""By file extension: the formats that the pipeline reads."""


class RequestError(Exception):
    """The request can't be served; code and message are for the caller."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True)
class UploadRequest:
    """A picture that may be uploaded: its content type, and its length in bytes."""

    content_type: str
    size: int


def read(body: str | None, is_base64: bool, max_bytes: int) -> UploadRequest:
    """Read and check a request's body; members other than the two are ignored.

    Raises
    ------
    RequestError
        400 or 413, and what to send instead.
    """
    members = _members(body or "", is_base64)
    extension, size = members.get("extension"), members.get("size")
    if not isinstance(extension, str):
        raise _invalid('extension must be a text such as "jpg".')
    # Browsers give the extension as it stands in the file's name: IMG_0001.JPG.
    content_type = CONTENT_TYPES.get(extension.removeprefix(".").lower())
    if content_type is None:
        allowed = ", ".join(CONTENT_TYPES)
        raise RequestError(400, "unsupported_extension", f"extension must be one of {allowed}.")
    if type(size) is not int or size < 1:  # True is an int too
        raise _invalid("size must be the picture's length in bytes, a whole number from 1.")
    if size > max_bytes:
        raise RequestError(413, "too_large", f"The picture may have at most {max_bytes} bytes.")
    return UploadRequest(content_type, size)


def _members(body: str, is_base64: bool) -> dict[str, Any]:
    if len(body) > MAX_BODY_LENGTH:
        raise _invalid(f"The body may have at most {MAX_BODY_LENGTH} characters.")
    try:
        if is_base64:
            body = base64.b64decode(body, validate=True).decode()
        members = json.loads(
            body, object_pairs_hook=_unique_members, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise _invalid(
            'The body must be a JSON object such as {"extension": "jpg", "size": 12345}.'
        )
    return members


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _invalid(message: str) -> RequestError:
    return RequestError(400, "invalid_request", message)
