"""Pictures as browsers show them: what a browser's measure holds is held here by formulas."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from resize.image import AvatarRejected, render_avatar
from tests.unit.resize import corpus, pictures
from tests.unit.resize.rendering import render_variants

WHITE, DARK = 255, 32
Colour = tuple[int, int, int]


def pixels(data: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float)


def avatar(data: bytes) -> NDArray[np.float64]:
    return pixels(render_avatar(data))


def differs(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the mean difference in levels of 255."""
    return float(np.abs(one - other).mean())


def rejection(data: bytes) -> str:
    with pytest.raises(AvatarRejected) as caught:
        render_avatar(data)
    return caught.value.code


PHOTO = corpus.photo().resize((640, 640))
FILES = {
    "JPEG": pictures.encoded(PHOTO, "JPEG", quality=90),
    "progressive JPEG": pictures.encoded(PHOTO, "JPEG", quality=90, progressive=True),
    "large JPEG": pictures.encoded(PHOTO.resize((1700, 1700)), "JPEG", quality=90),
    "grey JPEG": pictures.encoded(PHOTO.convert("L"), "JPEG", quality=90),
    "CMYK JPEG": pictures.encoded(PHOTO.convert("CMYK"), "JPEG", quality=90),
    "PNG": pictures.encoded(PHOTO, "PNG"),
    "GIF": pictures.encoded(PHOTO.quantize(200), "GIF", interlace=0),
    "interlaced GIF": pictures.encoded(PHOTO.quantize(200), "GIF", interlace=1),
}
ENDS = {"PNG": 12, "GIF": 1, "interlaced GIF": 1}


# --- without an end ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_lacks_only_its_end_is_shown_whole(name: str) -> None:
    whole = FILES[name]
    without = whole[: -ENDS.get(name, 2)]
    assert np.array_equal(avatar(without), avatar(whole))
    assert np.array_equal(avatar(without + b"\0" * 300), avatar(whole))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.97, 0.8, 0.6])
def test_of_a_cut_file_the_rest_is_white_or_coarse(name: str, share: float) -> None:
    whole = FILES[name]
    shown, expected = avatar(whole[: int(len(whole) * share)]), avatar(whole)
    top = int(512 * share * 0.8)
    if name in ("progressive JPEG", "interlaced GIF"):
        assert differs(shown, expected) < 12
        return
    assert differs(shown[:top], expected[:top]) < 2
    bottom = shown[int(512 * (share + (1 - share) * 0.9)) :]
    assert bottom.min() > 240 or share == 0.97


@pytest.mark.parametrize("name", ["JPEG", "large JPEG", "grey JPEG", "CMYK JPEG", "PNG", "GIF"])
def test_less_than_half_of_the_rows_is_not_a_picture(name: str) -> None:
    assert rejection(FILES[name][: int(len(FILES[name]) * 0.35)]) == "damaged"


def test_a_progressive_jpeg_without_its_first_scan_is_not_a_picture() -> None:
    whole = FILES["progressive JPEG"]
    second = whole.find(b"\xff\xda", whole.find(b"\xff\xda") + 2)
    assert rejection(whole[: second - 200]) == "damaged"


def test_a_png_whose_rows_are_too_few_is_white_and_not_black_below() -> None:
    rows = b"".join(b"\0" + bytes((200, 30, 30)) * 64 for _ in range(48))
    data = pictures.png(64, 64, pictures.png_chunk(b"IDAT", zlib.compress(rows)))
    shown = avatar(data)
    assert differs(shown[:370], np.array((200.0, 30, 30))) < 4
    assert shown[400:].min() > 240


def test_checksums_that_do_not_matter_are_not_looked_at() -> None:
    whole = FILES["PNG"]
    parts = corpus.chunks(whole)
    stream = b"".join(part[8:-4] for part in parts if part[4:8] == b"IDAT")
    broken = pictures.png_chunk(b"IDAT", stream[:-4] + b"\0\0\0\0")
    data = whole[:33] + pictures.png_chunk(b"gAMA", b"\0\1\x86\xa0")[:-4] + b"\0\0\0\0" + broken
    assert np.array_equal(avatar(data), avatar(whole))


@pytest.mark.parametrize("size", [0, 100, 10**6, 2**32 - 10])
@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_whose_container_is_miscounted_is_shown(size: int, lossless: bool) -> None:
    whole = pictures.encoded(PHOTO, "WEBP", lossless=lossless)
    miscounted = whole[:4] + struct.pack("<I", size) + whole[8:]
    assert np.array_equal(avatar(miscounted), avatar(whole))


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_webp_and_avif_must_be_whole(kind: str) -> None:
    assert rejection(pictures.encoded(PHOTO, kind)[:-200]) == "damaged"


def test_random_bytes_behind_a_progressive_jpeg_are_not_scans() -> None:
    noise = np.random.default_rng(0).bytes(4_000_000)
    assert noise.count(b"\xff\xda") > 30
    whole = FILES["progressive JPEG"]
    assert np.array_equal(avatar(whole + noise), avatar(whole))


# --- colour without a profile -----------------------------------------------------------------

PATCHES = np.array([(200, 60, 60), (60, 200, 60), (60, 60, 200), (128, 128, 128)], float)
PRIMARIES = {  # xy of red, green and blue; D65
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


def card(kind: str, patches: NDArray[np.float64] = PATCHES, **options: object) -> bytes:
    stored = patches.reshape(2, 2, 3).astype(np.uint8)
    return pictures.encoded(Image.fromarray(stored).resize((400, 400), 0), kind, **options)


def centres(data: bytes) -> NDArray[np.float64]:
    shown = avatar(data)
    return np.array(
        [shown[y : y + 90, x : x + 90].mean((0, 1)) for y in (80, 340) for x in (80, 340)]
    )


def to_xyz(primaries: int) -> NDArray[np.float64]:
    columns = np.array([(x, y, 1 - x - y) for x, y in PRIMARIES[primaries]]).T
    white = np.array((0.3127, 0.3290, 1 - 0.3127 - 0.3290)) / 0.3290
    return np.asarray(columns * np.linalg.solve(columns, white))


def srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_to_linear(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    v = levels / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def converted(primaries: int, linear: NDArray[np.float64]) -> NDArray[np.float64]:
    return srgb(linear @ (np.linalg.inv(to_xyz(1)) @ to_xyz(primaries)).T)


def png_with(*chunks: bytes) -> bytes:
    plain = card("PNG")
    return plain[:33] + b"".join(chunks) + plain[33:]


def gama(value: int) -> bytes:
    return pictures.png_chunk(b"gAMA", struct.pack(">I", value))


def cicp(*values: int) -> bytes:
    return pictures.png_chunk(b"cICP", bytes(values))


CHRM = pictures.png_chunk(b"cHRM", corpus.CHRM_P3)
SRGB = pictures.png_chunk(b"sRGB", b"\0")
ICC = pictures.png_chunk(
    b"iCCP", b"x\0\0" + zlib.compress(pictures.rgb_profile(pictures.ADOBE_RGB, 1.0))
)


@pytest.mark.parametrize(
    ("chunks", "primaries", "gamma"),
    [
        ([gama(100_000)], 1, 1.0),
        ([gama(55_556)], 1, 1.8),
        ([gama(100_000), CHRM], 12, 1.0),
        ([gama(45_455), CHRM], 12, 2.2),
        ([CHRM], 1, None),
        ([gama(45_455)], 1, None),
        ([gama(0)], 1, None),
        ([gama(100_000), CHRM, SRGB], 1, None),
        ([cicp(12, 13, 0, 1)], 12, None),
        ([cicp(9, 1, 0, 1)], 9, 2.4),
        ([cicp(1, 4, 0, 1)], 1, 2.2),
        ([cicp(1, 8, 0, 1)], 1, 1.0),
        ([ICC, cicp(12, 13, 0, 1), SRGB, gama(100_000)], 12, None),
        ([cicp(2, 2, 0, 1), gama(100_000)], 1, 1.0),
        ([cicp(12, 13, 1, 1), gama(100_000)], 1, 1.0),
        ([gama(100_000)[:-4] + bytes(4)], 1, None),
    ],
)
def test_a_png_says_its_colours_in_the_specifications_order(
    chunks: list[bytes], primaries: int, gamma: float | None
) -> None:
    linear = srgb_to_linear(PATCHES) if gamma is None else (PATCHES / 255) ** gamma
    assert np.abs(centres(png_with(*chunks)) - converted(primaries, linear)).max() < 5


def test_an_icc_profile_counts_before_gamma() -> None:
    assert differs(centres(png_with(ICC, SRGB, gama(22_727))), centres(png_with(ICC))) < 1
    assert differs(centres(png_with(ICC)), PATCHES) > 30


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA"])
def test_gamma_counts_in_every_mode(mode: str) -> None:
    grey = Image.new("RGB", (64, 64), (100, 100, 100)).convert(mode)
    plain = pictures.encoded(grey, "PNG")
    shown = avatar(plain[:33] + gama(100_000) + plain[33:])
    assert differs(shown, srgb(np.array(100 / 255))) < 4


@pytest.mark.parametrize(
    ("primaries", "transfer", "gamma"),
    [(12, 13, None), (9, 1, None), (1, 4, 2.2), (1, 8, 1.0), (2, 2, None), (1, 1, None)],
)
def test_an_avif_says_its_colours_in_numbers(
    primaries: int, transfer: int, gamma: float | None
) -> None:
    data = corpus.nclx(card("AVIF", quality=95, subsampling="4:4:4"), primaries, transfer)
    linear = srgb_to_linear(PATCHES) if gamma is None else (PATCHES / 255) ** gamma
    expected = converted(primaries if primaries in PRIMARIES else 1, linear)
    assert np.abs(centres(data) - expected).max() < 8


@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
@pytest.mark.parametrize(
    ("transfer", "levels"),
    [(16, (77, 107, 148, 192)), (18, (64, 128, 191, 255))],  # PQ and HLG, of 255
)
def test_hdr_keeps_paper_white_in_the_middle_and_its_highlights(
    kind: str, transfer: int, levels: tuple[int, ...]
) -> None:
    greys = np.repeat(np.array(levels, float)[:, None], 3, axis=1)
    if kind == "PNG":
        plain = card("PNG", greys)
        data = plain[:33] + cicp(9, transfer, 0, 1) + plain[33:]
    else:
        plain = card("AVIF", greys, quality=100, subsampling="4:4:4")
        data = corpus.nclx(plain, 9, transfer)
    shown = centres(data)
    assert np.ptp(shown, axis=1).max() < 3  # grey stays grey
    middle, bright = shown[2].mean(), shown[3].mean()
    assert 180 < middle < 200  # paper white, 203 cd/m², is half of the light
    assert bright > 245  # 1,000 cd/m²
    assert shown[0].mean() < shown[1].mean() < middle


def test_hdr_colours_keep_their_hue() -> None:
    reds = np.array([(120, 60, 60), (60, 120, 60), (60, 60, 120), (150, 150, 60)], float)
    plain = card("PNG", reds)
    shown = centres(plain[:33] + cicp(9, 16, 0, 1) + plain[33:])
    assert (shown.argmax(1)[:3] == (0, 1, 2)).all()
    assert (shown[:3].max(1) > 2 * np.sort(shown[:3], axis=1)[:, 1]).all()


# --- transparency -----------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_transparent_grey_of_every_depth_is_transparent(depth: int, interlaced: bool) -> None:
    most = 2**depth - 1
    samples = np.full((64, 64, 1), 0, np.uint16)
    samples[:, 32:] = most if depth == 1 else most // 3
    key = pictures.png_chunk(b"tRNS", struct.pack(">H", samples[0, 63, 0]))
    shown = avatar(corpus.png_of(samples, depth, 0, key, interlaced=interlaced))
    assert shown[:, 300:].min() > 240
    assert shown[:, :200].max() < 12


def test_a_transparent_colour_of_sixteen_bits_is_transparent() -> None:
    samples = np.zeros((64, 64, 3), np.uint16)
    samples[:, 32:] = (0x1234, 0x5678, 0x9ABC)
    key = pictures.png_chunk(b"tRNS", struct.pack(">3H", 0x1234, 0x5678, 0x9ABC))
    shown = avatar(corpus.png_of(samples, 16, 2, key))
    assert shown[:, 300:].min() > 240
    assert shown[:, :200].max() < 12


def logo(
    colour: tuple[int, int, int], hidden: tuple[int, int, int] = (255, 255, 255)
) -> Image.Image:
    picture = Image.new("RGBA", (200, 200), (*hidden, 0))
    ImageDraw.Draw(picture).ellipse((40, 40, 160, 160), fill=(*colour, 255))
    return picture


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "GIF"])
@pytest.mark.parametrize(
    ("colour", "ground"),
    [((255, 255, 255), DARK), ((235, 240, 250), DARK), ((0, 0, 0), WHITE), ((230, 20, 20), WHITE)],
)
def test_a_logo_stays_visible_on_its_ground(kind: str, colour: Colour, ground: int) -> None:
    data = pictures.encoded(logo(colour, (9, 9, 9)), kind, lossless=True)
    files = render_variants(data, (512, 64), ("jpg", "webp"))
    for side in (512, 64):
        shown = pixels(files[side, "jpg"])
        assert differs(shown[:4, :4], np.array(float(ground))) < 8
        assert differs(shown[side // 2, side // 2], np.array(colour, float)) < 12
        kept = Image.open(io.BytesIO(files[side, "webp"])).convert("RGBA").getchannel("A")
        assert (kept.getpixel((0, 0)), kept.getpixel((side // 2, side // 2))) == (0, 255)


def test_a_light_picture_with_round_corners_stays_on_white() -> None:
    picture = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    ImageDraw.Draw(picture).rounded_rectangle((0, 0, 199, 199), 30, fill=(250, 250, 250, 255))
    assert avatar(pictures.encoded(picture, "PNG"))[:4, :4].min() > 240


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "GIF"])
def test_what_is_transparent_all_over_is_rejected(kind: str) -> None:
    nothing = Image.new("RGBA", (64, 64), (10, 20, 30, 0))
    assert rejection(pictures.encoded(nothing, kind, lossless=True)) == "nothing_visible"


def test_what_is_only_visible_outside_the_square_is_rejected() -> None:
    wide = Image.new("RGBA", (600, 100), (0, 0, 0, 0))
    wide.paste((255, 0, 0, 255), (0, 0, 100, 100))
    assert rejection(pictures.encoded(wide, "PNG")) == "nothing_visible"


# --- animations -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "AVIF"])
@pytest.mark.parametrize("empty", [1, 3])
def test_the_first_frame_that_shows_something_is_the_avatar(kind: str, empty: int) -> None:
    frames = [Image.new("RGBA", (80, 80), (index, 0, 0, 0)) for index in range(empty)]
    frames += [logo(colour).resize((80, 80)) for colour in (pictures.GREEN, pictures.BLUE)]
    options: dict[str, object] = {"disposal": 2 if kind == "GIF" else 1, "lossless": True}
    data = pictures.encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options
    )
    shown = avatar(data)
    assert differs(shown[256, 256], np.array(pictures.GREEN, float)) < 12
    assert shown[:8, :8].min() > 240


@pytest.mark.parametrize("first", [pictures.RED, None])
def test_a_still_outside_the_animation_does_not_count(first: Colour | None) -> None:
    still = Image.new("RGBA", (80, 80), (*first, 255) if first else (0, 0, 0, 0))
    frames = [Image.new("RGBA", (80, 80), (*c, 255)) for c in (pictures.GREEN, pictures.BLUE)]
    data = pictures.encoded(still, "PNG", save_all=True, default_image=True, append_images=frames)
    assert differs(avatar(data)[256, 256], np.array(pictures.GREEN, float)) < 12


def test_a_frame_smaller_than_its_animation_is_where_it_belongs() -> None:
    empty = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    corner = empty.copy()
    corner.paste((*pictures.BLUE, 255), (40, 40, 70, 70))
    data = pictures.encoded(empty, "PNG", save_all=True, append_images=[corner])
    shown = avatar(data)
    assert differs(shown[330:440, 330:440], np.array(pictures.BLUE, float)) < 12
    assert shown[:200, :200].min() > 240
