"""Synthetic photographs: overlapping textured shapes with the statistics of natural pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw


def _texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Return noise whose power falls with frequency, as in photographs; about -1 to 1."""
    total = np.zeros((height, width), np.float32)
    for octave in range(9):
        cell = 2**octave
        rows, columns = height // cell + 2, width // cell + 2
        noise = Image.fromarray(rng.standard_normal((rows, columns), np.float32), "F")
        size = (columns * cell, rows * cell)
        layer = np.asarray(noise.resize(size, Image.Resampling.BILINEAR) if cell > 1 else noise)
        total += layer[:height, :width] * np.float32(cell**0.5)
    total /= np.abs(total).max()
    return total


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return an RGB picture with edges at all scales, texture, soft light and sensor noise.

    This is the "dead leaves" model: discs whose radii follow a power law cover one another.

    Parameters
    ----------
    width, height : int
        Size in pixels.
    seed : int
        The same seed gives the same picture.
    """
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(picture)
    long = max(width, height)
    count = 4000
    # Radii from 1/300 to 1/4 of the long side, density r**-3, largest first.
    low, high = long / 300, long / 4
    radii = np.sort(1 / np.sqrt(rng.uniform(1 / high**2, 1 / low**2, count)))[::-1]
    centres = rng.uniform(0, 1, (count, 2)) * (width, height)
    colours = np.clip(rng.normal(120, 45, (count, 1)) + rng.normal(0, 25, (count, 3)), 8, 248)
    for radius, (x, y), colour in zip(radii, centres, colours, strict=True):
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, fill=tuple(int(level) for level in colour))
    texture = _texture(rng, height, width) * 60
    pixels = np.asarray(picture).astype(np.float32)
    pixels += texture[:, :, None]
    pixels += rng.standard_normal((height, width), np.float32)[:, :, None] * 2.5
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def mosaic(width: int, height: int) -> Image.Image:
    """Return an RGB picture tiled from the portrait of Grace Hopper that matplotlib brings."""
    from matplotlib import cbook

    portrait = Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    columns = 4 if width < 2000 else 8
    size = (width // columns, portrait.height * (width // columns) // portrait.width)
    tile = portrait.resize(size, Image.Resampling.LANCZOS)
    tiles = (tile, tile.transpose(Image.Transpose.FLIP_LEFT_RIGHT), tile.rotate(180))
    picture = Image.new("RGB", (width, height))
    for row in range(0, height, tile.height):
        for column in range(0, width, tile.width):
            picture.paste(tiles[(row // tile.height + column // tile.width) % 3], (column, row))
    return picture
