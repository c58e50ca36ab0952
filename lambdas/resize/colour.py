"""Colour: embedded ICC profiles to sRGB, HDR too, and transparency onto a ground."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

from PIL import Image, ImageChops

from resize import cicp
from resize.header import MAX_PROFILE_BYTES

if TYPE_CHECKING:
    from PIL import ImageFilter
    from PIL.ImageCms import ImageCmsTransform

_INVISIBLE = 2
"""Levels out of 255: a profile that moves no colour by more is treated as sRGB itself."""

_LIGHT = 224
"""From this level on, a pixel can hardly be told from white."""

_DARK = (32, 32, 32)


def to_srgb(
    picture: Image.Image, profile: bytes | None, hdr: tuple[int, int] | None = None
) -> Image.Image:
    """Convert to RGB, or RGBA if there is transparency, in the colours of sRGB.

    Parameters
    ----------
    picture : Image
        Of any mode that can be resampled.
    profile : bytes or None
        Its ICC profile. One that is broken, or made for another number of channels, is ignored,
        as browsers do.
    hdr : tuple of int or None
        Primaries and transfer function of an HDR picture, in the numbers of ITU-T H.273.
    """
    alpha = picture.getchannel("A") if picture.mode in ("RGBA", "LA") else None
    if alpha:
        picture = picture.convert(picture.mode[:-1])
    elif picture.mode in ("YCbCr", "RGBX"):
        picture = picture.convert("RGB")
    if hdr:
        picture = picture.convert("RGB").filter(_hdr_filter(*hdr))
    transform = None
    if profile and len(profile) <= MAX_PROFILE_BYTES:
        transform = _transform(profile, picture.mode)
    picture = transform.apply(picture) if transform else picture.convert("RGB")
    if alpha:
        picture.putalpha(alpha)
    return picture


def on_ground(picture: Image.Image) -> Image.Image:
    """Return the picture without transparency: white where it was, or dark behind a white logo."""
    if picture.mode != "RGBA":
        return picture
    opaque = picture.getchannel("A").point([0] * 128 + [255] * 128)
    levels = picture.convert("L").histogram(opaque)
    shown, pixels = sum(levels), picture.width * picture.height
    is_lost_on_white = 0 < shown < 0.9 * pixels and sum(levels[:_LIGHT]) < 0.1 * shown
    ground = Image.new("RGB", picture.size, _DARK if is_lost_on_white else "white")
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


@functools.lru_cache(maxsize=2)
def _hdr_filter(primaries: int, transfer: int) -> ImageFilter.Color3DLUT:
    from PIL import ImageFilter

    return ImageFilter.Color3DLUT(cicp.HDR_NODES, cicp.hdr_table(primaries, transfer))


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
