"""Turn the bytes that a user sent into avatars or banners, or say why that can't be done."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from math import ceil
from typing import Any

from blurhash_rs import blurhash_encode
from PIL import Image

import avatar_crop
from avatar_crop import Crop
from avatar_variants import Variant
from resize.colour import on_ground, to_srgb
from resize.decode import Box, decode, is_visible
from resize.header import Header, read_header
from resize.rejection import REJECTIONS, AvatarRejected
from resize.resample import Size, resized

__all__ = ["REJECTIONS", "AvatarRejected", "placeholder", "render", "render_avatar"]

_SAVE: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "jpg": ("JPEG", {"quality": 80}),
    "webp": ("WEBP", {"quality": 75, "method": 2}),
    "avif": ("AVIF", {"quality": 60, "speed": 8, "max_threads": 1}),
}
"""Chosen by bytes, time and PSNR: see docs/image-engine.md."""

_UPRIGHT: Mapping[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def render_avatar(data: bytes, size: int = 512) -> bytes:
    """Render the avatar as a JPEG of quality 80.

    Parameters
    ----------
    data : bytes
        A JPEG, PNG, WebP, GIF or AVIF file, from anyone.
    size : int
        Side of the square, in pixels.

    Raises
    ------
    AvatarRejected
        If the bytes aren't a picture that is accepted.
    """
    ((_, picture),) = render(data, [Variant(size, "jpg")])
    return picture


def render(
    data: bytes, variants: Collection[Variant], crop: Crop | None = None
) -> Iterator[tuple[Variant, bytes]]:
    """Render variants one after the other from one decode, in the order in which they are given.

    The picture is turned upright, cropped to its user's choice or its centre, converted to sRGB
    and freed of metadata. Transparency is kept, and flattened in JPEG: on white, or on a
    dark grey if white would hide the picture.

    Parameters
    ----------
    data : bytes
        A JPEG, PNG, WebP, GIF or AVIF file, from anyone.
    variants : collection of Variant
        At least one, all of one shape.
    crop : Crop, optional
        What is shown of it; as much of its centre as has the variants' shape if None.

    Yields
    ------
    tuple of Variant and bytes
        The variant and its file.

    Raises
    ------
    AvatarRejected
        Before the first variant, if the bytes aren't a picture that is accepted.
    """
    largest = max(variants, key=lambda variant: variant.size)
    pictures = {largest.size: _shown(data, largest, crop)}
    for variant in variants:
        picture = pictures.get(variant.size)
        if picture is None:
            larger = pictures[min(size for size in pictures if size > variant.size)]
            picture = pictures[variant.size] = larger.resize(
                (variant.size, variant.height), Image.Resampling.LANCZOS, reducing_gap=2
            )
        yield variant, _saved(picture, variant.format)


def placeholder(avatar: bytes) -> str:
    """Return what stands for an avatar while it loads: its BlurHash in 4 by 3 components.

    Parameters
    ----------
    avatar : bytes
        A JPEG that was rendered.
    """
    with Image.open(io.BytesIO(avatar)) as picture:
        picture.draft("RGB", (64, 64))  # the decoder skips what a hash doesn't show
        return blurhash_encode(picture, 4, 3)


def _saved(picture: Image.Image, name: str) -> bytes:
    codec, options = _SAVE[name]
    if name == "jpg":
        picture = on_ground(picture)
    elif picture.mode == "YCbCr":
        picture = picture.convert("RGB")
    file = io.BytesIO()
    picture.save(file, codec, **options)
    return file.getvalue()


def _shown(data: bytes, variant: Variant, crop: Crop | None) -> Image.Image:
    """Return what is shown, upright and in sRGB, though in YCbCr if it came in that."""
    header = read_header(data)
    turns = header.orientation >= 5
    size = (variant.height, variant.size) if turns else (variant.size, variant.height)
    chosen = _as_stored(crop, header, variant.ratio) if crop else None
    whole: Box = (0, 0, header.width, header.height)
    picture, shown = decode(header, min(size), min(_sides(chosen or _centre(whole, size))))
    box = _scaled(chosen, header, shown) if chosen else _centre(shown, size)
    width, height = _sides(box)
    # or conversions would take memory for what isn't shown, and what is beside a crop shine in
    if chosen or shown[2] * shown[3] > 2 * width * height:
        picture = picture.crop((int(box[0]), int(box[1]), ceil(box[2]), ceil(box[3])))
        left, top = box[0] % 1, box[1] % 1
        box = (left, top, left + width, top + height)
    part = resized(picture, size, box)
    del picture
    if not is_visible(part):
        raise AvatarRejected("nothing_visible")
    if part.mode != "YCbCr" or header.profile:
        part = to_srgb(part, header.profile, header.hdr)
    part.info.clear()  # or an ICC profile would be saved
    turn = _UPRIGHT.get(header.orientation)
    return part if turn is None else part.transpose(turn)


def _sides(box: Box) -> tuple[float, float]:
    """Return the width and height of a box."""
    return box[2] - box[0], box[3] - box[1]


def _centre(box: Box, size: Size) -> Box:
    """Return as much of a box's centre as has the shape of `size`."""
    left, top, right, bottom = box
    width = min(right - left, (bottom - top) * size[0] / size[1])
    height = min(bottom - top, (right - left) * size[1] / size[0])
    left, top = left + (right - left - width) / 2, top + (bottom - top - height) / 2
    return left, top, left + width, top + height


def _as_stored(crop: Crop, header: Header, ratio: int) -> avatar_crop.Box:
    """Return the crop's box in the pixels of the file, which is turned only afterwards."""
    turns = header.orientation >= 5
    width, height = header.width, header.height
    left, top, right, bottom = crop.box(*((height, width) if turns else (width, height)), ratio)
    if turns:
        left, top, right, bottom = top, left, bottom, right
    if header.orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if header.orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def _scaled(box: Box, header: Header, shown: Box) -> Box:
    """Return the box in a picture that was decoded smaller, of which `shown` is the whole."""
    across, down = shown[2] / header.width, shown[3] / header.height
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down
