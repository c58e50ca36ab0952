"""The part of a picture that its user chose is shown to the pixel, however the file is stored."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from avatar_crop import Crop, version_of
from avatar_variants import POINTERS, Variant
from picture_kinds import BANNER
from resize.image import AvatarRejected, render
from tests.unit.resize import pictures

PARTS = st.integers(0, 10**6)
CROPS = st.builds(Crop, PARTS, PARTS, st.integers(1, 10**6))


def noise(width: int, height: int, block: int = 1) -> Image.Image:
    """Return a picture in which each place looks like no other, the same one each time."""
    random = np.random.default_rng(7)
    small = random.integers(0, 256, (-(-height // block), -(-width // block), 3), np.uint8)
    pixels = small.repeat(block, axis=0).repeat(block, axis=1)[:height, :width]
    return Image.fromarray(pixels)


def stored(upright: Image.Image, orientation: int, kind: str) -> bytes:
    turn = pictures.EXIF_TURNS[orientation]
    picture = upright if turn is None else upright.transpose(turn)
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    return pictures.encoded(picture, kind, exif=pictures.exif(orientation), **options)


def rendered(data: bytes, side: int, crop: Crop | None, ratio: int = 1) -> bytes:
    ((_, file),) = render(data, [Variant(side, "jpg", ratio)], crop)
    return file


def is_exactly(
    upright: Image.Image,
    box: tuple[int, int, int, int],
    orientation: int,
    crop: Crop | None,
    ratio: int = 1,
) -> bool:
    """Whether of a picture, stored in that orientation, a crop shows that very box."""
    expected = pictures.encoded(upright.crop(box), "JPEG", quality=80)
    return rendered(stored(upright, orientation, "PNG"), box[2] - box[0], crop, ratio) == expected


def pixels(file: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), float)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(301, 207), (207, 301)])
@pytest.mark.parametrize(
    ("chosen", "box"),
    [
        ([0, 0, 0.5], (0, 0, 104, 104)),
        ([93 / 301, 50 / 207, 100 / 207], (93, 50, 193, 150)),
        ([1, 1, 61 / 207], (240, 146, 301, 207)),  # moved inside
    ],
)
def test_the_chosen_square_is_shown_to_the_pixel_in_every_orientation(
    orientation: int,
    size: tuple[int, int],
    chosen: list[float],
    box: tuple[int, int, int, int],
) -> None:
    upright = noise(*size)
    if size[0] < size[1]:  # the same place in a picture of the other shape
        chosen, box = [chosen[1], chosen[0], chosen[2]], (box[1], box[0], box[3], box[2])
    assert is_exactly(upright, box, orientation, Crop.from_request(chosen))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side", [1000, 400, 220])
def test_a_photo_that_is_decoded_smaller_is_not_a_pixel_off(orientation: int, side: int) -> None:
    """At 1/8, 1/4 and 1/2; each place a pixel beside it fits less well."""
    upright = noise(1603, 1201, block=16)
    left, top = 303, 98
    crop = Crop.from_request([left / 1603, top / 1201, side / 1201])
    shown = pixels(rendered(stored(upright, orientation, "JPEG"), 64, crop))
    differences = {}
    for right in (-1, 0, 1):
        for down in (-1, 0, 1):
            box = (left + right, top + down, left + right + side, top + down + side)
            small = upright.resize((64, 64), Image.Resampling.LANCZOS, box)
            expected = pixels(pictures.encoded(small, "JPEG", quality=80))
            differences[right, down] = float(np.abs(shown - expected).mean())
    assert min(differences, key=lambda shift: differences[shift]) == (0, 0), differences


def test_a_small_part_of_a_small_picture_is_enlarged() -> None:
    shown = pixels(rendered(stored(pictures.card(), 1, "PNG"), 512, Crop(0, 0, 1)))
    assert shown.shape == (512, 512, 3)
    assert np.abs(shown - pictures.MARGIN).max() < 12


def test_a_part_that_shows_nothing_is_rejected_though_the_picture_would_not_be() -> None:
    half = Image.new("RGBA", (200, 200))
    half.paste((255, 0, 0, 255), (100, 0, 200, 200))
    data = pictures.encoded(half, "PNG")
    with pytest.raises(AvatarRejected, match="nothing_visible"):
        rendered(data, 64, Crop.from_request([0, 0, 0.5]))
    assert rendered(data, 64, Crop.from_request([0.5, 0, 0.5]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(301, 207), (207, 301)])
@pytest.mark.parametrize(
    ("chosen", "box"),
    [
        ([0, 0, 1 / 2], (0, 0, 150, 50)),
        ([93 / 301, 50 / 207, 150 / 301], (93, 50, 243, 100)),
        ([1, 1, 60 / 301], (241, 187, 301, 207)),  # moved inside
    ],
)
def test_a_banners_part_is_shown_to_the_pixel_in_every_orientation(
    orientation: int,
    size: tuple[int, int],
    chosen: list[float],
    box: tuple[int, int, int, int],
) -> None:
    upright = noise(*size)
    if size[0] < size[1]:  # the same part, where the picture is narrower
        width = (box[2] - box[0]) * 207 // 301 // 6 * 6
        left, top = round(chosen[0] * (207 - width)), round(chosen[1] * (301 - width // 3))
        chosen, box = (
            [left / 207, top / 301, width / 207],
            (left, top, left + width, top + width // 3),
        )
    assert is_exactly(upright, box, orientation, Crop.from_request(chosen), BANNER.ratio)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((300, 200), (0, 50, 300, 150)),
        ((600, 100), (150, 0, 450, 100)),
        ((90, 400), (0, 185, 90, 215)),
    ],
)
def test_without_a_crop_a_banner_shows_the_centre(
    orientation: int, size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    upright = noise(*size)
    assert is_exactly(upright, box, orientation, None, BANNER.ratio)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("width", [1599, 801, 402])
def test_a_banner_that_is_decoded_smaller_is_not_a_pixel_off(orientation: int, width: int) -> None:
    """As of an avatar: at 1/8, 1/4 and 1/2; each place a pixel beside it fits less well."""
    upright = noise(1603, 1201, block=16)
    left, top = (1603 - width) // 2, 98
    crop = Crop.from_request([left / 1603, top / 1201, width / 1603])
    data = stored(upright, orientation, "JPEG")
    shown = pixels(rendered(data, 96, crop, BANNER.ratio))
    assert shown.shape == (32, 96, 3)
    differences = {}
    for right in (-1, 0, 1):
        for down in (-1, 0, 1):
            box = (left + right, top + down, left + right + width, top + down + width // 3)
            small = upright.resize((96, 32), Image.Resampling.LANCZOS, box)
            expected = pixels(pictures.encoded(small, "JPEG", quality=80))
            differences[right, down] = float(np.abs(shown - expected).mean())
    assert min(differences, key=lambda shift: differences[shift]) == (0, 0), differences


def test_a_banners_smaller_variants_have_its_shape() -> None:
    variants = [POINTERS[BANNER], Variant(600, "webp", 3), Variant(48, "avif", 3)]
    data = stored(noise(640, 480), 6, "JPEG")
    sizes = [Image.open(io.BytesIO(file)).size for _, file in render(data, variants)]
    assert sizes == [(1500, 500), (600, 200), (48, 16)]
    assert [str(each) for each in variants] == ["1500x500.jpg", "600x200.webp", "48x16.avif"]


@given(CROPS, st.integers(1, 20_000), st.integers(1, 20_000))
def test_every_banner_lies_inside_every_picture(crop: Crop, width: int, height: int) -> None:
    left, top, right, bottom = crop.box(width, height, BANNER.ratio)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert abs((right - left) / 3 - (bottom - top)) <= 1


@given(CROPS, st.integers(1, 20_000), st.integers(1, 20_000))
def test_every_crop_lies_inside_every_picture(crop: Crop, width: int, height: int) -> None:
    left, top, right, bottom = crop.box(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert right - left == bottom - top


@given(CROPS, CROPS)
def test_metadata_hold_a_crop_and_each_has_a_version_of_its_own(crop: Crop, other: Crop) -> None:
    assert Crop.from_metadata({"crop": str(crop)}) == crop
    assert len(str(crop)) <= 26
    etag = "d41d8cd98f00b204e9800998ecf8427e"
    versions = {version_of(f'"{etag}"', each) for each in (crop, other, None)}
    assert len(versions) == len({crop, other, None})


@pytest.mark.parametrize(
    "text",
    ["", "0,0", "0,0,0", "0,0,1,1", "-1,0,1", "0,0,2", "0,0,1.5", "0,0,1e0", "a,b,c", "\u0660,0,1"],
)
def test_metadata_that_hold_no_crop_are_none(text: str) -> None:
    """An operator's original may say anything there."""
    assert Crop.from_metadata({"crop": text}) is None
