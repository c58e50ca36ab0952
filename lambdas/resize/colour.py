"""Colour: embedded ICC profiles to sRGB, and transparency onto white."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

from PIL import Image, ImageChops

from resize.header import MAX_PROFILE_BYTES

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

_INVISIBLE = 2
"""Levels out of 255: a profile that moves no colour by more is treated as sRGB itself."""


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert to RGB, or RGBA if there is transparency, in the colours of sRGB.

    Parameters
    ----------
    picture : Image
        Of any mode that can be resampled.
    profile : bytes or None
        Its ICC profile. One that is broken, or made for another number of channels, is ignored,
        as browsers do.
    """
    alpha = picture.getchannel("A") if picture.mode in ("RGBA", "LA") else None
    if alpha:
        picture = picture.convert(picture.mode[:-1])
    elif picture.mode in ("YCbCr", "RGBX"):
        picture = picture.convert("RGB")
    transform = None
    if profile and len(profile) <= MAX_PROFILE_BYTES:
        transform = _transform(profile, picture.mode)
    picture = transform.apply(picture) if transform else picture.convert("RGB")
    if alpha:
        picture.putalpha(alpha)
    return picture


def on_white(picture: Image.Image) -> Image.Image:
    """Return the picture without transparency, white where it was."""
    if picture.mode != "RGBA":
        return picture
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


@functools.lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str) -> ImageCmsTransform | None:
    from PIL import ImageCms  # most pictures need none: 7 ms less of cold start

    try:
        transform = ImageCms.ImageCmsTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
        )
    except (OSError, ValueError):
        return None
    if mode == "RGB" and _is_identity(transform):
        return None
    return transform


def _is_identity(transform: ImageCmsTransform) -> bool:
    """Try the transform on a lattice of 4096 colours."""
    ramp = Image.linear_gradient("L").resize((1, 16)).tobytes()
    lattice = bytes(level for r in ramp for g in ramp for b in ramp for level in (r, g, b))
    colours = Image.frombytes("RGB", (64, 64), lattice)
    moved = ImageChops.difference(colours, transform.apply(colours))
    return max(moved.tobytes()) <= _INVISIBLE
