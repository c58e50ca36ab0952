"""What a user sees of their picture: upright, cropped, in its colours, and nothing else."""

from __future__ import annotations

import io
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageCms

from avatar_variants import FORMATS
from resize.image import REJECTIONS, AvatarRejected, render_avatar
from tests.bench.photographs import mosaic
from tests.unit.resize import pictures
from tests.unit.resize.rendering import render_variants

INPUTS = ("JPEG", "PNG", "WEBP", "AVIF")  # those that carry an orientation
OUTPUTS = {"jpg": "JPEG", "webp": "WEBP", "avif": "AVIF"}


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def distance(a: ArrayLike, b: ArrayLike) -> float:
    """Return the largest difference of any channel, in levels of 255."""
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max())


def centres(picture: Image.Image) -> NDArray[np.float64]:
    """Return the colours of a card's four quarters, by rows."""
    pixels = np.asarray(picture.convert("RGB"), float)
    side = len(pixels)
    near, far = slice(side // 8, side // 4), slice(3 * side // 4, 7 * side // 8)
    quarters = [pixels[rows, columns] for rows in (near, far) for columns in (near, far)]
    return np.array([quarter.mean(axis=(0, 1)) for quarter in quarters])


UPRIGHT = np.array([pictures.RED, pictures.GREEN, pictures.BLUE, pictures.YELLOW], float)


def srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Encode linear light from 0 to 1 as sRGB levels of 255 (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    low, high = linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055
    return 255 * np.where(linear <= 0.0031308, low, high)


XYZ_TO_SRGB = np.linalg.inv(
    np.array([[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
)
"""From XYZ at D50 to linear sRGB."""


# --- right ------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", INPUTS)
def test_every_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    turn = pictures.EXIF_TURNS[orientation]
    stored = pictures.card() if turn is None else pictures.card().transpose(turn)
    data = pictures.encoded(stored, kind, quality=95, exif=pictures.exif(orientation))
    assert distance(centres(opened(render_avatar(data))), UPRIGHT) < 12


@pytest.mark.parametrize("order", "<>")
def test_orientation_is_read_in_both_byte_orders(order: str) -> None:
    stored = pictures.card().transpose(Image.Transpose.ROTATE_90)
    data = pictures.encoded(stored, "JPEG", quality=95, exif=pictures.exif(6, order))
    assert distance(centres(opened(render_avatar(data))), UPRIGHT) < 12


@pytest.mark.parametrize("side", [240, 1600, 3000, 6000])
def test_the_central_square_is_shown_at_every_shrink_on_load(side: int) -> None:
    data = pictures.encoded(pictures.card(side, side // 6 + 1), "JPEG", quality=95)
    pixels = np.asarray(opened(render_avatar(data)), float)
    assert distance(centres(opened(render_avatar(data))), UPRIGHT) < 12
    assert distance(pixels[100:156, 8:12].mean(axis=(0, 1)), pictures.RED) < 12
    assert distance(pixels[100:156, -12:-8].mean(axis=(0, 1)), pictures.GREEN) < 12


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(1601, 1203), (2999, 2561), (6001, 5121)])
def test_shrink_on_load_costs_little_at_any_scale(size: tuple[int, int], progressive: bool) -> None:
    data = pictures.encoded(mosaic(*size), "JPEG", quality=80, progressive=progressive)
    width, height = size
    box = ((width - height) / 2, 0, (width + height) / 2, height)
    full = opened(data).resize((512, 512), Image.Resampling.LANCZOS, box)
    expected = opened(pictures.encoded(full, "JPEG", quality=80))
    reference = np.asarray(full, float)
    ours, best = (
        10 * np.log10(255**2 / np.mean((np.asarray(picture, float) - reference) ** 2))
        for picture in (opened(render_avatar(data)), expected)
    )
    assert ours > best - 0.6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (513, 511), (37, 64), (2049, 1537)])
def test_every_shape_becomes_a_square(kind: str, size: tuple[int, int]) -> None:
    data = pictures.encoded(Image.new("RGB", size, pictures.GREEN), kind)
    pixels = np.asarray(opened(render_avatar(data)), float)
    assert pixels.shape == (512, 512, 3)
    assert distance(pixels, np.array(pictures.GREEN)) < 12


def test_the_finest_scan_of_a_large_progressive_jpeg_makes_no_difference() -> None:
    options = {"quality": 80, "subsampling": 0}
    plain, progressive = (
        np.asarray(opened(render_avatar(data)), float)
        for data in (
            pictures.encoded(mosaic(2999, 2600), "JPEG", **options),
            pictures.encoded(mosaic(2999, 2600), "JPEG", progressive=True, **options),
        )
    )
    assert not np.array_equal(plain, progressive)  # it was left out
    assert np.mean((plain - progressive) ** 2) < 255**2 / 10**3.6  # 36 dB, below JPEG's own loss


def test_a_small_picture_is_enlarged_without_overshoot() -> None:
    step = Image.new("RGB", (16, 16), (60, 60, 60))
    step.paste((190, 190, 190), (8, 0, 16, 16))
    pixels = np.asarray(opened(render_avatar(pictures.encoded(step, "PNG"))), float)
    assert 45 < pixels.min() < 65
    assert 185 < pixels.max() < 205


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", mode) for mode in ("1", "L", "RGB", "CMYK")),
        *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *((kind, mode) for kind in ("GIF", "WEBP", "AVIF") for mode in ("L", "LA", "P", "RGBA")),
    ],
)
def test_every_mode_keeps_its_light_and_dark(kind: str, mode: str) -> None:
    grey = Image.new("L", (600, 600), 0)
    grey.paste(255, (300, 0, 600, 600))
    picture = (
        grey.convert("I;16").point(lambda v: v * 257) if mode == "I;16" else grey.convert(mode)
    )
    data = pictures.encoded(picture, kind)
    pixels = np.asarray(opened(render_avatar(data)), float)
    assert pixels[:, :240].max() < 12
    assert pixels[:, 272:].min() > 243


def test_sixteen_bit_grey_keeps_its_middle_tones() -> None:
    ramp = Image.linear_gradient("L").convert("I;16").point(lambda level: level * 257)
    pixels = np.asarray(opened(render_avatar(pictures.encoded(ramp, "PNG"))), float)
    assert distance(pixels[::2, 256, 0], np.arange(256)) < 4


def test_an_interlaced_png_is_read() -> None:
    # Adam7 of 8 by 8 equal pixels: seven passes of rows, each with its filter byte.
    passes = [(1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)]
    rows = b"".join((b"\0" + bytes(pictures.BLUE) * width) * height for width, height in passes)
    plain = pictures.png(8, 8, pictures.png_chunk(b"IDAT", zlib.compress(rows)))
    head = plain[16:28] + b"\x01"
    data = plain[:8] + pictures.png_chunk(b"IHDR", head) + plain[33:]
    assert distance(np.asarray(opened(render_avatar(data))), np.array(pictures.BLUE)) < 12


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_shows_its_first_frame(kind: str) -> None:
    first = Image.new("RGB", (64, 64), pictures.RED)
    rest = [Image.new("RGB", (64, 64), colour) for colour in (pictures.GREEN, pictures.BLUE)]
    data = pictures.encoded(first, kind, save_all=True, append_images=rest)
    assert distance(centres(opened(render_avatar(data))), np.array([pictures.RED] * 4)) < 12


def test_a_ycck_jpeg_is_read() -> None:
    cmyk = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    data = pictures.encoded(cmyk, "JPEG", quality=95)
    at = data.find(b"Adobe")
    assert data[at + 11] == 0  # plain CMYK; as YCCK the same numbers mean other inks
    ycck = data[: at + 11] + b"\x02" + data[at + 12 :]
    expected = np.asarray(opened(ycck).convert("RGB"), float)
    assert distance(np.asarray(opened(render_avatar(ycck))), expected[:1, :1]) < 12


def test_an_rgb_jpeg_is_read() -> None:
    data = pictures.encoded(pictures.card(), "JPEG", quality=95, keep_rgb=True)
    assert distance(centres(opened(render_avatar(data))), UPRIGHT) < 12


# --- transparency -----------------------------------------------------------------------------


def transparent(kind: str) -> bytes:
    """Return a blue disc, half of it translucent, on nothing; hidden pixels are red."""
    picture = Image.new("RGBA", (600, 600), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (100, 100, 500, 300))
    picture.paste((0, 0, 255, 128), (100, 300, 500, 500))
    return pictures.encoded(picture, kind, lossless=True)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
def test_transparency_is_white_in_jpeg_and_kept_elsewhere(kind: str) -> None:
    files = render_variants(transparent(kind), (512,), tuple(FORMATS))
    flat = np.asarray(opened(files[512, "jpg"]).convert("RGB"), float)
    assert distance(flat[40, 40], np.array((255, 255, 255))) < 12
    assert distance(flat[150, 256], np.array((0, 0, 255))) < 12
    assert distance(flat[350, 256], np.array((127, 127, 255))) < 12
    for name in ("webp", "avif"):
        kept = np.asarray(opened(files[512, name]).convert("RGBA"), float)
        assert distance(kept[[40, 150, 350], [40, 256, 256], 3], np.array((0, 255, 128))) < 4


def test_hidden_pixels_do_not_bleed_into_the_edge() -> None:
    pixels = np.asarray(opened(render_avatar(transparent("PNG"))), float)
    assert (pixels[70:100, 256, 0] <= pixels[70:100, 256, 2] + 24).all()  # never reddish


@pytest.mark.parametrize("mode", ["P", "RGB", "L", "GIF"])
def test_a_transparent_colour_is_transparent(mode: str) -> None:
    grey = Image.new("L", (64, 64), 0)
    grey.paste(128, (0, 32, 64, 64))
    if mode == "GIF":
        data = pictures.encoded(grey.convert("P"), "GIF", transparency=0)
    else:
        key = (0, 0, 0) if mode == "RGB" else 0
        data = pictures.encoded(grey.convert(mode), "PNG", transparency=key)
    pixels = np.asarray(opened(render_avatar(data)), float)
    assert pixels[:200].min() > 240
    assert distance(pixels[300:], np.array(128)) < 12


# --- colour -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("primaries", ["DISPLAY_P3", "ADOBE_RGB"])
def test_a_wide_gamut_is_converted_to_srgb(kind: str, primaries: str) -> None:
    space = getattr(pictures, primaries)
    profile = pictures.rgb_profile(space, 2.2)
    stored = np.array([(180, 90, 70), (110, 150, 110), (60, 80, 160), (128, 128, 128)])
    card = Image.fromarray(stored.reshape(2, 2, 3).astype(np.uint8)).resize((400, 400), 0)
    files = render_variants(
        pictures.encoded(card, kind, quality=95, icc_profile=profile), (512,), ("jpg", "webp")
    )
    light = (stored / 255) ** 2.2 @ np.array(space)
    for data in files.values():
        assert distance(centres(opened(data)), srgb(light @ XYZ_TO_SRGB.T)) < 8


def test_an_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    card = pictures.card()
    tagged = pictures.encoded(card, "PNG", icc_profile=profile)
    assert render_avatar(tagged) == render_avatar(pictures.encoded(card, "PNG"))


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_grey_profile_is_converted(mode: str) -> None:
    grey = Image.new(mode, (64, 64), 100 if mode == "L" else (100, 255))
    data = pictures.encoded(grey, "PNG", icc_profile=pictures.grey_profile(1.4))
    expected = srgb(np.array((100 / 255) ** 1.4))
    assert distance(np.asarray(opened(render_avatar(data))), expected) < 6


def test_a_cmyk_profile_is_converted() -> None:
    inks = [(255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255)]
    card = Image.new("CMYK", (400, 400))
    for index, ink in enumerate(inks):
        card.paste(ink, (index % 2 * 200, index // 2 * 200, index % 2 * 200 + 200, 400))
    data = pictures.encoded(card, "JPEG", quality=98, icc_profile=pictures.cmyk_profile())
    lab = np.array([pictures.CMYK_INKS[1 << bit] for bit in range(4)], float)
    y = (lab[:, 0] + 16) / 116
    f = np.stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200], axis=1)
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2) * (0.9642, 1, 0.8249)
    assert distance(centres(opened(render_avatar(data))), srgb(xyz @ XYZ_TO_SRGB.T)) < 10


@pytest.mark.parametrize(
    "profile",
    [b"not a profile", pictures.grey_profile(1.4), pictures.cmyk_profile()],
    ids=["broken", "grey", "CMYK"],
)
def test_a_profile_that_does_not_fit_is_ignored(profile: bytes) -> None:
    data = pictures.encoded(pictures.card(), "JPEG", quality=95, icc_profile=profile)
    assert distance(centres(opened(render_avatar(data))), UPRIGHT) < 12


# --- metadata, sizes, formats -----------------------------------------------------------------


@pytest.mark.parametrize("kind", INPUTS)
def test_no_metadata_survives(kind: str) -> None:
    options = {
        "exif": pictures.exif(1),
        "xmp": b"<x:xmpmeta>Spy XMP</x:xmpmeta>",
        "icc_profile": pictures.rgb_profile(pictures.DISPLAY_P3, 2.2),
        "comment": b"Spy comment",
        "dpi": (300, 300),
    }
    data = pictures.encoded(pictures.card(), kind, **options)
    assert b"Spy" in data
    for (_, name), file in render_variants(data + b"Spy tail", (64,), tuple(FORMATS)).items():
        assert b"Spy" not in file
        assert b"Exif" not in file
        picture = opened(file)
        assert picture.format == OUTPUTS[name]
        kept = {"exif", "xmp", "icc_profile", "comment", "dpi", "photoshop", "mp"}
        assert not kept & picture.info.keys()


def test_every_size_in_every_format_comes_from_one_call() -> None:
    data = pictures.encoded(pictures.card(), "JPEG", quality=95)
    files = render_variants(data, (128, 512, 64), ("jpg", "webp", "avif"))
    assert set(files) == {(size, name) for size in (64, 128, 512) for name in FORMATS}
    for (size, name), file in files.items():
        picture = opened(file)
        assert (picture.size, picture.format) == ((size, size), OUTPUTS[name])
        assert distance(centres(picture), UPRIGHT) < 20


@pytest.mark.parametrize("size", [1, 17, 127, 2048])
def test_any_size_can_be_asked_for(size: int) -> None:
    data = pictures.encoded(pictures.card(1600, 7), "JPEG")
    assert opened(render_avatar(data, size)).size == (size, size)


def test_the_stable_avatar_is_the_jpeg_variant_of_its_size() -> None:
    data = pictures.encoded(pictures.card(), "PNG")
    assert render_variants(data, (512,), ("jpg",))[512, "jpg"] == render_avatar(data)


def test_the_jpeg_has_quality_80() -> None:
    data = pictures.encoded(pictures.card(), "PNG")
    expected = opened(pictures.encoded(pictures.card(), "JPEG", quality=80))
    assert opened(render_avatar(data)).quantization == expected.quantization  # type: ignore[attr-defined]


# --- rejections -------------------------------------------------------------------------------


def test_a_rejection_says_why_in_a_code_and_a_sentence() -> None:
    with pytest.raises(AvatarRejected, match="empty") as caught:
        render_avatar(b"")
    assert caught.value.code == "empty"
    assert caught.value.message == REJECTIONS["empty"]


@pytest.mark.parametrize("code", REJECTIONS)
def test_every_code_is_documented_with_its_sentence(code: str) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
    assert REJECTIONS[code].endswith(".")
    page = Path(__file__).parents[3] / "docs" / "contract.md"
    assert f"| `{code}` | {REJECTIONS[code]} |" in page.read_text(encoding="utf-8")
