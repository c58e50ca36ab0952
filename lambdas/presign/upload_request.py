"""What the browser asks for: a picture's kind, extension or media type, size, and crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import http_api
import picture_kinds
from avatar_crop import Crop
from picture_kinds import Kind

CONTENT_TYPES = {
    **dict.fromkeys(
        ("jpg", "jpeg", "jpe", "jfif", "jfi", "jif", "pjpeg", "pjp", "mpo"), "image/jpeg"
    ),
    **dict.fromkeys(("png", "apng"), "image/png"),
    "webp": "image/webp",
    "gif": "image/gif",
    **dict.fromkeys(("avif", "avifs"), "image/avif"),
}
"""By file extension: the formats that the pipeline reads."""

_ALIASES = {
    **{content_type: content_type for content_type in CONTENT_TYPES.values()},
    **dict.fromkeys(
        ("image/jpg", "image/pjpeg", "image/jpe", "image/jfif", "image/mpo"), "image/jpeg"
    ),
    **dict.fromkeys(("image/x-png", "image/apng", "image/vnd.mozilla.apng"), "image/png"),
    "image/x-webp": "image/webp",
    "image/avif-sequence": "image/avif",
}
"""By media type, as browsers and croppers name it."""

_EXPORT_PHOTO = "{0} can't be used. Export the photo as JPEG and send that one."
_SAVE_AS = "{0} can't be used. Save the picture as JPEG or PNG and send that one."
_ADVICE = {
    name: sentence.format(kind)
    for kind, sentence, names in (
        (
            "HEIC pictures",
            _EXPORT_PHOTO,
            "heic heif hif heics heifs avci image/heic image/heif image/heic-sequence "
            "image/heif-sequence",
        ),
        (
            "Camera RAW files",
            _EXPORT_PHOTO,
            "dng cr2 cr3 crw nef nrw arw sr2 raf orf rw2 pef srw raw rwl 3fr x3f image/dng "
            "image/x-adobe-dng image/x-canon-cr2 image/x-canon-cr3 image/x-nikon-nef "
            "image/x-sony-arw image/x-fuji-raf image/x-olympus-orf image/x-panasonic-rw2",
        ),
        ("TIFF pictures", _SAVE_AS, "tif tiff image/tiff image/x-tiff"),
        ("BMP pictures", _SAVE_AS, "bmp dib image/bmp image/x-bmp image/x-ms-bmp"),
        ("JPEG XL pictures", _SAVE_AS, "jxl image/jxl"),
        ("JPEG 2000 pictures", _SAVE_AS, "jp2 j2k jpf jpx jpm image/jp2 image/jpx image/jpm"),
        ("JPEG XR pictures", _SAVE_AS, "jxr wdp hdp image/jxr image/vnd.ms-photo"),
        ("Icons", _SAVE_AS, "ico cur image/x-icon image/vnd.microsoft.icon"),
        ("Photoshop files", _SAVE_AS, "psd psb image/vnd.adobe.photoshop"),
        ("PDF documents", _SAVE_AS, "pdf application/pdf"),
        (
            "SVG drawings",
            "{0} can't be used. Export the drawing as PNG and send that one.",
            "svg svgz image/svg+xml",
        ),
        (
            "Videos",
            "{0} can't be used. Send a still picture, as JPEG or PNG.",
            "mp4 m4v mov webm mkv avi 3gp video/mp4 video/quicktime video/webm video/3gpp",
        ),
    )
    for name in names.split()
}
"""By extension and by media type: what to do with a format that isn't taken."""


class RequestError(Exception):
    """The request can't be served; code and message are for the caller."""

    def __init__(self, status: int, code: str, message: str, **details: int) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"code": code, "message": message, **details}


@dataclass(frozen=True)
class UploadRequest:
    """A picture that may be uploaded: content type, length in bytes, crop, and kind."""

    content_type: str
    size: int
    crop: Crop | None
    kind: Kind


def read(body: str | None, is_base64: bool, max_bytes: int) -> UploadRequest:
    """Read and check a request's body; members other than the five are ignored.

    Raises
    ------
    RequestError
        400 or 413, and what to send instead.
    """
    try:
        example = '{"extension": "jpg", "size": 12345}'
        members = http_api.json_object(body or "", is_base64, example)
    except ValueError as error:
        raise _invalid(str(error)) from error
    content_type = _content_type(members.get("extension"), members.get("type"))
    size = members.get("size")
    if type(size) is not int or size < 1:  # True is an int too
        raise _invalid("size must be the picture's length in bytes, a whole number from 1.")
    if size > max_bytes:
        raise RequestError(
            413,
            "too_large",
            f"The picture may have at most {_megabytes(max_bytes)}. "
            "Scale it down, or save it in a lower quality.",
            max_size=max_bytes,
        )
    return UploadRequest(content_type, size, _crop(members.get("crop")), _kind(members))


def _crop(value: object) -> Crop | None:
    try:
        return None if value is None else Crop.from_request(value)
    except ValueError as error:
        raise _invalid(str(error)) from error


def _kind(members: dict[str, Any]) -> Kind:
    try:
        return picture_kinds.from_request(members.get("kind"))
    except ValueError as error:
        raise _invalid(str(error)) from error


def _content_type(extension: object, media_type: object) -> str:
    """Return what either of the two means: a Blob has no name, some files have no type."""
    if not isinstance(media_type, str | None):
        raise _invalid('type must be a text such as "image/jpeg".')
    if not isinstance(extension, str) and (extension is not None or not media_type):
        raise _invalid(
            'extension must be a text such as "jpg"; '
            'without one, give the media type instead: "type": "image/jpeg".'
        )
    # Browsers give the extension as it stands in the file's name: IMG_0001.JPG.
    extension = (extension or "").removeprefix(".").lower()
    media_type = (media_type or "").partition(";")[0].strip().lower()
    content_type = (
        _ALIASES.get(media_type) or CONTENT_TYPES.get(extension) or _ALIASES.get(extension)
    )
    if content_type:
        return content_type
    advice = _ADVICE.get(extension) or _ADVICE.get(media_type)
    if media_type and not extension:
        allowed = ", ".join(sorted(set(CONTENT_TYPES.values())))
        raise RequestError(400, "unsupported_type", advice or f"type must be one of {allowed}.")
    allowed = ", ".join(CONTENT_TYPES)
    raise RequestError(
        400, "unsupported_extension", advice or f"extension must be one of {allowed}{_OR_TYPE}."
    )


_OR_TYPE = '; or give the media type instead, such as "type": "image/jpeg"'


def _megabytes(size: int) -> str:
    """Return a size for people, rounded down: 25 MB, 2.5 MB, 100 KB."""
    if size < 2**20:
        return f"{size // 1024} KB"
    return f"{size * 10 // 2**20 / 10:g} MB"


def _invalid(message: str) -> RequestError:
    return RequestError(400, "invalid_request", message)
