"""Show what there is of a picture whose data end early, as browsers do.

Pillow raises once it runs out of data, but the rows that it has decoded are there. To tell them
from the others, the picture is loaded on two grounds: what differs is missing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from PIL import Image, ImageChops, ImageFile

MAX_PIXELS = 25_000_000
"""Of a picture as it is decoded: two of them are held at once."""

LEAST = 0.5
"""Share of the pixels that must be there."""

ERRORS = (OSError, SyntaxError, ValueError, IndexError, EOFError)
"""What Pillow raises on data that are damaged or end early."""

_ADAM7 = ((4, 0), (0, 4), (2, 0), (0, 2), (1, 0), (0, 1))
"""From how far left or above a missing pixel is repeated, from coarse to fine."""

_WHITE: dict[str, tuple[int, ...] | int] = {
    "1": 255,
    "L": 255,
    "LA": (255, 0),
    "RGB": (255, 255, 255),
    "RGBA": (255, 255, 255, 0),
    "YCbCr": (255, 128, 128),
    "CMYK": (0, 0, 0, 0),
}


_STEP = 256
"""Bytes given to the inflater at once: what they make before an error is lost."""


def mark_last_row(picture: ImageFile.ImageFile) -> None:
    """Have the last row tell if it was decoded: Pillow doesn't if a PNG has too few."""
    ground = Image.new(picture.mode, picture.size, None)
    bands = len(picture.getbands())
    mark = _MARK[:bands] if bands > 1 else _MARK[1]
    ground.paste(mark, (0, picture.height - 1, picture.width, picture.height))
    picture._im = ground.im


def has_last_row(picture: ImageFile.ImageFile) -> bool:
    """Tell if the last row isn't as it was marked, in a picture that is loaded."""
    row = picture.crop((0, picture.height - 1, picture.width, picture.height))
    extrema = row.getextrema()
    bands = extrema if len(row.getbands()) > 1 else (extrema,)
    marks = _MARK if len(bands) > 1 else _MARK[1:]
    return any(found != (mark, mark) for found, mark in zip(bands, marks, strict=False))


_MARK = (1, 254, 3, 5)
"""A colour that hardly any row has from end to end."""


def recompressed(chunks: memoryview, size: int) -> bytes:
    """Return a PNG's pixels as one chunk whose stream is whole, though it may end early.

    Parameters
    ----------
    chunks : memoryview
        One IDAT chunk after the other; the last may be cut.
    size : int
        How many bytes of rows are needed at most.
    """
    streams, position = [], 0
    while position + 8 < len(chunks):
        (length,) = struct.unpack_from(">I", chunks, position)
        streams.append(chunks[position + 8 : position + 8 + length])
        position += 12 + length
    stream = memoryview(b"".join(streams))
    inflater, deflater = zlib.decompressobj(-15), zlib.compressobj(1)  # no checksum is looked at
    made = []
    for at in range(2, len(stream), _STEP):
        try:
            rows = inflater.decompress(stream[at : at + _STEP], size)
        except zlib.error:
            break
        made.append(deflater.compress(rows))
        size -= len(rows)
        if inflater.eof or size <= 0:
            break
    made.append(deflater.flush())
    body = b"".join(made)
    return struct.pack(">I", len(body)) + b"IDAT" + body + bytes(4)


def load(picture: ImageFile.ImageFile, ground: int = 0) -> bool:
    """Load as much as there is on a ground of this level, and tell if that is all."""
    bands = len(picture.getbands())
    picture._im = Image.new(
        picture.mode, picture.size, (ground,) * bands if bands > 1 else ground
    ).im
    try:
        picture.load()
    except ERRORS:
        picture.tile = []  # or it would be tried again
        return False
    return True


def missing(
    opened: Callable[[int], ImageFile.ImageFile], picture: ImageFile.ImageFile
) -> Image.Image | None:
    """Return a mask of the pixels that weren't decoded, or None if all were.

    Parameters
    ----------
    opened : callable
        Opens the picture again, to be loaded on the ground that it is told.
    picture : ImageFile
        Loaded on a ground of 0.
    """
    again = opened(255)
    load(again, 255)
    mask = ImageChops.difference(_levels(picture), _levels(again)).point([0] + [255] * 255)
    return mask if mask.getbbox() else None


def _levels(picture: Image.Image) -> Image.Image:
    """Return one band, or a palette's indices."""
    if picture.mode == "P":
        return Image.frombytes("L", picture.size, picture.tobytes())
    return picture.convert("L") if picture.mode in ("1", "I;16") else picture.getchannel(0)


def fill(picture: Image.Image, mask: Image.Image, *, is_interlaced: bool = False) -> bool:
    """Put white where pixels are missing, and tell if enough are there.

    Of an interlaced picture, pixels that came earlier are repeated in the gaps first.
    """
    if is_interlaced:
        for across, down in _ADAM7:
            beside = ImageChops.offset(mask, across, down)
            known = ImageChops.subtract(mask, beside)
            picture.paste(ImageChops.offset(picture, across, down), mask=known)
            mask = ImageChops.darker(mask, beside)
    picture.paste(_WHITE[picture.mode], mask=mask)
    pixels = picture.width * picture.height
    return mask.histogram()[255] <= pixels * (1 - LEAST)
