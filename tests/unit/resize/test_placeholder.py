"""What stands for an avatar while it loads looks like it, and is taken by who records it."""

from __future__ import annotations

import numpy as np
import pytest
from blurhash_rs import blurhash_decode
from PIL import Image

from avatar_crop import Crop
from avatar_variants import Variant
from profiles.avatar import Shown
from resize.image import placeholder, render
from tests.unit.resize import pictures

SIDE = 16


def blurred(picture: Image.Image, crop: Crop | None = None, kind: str = "PNG") -> Image.Image:
    """Return what a browser shows for the picture's avatar."""
    data = pictures.encoded(picture, kind)
    ((_, avatar),) = render(data, [Variant(512, "jpg")], crop)
    found = placeholder(avatar)
    assert Shown.from_metadata({"version": "0" * 32, "placeholder": found}).placeholder == found
    return blurhash_decode(found, SIDE, SIDE)


def difference(shown: Image.Image, expected: Image.Image) -> float:
    """Return by how many of 255 levels two pictures differ on average."""
    one, other = (
        np.asarray(each.resize((4, 3), Image.Resampling.BOX), float) for each in (shown, expected)
    )
    return float(np.abs(one - other).mean())


def sunset(size: int) -> Image.Image:
    """Return a picture that changes slowly, each colour in a direction of its own."""
    down = Image.linear_gradient("L")
    up, across = (
        down.transpose(Image.Transpose.ROTATE_180),
        down.transpose(Image.Transpose.ROTATE_90),
    )
    return Image.merge("RGB", (down, up, across)).resize((size, size))


def quarters(size: int = 512) -> Image.Image:
    picture = Image.new("RGB", (size, size), "red")
    picture.paste("blue", (size // 2, 0, size, size // 2))
    picture.paste("lime", (0, size // 2, size // 2, size))
    picture.paste("white", (size // 2, size // 2, size, size))
    return picture


@pytest.mark.parametrize("size", [16, 64, 512, 700, 1500])
def test_it_looks_like_the_avatar_from_afar(size: int) -> None:
    picture = sunset(size)
    assert difference(blurred(picture), picture) < 12
    assert difference(blurred(picture), picture.transpose(Image.Transpose.ROTATE_90)) > 36


@pytest.mark.parametrize("colour", ["black", "white", "red", "#7f7f7f", "#010203"])
def test_one_colour_stays_that_colour(colour: str) -> None:
    picture = Image.new("RGB", (300, 200), colour)
    shown = blurred(picture, kind="JPEG")
    assert difference(shown, picture) < 3


def test_it_shows_the_crop_only() -> None:
    red = Crop(0, 0, 500_000)
    assert difference(blurred(quarters(), red), Image.new("RGB", (SIDE, SIDE), "red")) < 3


def test_what_is_transparent_is_as_in_the_jpeg() -> None:
    picture = Image.new("RGBA", (200, 200))
    picture.paste("black", (0, 0, 200, 100))
    expected = Image.new("RGB", (200, 200), "white")
    expected.paste("black", (0, 0, 200, 100))
    assert difference(blurred(picture), expected) < 40
