"""Why a file can't become an avatar: stable codes, each with a sentence for the user."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REJECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "empty": "The file is empty. Choose another picture.",
        "unsupported_format": (
            "This file is not a picture that can be used. Send a JPEG, PNG, WebP, GIF or AVIF."
        ),
        "unsupported_heic": (
            "HEIC pictures can't be used. Export the photo as JPEG and send that one."
        ),
        "too_many_bytes": "The file is too large. Save the picture smaller and send that one.",
        "too_many_pixels": "The picture has too many pixels. Scale it down and send that one.",
        "too_complex": (
            "The file is built in an unusual way. Open the picture, save a copy and send that one."
        ),
        "nothing_visible": (
            "The picture is transparent all over. Choose one on which something can be seen."
        ),
        "damaged": (
            "The file is damaged or incomplete. Open the picture, save a copy and send that one."
        ),
        "reserved_name": (
            "Names that begin with _ are reserved. Give the file another name and send it again."
        ),
        "too_many_uploads": "Too many pictures were sent. Wait a while, then send it again.",
        "locked": "This account may not send pictures. Ask the operators of this service why.",
        "not_allowed": "This picture is not allowed here. Choose another one.",
        "held": (
            "The picture is looked at before it is shown. Until then the one that was there stays."
        ),
        "name_too_long": "The file's name is too long. Give it a shorter one and send it again.",
    }
)
"""Every code a rejection can carry, with the sentence for the user."""

OF_THE_PICTURE = REJECTIONS.keys() - {"too_many_uploads", "locked", "not_allowed", "held"}
"""Codes that another engine, or other settings of it, may not give any more."""


class AvatarRejected(Exception):
    """The file can never become an avatar: a retry would end the same way.

    Attributes
    ----------
    code : str
        A key of `REJECTIONS`; stable, for programs.
    message : str
        A sentence that may be shown to the user.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        self.message = REJECTIONS[code]
        super().__init__(f"{code}: {self.message}")


class UploadHeld(AvatarRejected):
    """The picture is good, and is not shown before an operator has allowed it."""

    def __init__(self) -> None:
        super().__init__("held")
