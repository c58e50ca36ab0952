"""Resample a part of a picture, by no more work than its result needs.

Pillow's resampler is scalar C: it is the larger part of the time of a picture of 1 to 2 MP.
"""

from __future__ import annotations

from math import ceil, floor

from PIL import Image

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels, not always whole."""

Size = tuple[int, int]
"""Width and height, in pixels."""

_LANCZOS = Image.Resampling.LANCZOS
_LANCZOS_SUPPORT = 3


def resized(picture: Image.Image, size: Size, box: Box) -> Image.Image:
    """Return the `box` of the picture, which has the shape of `size`, in the picture's mode."""
    across, down = (box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]
    if picture.mode == "YCbCr" and min(across, down) > 1 and size[0] % 2 == size[1] % 2 == 0:
        return _planes(picture, size, box)
    kernel = Image.Resampling.BICUBIC if min(across, down) < 1 else _LANCZOS
    # The gap averages blocks of pixels first if that leaves nearly twice the avatar's: 0.03 dB.
    return picture.resize(size, kernel, box, reducing_gap=1.9)


def _planes(picture: Image.Image, size: Size, box: Box) -> Image.Image:
    """Resize chroma to half of luma, as JPEG, WebP and AVIF will store it anyway."""
    half = size[0] // 2, size[1] // 2
    factor = int(min((box[2] - box[0]) / half[0], (box[3] - box[1]) / half[1]))
    left, top = floor(box[0]), floor(box[1])
    small = picture.reduce(factor, (left, top, ceil(box[2]), ceil(box[3])))
    part = (
        (box[0] - left) / factor,
        (box[1] - top) / factor,
        (box[2] - left) / factor,
        (box[3] - top) / factor,
    )
    chroma = [
        small.getchannel(name).resize(half, _LANCZOS, part).resize(size, Image.Resampling.NEAREST)
        for name in ("Cb", "Cr")
    ]
    return Image.merge("YCbCr", (_plane(picture.getchannel("Y"), size, box), *chroma))


def _plane(plane: Image.Image, size: Size, box: Box) -> Image.Image:
    """Resize one plane as four that lie side by side in the bands of one picture.

    A pixel's four bands are computed by vector instructions, a single one isn't: it saves a
    quarter of the time.
    """
    left, top, right, bottom = box
    reach = ceil(_LANCZOS_SUPPORT * (right - left) / size[0])
    if right - left > 3 * size[0]:  # the blocks of `resized` are averaged faster than this
        return plane.resize(size, _LANCZOS, box, reducing_gap=1.9)
    first, last = max(0, floor(left) - reach), min(plane.width, ceil(right) + reach)
    width = ceil((last - first) / 4)
    starts = [min(first + lane * width, last - width) for lane in range(4)]
    lanes = [plane.crop((start, 0, start + width, plane.height)) for start in starts]
    short = Image.merge("CMYK", lanes).resize((width, size[1]), _LANCZOS, (0, top, width, bottom))
    wide = Image.new("L", (last - first, size[1]))
    for start, lane in zip(starts, short.split(), strict=True):
        wide.paste(lane, (start - first, 0))

    height = ceil(size[1] / 4)
    starts = [min(lane * height, size[1] - height) for lane in range(4)]
    lanes = [wide.crop((0, start, wide.width, start + height)) for start in starts]
    narrow = Image.merge("CMYK", lanes).resize(
        (size[0], height), _LANCZOS, (left - first, 0, right - first, height)
    )
    whole = Image.new("L", size)
    for start, lane in zip(starts, narrow.split(), strict=True):
        whole.paste(lane, (0, start))
    return whole
