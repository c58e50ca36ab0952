"""Small pictures of originals, for operators to look at.

What was uploaded may be hostile, or have made something fail: only the formats that avatars are
made of are opened, up to 12 MiB and 40 million pixels.
"""

from __future__ import annotations

import io

from blurhash_rs import BlurhashDecodeError, blurhash_decode
from PIL import Image, ImageFilter, ImageOps

from console.operations.environments.aws_errors import MISSING, aws_errors, suppressed
from console.operations.environments.deployment import Deployment

EDGE = 320
MOST_BYTES = 12 * 2**20
MOST_PIXELS = 40_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")


def of_original(deployment: Deployment, key: str, version_id: str | None = None) -> bytes | None:
    """Return a small JPEG of an original, or None if there is none to be made."""
    version = {"VersionId": version_id} if version_id else {}
    with aws_errors(f"read the original {key}"), suppressed(MISSING):
        found = deployment.s3.get_object(
            Bucket=deployment.uploads_bucket,
            Key=key,
            **version,  # type: ignore[arg-type]
        )
        with found["Body"] as body:
            return of(body.read()) if found["ContentLength"] <= MOST_BYTES else None
    return None


def of(data: bytes) -> bytes | None:
    """Return a small JPEG of a picture, or None if it is none or too large."""
    if len(data) > MOST_BYTES:
        return None
    try:
        return _drawn(data)
    except Exception:  # decoders meet broken files with errors of every kind
        return None


def blurred(small: bytes) -> bytes:
    """Return one of these pictures so that colours are seen and nothing else."""
    with Image.open(io.BytesIO(small), formats=("JPEG",)) as picture:
        soft = picture.filter(ImageFilter.GaussianBlur(EDGE / 12))
    stream = io.BytesIO()
    soft.save(stream, "JPEG", quality=60)
    return stream.getvalue()


def of_placeholder(blurhash: str) -> bytes | None:
    """Return what is shown while an avatar loads, as a small PNG; None if it is no BlurHash."""
    stream = io.BytesIO()
    try:
        blurhash_decode(blurhash, 32, 32).save(stream, "PNG")
    except BlurhashDecodeError:
        return None
    return stream.getvalue()


def _drawn(data: bytes) -> bytes | None:
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            return None
        picture.thumbnail((EDGE, EDGE))
        upright = ImageOps.exif_transpose(picture).convert("RGBA")
    flat = Image.new("RGB", upright.size, "white")
    flat.paste(upright, mask=upright)
    stream = io.BytesIO()
    flat.save(stream, "JPEG", quality=80)
    return stream.getvalue()
