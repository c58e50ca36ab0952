"""Pictures that people really have: every format by every feature that its readers disagree on.

Each is of the same photograph, so that what one reader makes of a file can be compared with
what another does. All are made here, except those in ``data/``, which Pillow can't write.
"""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw

from tests.bench.photographs import photograph
from tests.unit.resize import pictures as p

DATA = Path(__file__).parent / "data"
"""Made with libavif's avifenc 0.11 from `photo()`: see data/README.md."""

CUTS = (0.99, 0.97, 0.9, 0.7, 0.5, 0.3)
"""What is left of a file whose upload or copy broke off."""


class Case(NamedTuple):
    """One file: the row of the documentation's table that it counts in, and what it is."""

    group: str
    name: str
    data: bytes


@functools.cache
def photo() -> Image.Image:
    """Return the photograph, 240 by 176, with patches of strong colour."""
    picture = photograph(240, 176, seed=3)
    draw = ImageDraw.Draw(picture)
    colours = ("#f01010", "#10d020", "#1020e0", "#e0d010", "#d010c0", "#10c0d0", "#ffffff", "#000")
    for index, colour in enumerate(colours):
        left, top = 50 + 36 * (index % 4), 24 + 84 * (index // 4)
        draw.rectangle((left, top, left + 23, top + 39), fill=colour)
    return picture


def _alpha() -> Image.Image:
    picture = photo().copy()
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture


def cases() -> Iterator[Case]:
    """Yield every file."""
    yield from _jpeg()
    yield from _png()
    yield from _gif()
    yield from _webp()
    yield from _avif()
    yield from _others()


def _cuts(group: str, name: str, data: bytes) -> Iterator[Case]:
    for share in CUTS:
        yield Case(group, f"{name}, {share:.0%} of it", data[: int(len(data) * share)])


# --- JPEG -------------------------------------------------------------------------------------


def _tiff(*entries: tuple[int, int, int, bytes], order: str = "<", start: int = 8) -> bytes:
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    body = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
    return b"Exif\0\0" + head + bytes(start - 8) + body + bytes(4)


def _with_exif(jpeg: bytes, *blocks: bytes) -> bytes:
    return p.jpeg_with(jpeg, *(p.jpeg_segment(0xE1, block) for block in blocks))


def _without(jpeg: bytes, *markers: int) -> bytes:
    """Return a JPEG without these segments of its header."""
    position, kept = 2, jpeg[:2]
    while jpeg[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        if jpeg[position + 1] not in markers:
            kept += jpeg[position:end]
        position = end
    return kept + jpeg[position:]


def _between_segments(jpeg: bytes, junk: bytes) -> bytes:
    position, kept = 2, jpeg[:2]
    while True:
        end = position + 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        kept += junk + jpeg[position:end]
        if jpeg[position + 1] == 0xDA:
            return kept + jpeg[end:]
        position = end


def _resampled(horizontal: int, vertical: int) -> bytes:
    """Return a JPEG of one luma block column or row more than Pillow can write.

    A file of 4:2:2 or 4:2:0 is made of blocks in the other order, and its header changed.
    """
    ycc = photo().convert("YCbCr")
    blocks = horizontal * vertical
    stored = {2: (2, 1), 4: (2, 2)}[blocks]  # blocks of luma across and down, as Pillow writes
    planes = [np.asarray(plane) for plane in ycc.split()]
    unit_width, unit_height = 8 * horizontal, 8 * vertical
    rows, columns = 176 // unit_height, 240 // unit_width
    made_width, made_height = columns * 8 * stored[0], rows * 8 * stored[1]
    made = [np.zeros((made_height, made_width), np.uint8) for _ in planes]
    for row in range(rows):
        for column in range(columns):
            top, left = row * unit_height, column * unit_width
            y = row * 8 * stored[1]
            x = column * 8 * stored[0]
            for index in range(blocks):
                from_y, from_x = top + 8 * (index // horizontal), left + 8 * (index % horizontal)
                to_y, to_x = y + 8 * (index // stored[0]), x + 8 * (index % stored[0])
                made[0][to_y : to_y + 8, to_x : to_x + 8] = planes[0][
                    from_y : from_y + 8, from_x : from_x + 8
                ]
            for plane, source in zip(made[1:], planes[1:], strict=True):
                unit = source[top : top + unit_height, left : left + unit_width].astype(float)
                small = unit.reshape(8, vertical, 8, horizontal).mean((1, 3))
                plane[y : y + 8 * stored[1], x : x + 8 * stored[0]] = small.repeat(
                    stored[1], 0
                ).repeat(stored[0], 1)
    picture = Image.merge("YCbCr", [Image.fromarray(plane) for plane in made])
    data = p.encoded(picture, "JPEG", quality=95, subsampling={2: 1, 4: 2}[blocks])
    frame = data.find(b"\xff\xc0")
    sampling = bytes([horizontal << 4 | vertical])
    data = data[: frame + 11] + sampling + data[frame + 12 :]
    return p.jpeg_of_size(data, columns * unit_width, rows * unit_height)


def _of_three_scans() -> bytes:
    """Return a baseline JPEG with a scan for each component, from three grey ones."""
    planes = [p.encoded(plane, "JPEG", quality=90) for plane in photo().convert("YCbCr").split()]
    first = planes[0]
    frame = first.find(b"\xff\xc0")
    size = first[frame + 5 : frame + 9]
    header = p.jpeg_segment(0xC0, b"\x08" + size + b"\x03\x01\x11\0\x02\x11\0\x03\x11\0")
    made = first[:frame] + header
    for number, plane in enumerate(planes, 1):
        at = plane.find(b"\xff\xc0") + 13
        scan = plane.find(b"\xff\xda")
        made += plane[at:scan] + p.jpeg_segment(0xDA, bytes((1, number, 0, 0, 63, 0)))
        made += plane[scan + 10 : -2]
    return made + b"\xff\xd9"


def _damaged(data: bytes, at: float, by: bytes, count: int = 1) -> bytes:
    start = int(len(data) * at)
    return data[:start] + by * count + data[start + len(by) * count :]


def _jpeg() -> Iterator[Case]:
    made = functools.partial(p.encoded, photo(), "JPEG", quality=90)
    base, progressive = made(), made(progressive=True)
    restarts = made(restart_marker_blocks=4)

    group = "JPEG, kinds"
    yield Case(group, "4:2:0", base)
    yield Case(group, "4:2:2", made(subsampling=1))
    yield Case(group, "4:4:4", made(subsampling=0))
    yield Case(group, "4:4:0", _resampled(1, 2))
    yield Case(group, "4:1:1", _resampled(4, 1))
    yield Case(group, "progressive", progressive)
    yield Case(group, "progressive 4:4:4", made(progressive=True, subsampling=0))
    yield Case(group, "a scan for each component", _of_three_scans())
    yield Case(group, "restart markers", restarts)
    yield Case(group, "grey", p.encoded(photo().convert("L"), "JPEG", quality=90))
    yield Case(group, "grey progressive", p.encoded(photo().convert("L"), "JPEG", progressive=True))
    yield Case(group, "RGB", made(keep_rgb=True))
    yield Case(group, "extended", base.replace(b"\xff\xc0", b"\xff\xc1", 1))
    yield Case(group, "quality 1", p.encoded(photo(), "JPEG", quality=1))
    yield Case(group, "without JFIF", _without(base, 0xE0))
    ycc = bytes((1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1))
    assert ycc in base
    for ids in (b"\0\1\2", b"\1\x22\3"):
        at, scan = base.find(ycc), base.find(b"\xff\xda")
        named = bytearray(base)
        for index in range(3):
            named[at + 3 * index] = ids[index]
            named[scan + 5 + 2 * index] = ids[index]
        yield Case(group, f"components {ids.hex()}", bytes(named))
        yield Case(group, f"components {ids.hex()}, without JFIF", _without(bytes(named), 0xE0))
    adobe = p.jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0\1")
    yield Case(group, "Adobe's transform 1", p.jpeg_with(_without(base, 0xE0), adobe))
    yield Case(group, "Adobe's transform 1 and JFIF", p.jpeg_with(base, adobe))
    none = adobe[:-1] + b"\0"
    yield Case(group, "Adobe's transform 0 and JFIF", base[:20] + none + base[20:])
    yield Case(
        group, "Adobe's transform 9", p.jpeg_with(_without(base, 0xE0), adobe[:-1] + b"\x09")
    )
    yield Case(group, "no Huffman tables (a frame of Motion JPEG)", _without(base, 0xC4))

    group = "JPEG, CMYK"
    cmyk = p.encoded(photo().convert("CMYK"), "JPEG", quality=90)
    at = cmyk.find(b"Adobe")
    yield Case(group, "CMYK", cmyk)
    yield Case(group, "CMYK without Adobe's marker", _without(cmyk, 0xEE))
    yield Case(group, "CMYK progressive", p.encoded(photo().convert("CMYK"), "JPEG", progressive=1))
    y, cb, cr = photo().convert("YCbCr").split()
    black = Image.new("L", photo().size, 0)
    # as in Photoshop's: YCbCr of the inverted inks, that is of RGB, and no black, all inverted
    ycck = p.encoded(Image.merge("CMYK", [_inverted(band) for band in (y, cb, cr, black)]), "JPEG")
    at = ycck.find(b"Adobe")
    yield Case(group, "YCCK", ycck[: at + 11] + b"\x02" + ycck[at + 12 :])
    profile = p.cmyk_profile()
    yield Case(
        group,
        "CMYK with a profile",
        p.encoded(photo().convert("CMYK"), "JPEG", quality=95, icc_profile=profile),
    )

    group = "JPEG, orientation"
    for number in range(1, 9):
        for order in "<>":
            turned = made(exif=p.exif(number, order))
            yield Case(group, f"{number}, {order}", turned)
    short = struct.pack("<HH", 6, 0)
    turns = (0x0112, 3, 1, short)
    for name, blocks in {
        "none in an empty EXIF": [_tiff()],
        "0": [_tiff((0x0112, 3, 1, b"\0\0"))],
        "9": [_tiff((0x0112, 3, 1, b"\x09\0"))],
        "LONG, little endian": [_tiff((0x0112, 4, 1, struct.pack("<I", 6)))],
        "LONG, big endian": [_tiff((0x0112, 4, 1, struct.pack(">I", 6)), order=">")],
        "BYTE": [_tiff((0x0112, 1, 1, b"\x06"))],
        "two values": [_tiff((0x0112, 3, 2, struct.pack("<HH", 6, 3)))],
        "no values": [_tiff((0x0112, 3, 0, short))],
        "directory far in": [_tiff(turns, start=200)],
        "named twice": [_tiff(turns, (0x0112, 3, 1, b"\x03\0"))],
        "entries out of order": [_tiff((0x8769, 4, 1, b"\0\0\0\0"), turns)],
        "EXIF cut in the directory": [_tiff(turns)[:-12]],
        "EXIF cut behind the entry": [_tiff(turns)[:-4]],
        "more entries than there are": [
            _tiff(turns).replace(b"\x08\0\0\0\x01\0", b"\x08\0\0\0\xff\x0f")
        ],
        "directory outside": [_tiff(turns).replace(b"\x2a\0\x08\0\0\0", b"\x2a\0\xff\xff\0\0")],
        "byte order XX": [_tiff(turns).replace(b"II", b"XX")],
        "no magic 42": [_tiff(turns).replace(b"II\x2a\0", b"II\0\0")],
        "second block": [_tiff(), _tiff(turns)],
        "second block differs": [_tiff(turns), _tiff((0x0112, 3, 1, b"\x03\0"))],
        "padding byte is FF": [_tiff(turns).replace(b"Exif\0\0", b"Exif\0\xff")],
        "behind XMP": [b"http://ns.adobe.com/xap/1.0/\0<x/>", _tiff(turns)],
        "empty block": [b"Exif\0\0"],
        "only in XMP": [
            b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><tiff:Orientation>6</tiff:Orientation>"
        ],
    }.items():
        yield Case(group, name, _with_exif(base, *blocks))

    group = "JPEG, without its end"
    for name, data in (
        ("baseline", base),
        ("progressive", progressive),
        ("grey", p.encoded(photo().convert("L"), "JPEG", quality=90)),
        ("CMYK", cmyk),
        ("restart markers", restarts),
        ("scans apart", _of_three_scans()),
    ):
        yield Case(group, f"{name}, no EOI", data[:-2])
        yield Case(group, f"{name}, half an EOI", data[:-1])
        yield from _cuts(group, name, data)
    yield Case(group, "only the header", base[: base.find(b"\xff\xda") + 14])
    for name, tail in {"zeros": bytes, "FF": lambda n: b"\xff" * n}.items():
        for share in (0.9, 0.5):
            kept = int(len(base) * share)
            yield Case(group, f"{name} from {share:.0%}", base[:kept] + tail(len(base) - kept))

    group = "JPEG, what the standard allows or readers forgive"
    yield Case(group, "fill bytes", _between_segments(base, b"\xff\xff\xff"))
    yield Case(group, "zeros between segments", _between_segments(base, b"\0\0"))
    yield Case(group, "junk between segments", _between_segments(base, b"junk"))
    yield Case(group, "fill bytes before EOI", base[:-2] + b"\xff" * 9 + base[-2:])
    yield Case(
        group, "fill bytes before each restart", restarts.replace(b"\xff\xd3", b"\xff\xff\xd3")
    )
    yield Case(group, "junk before EOI", base[:-2] + b"\x12\x34" * 9 + base[-2:])
    yield Case(group, "two SOI", base[:2] + base)
    yield Case(
        group,
        "comments and unknown segments",
        p.jpeg_with(
            base,
            *(p.jpeg_segment(marker, b"x" * 99) for marker in (0xFE, 0xE5, 0xEB, 0xEC, 0xED, 0xEF)),
        ),
    )
    yield Case(group, "an empty segment", p.jpeg_with(base, p.jpeg_segment(0xFE, b"")))
    yield Case(group, "restart markers missing", restarts.replace(b"\xff\xd3", b""))
    yield Case(group, "restart markers out of order", restarts.replace(b"\xff\xd3", b"\xff\xd5"))
    yield Case(
        group,
        "a restart interval, and no markers",
        p.jpeg_with(base, p.jpeg_segment(0xDD, b"\0\x40")),
    )
    for at in (0.4, 0.6, 0.9):
        yield Case(group, f"wrong bytes at {at:.0%}", _damaged(base, at, b"\x5a\xa5\x3c", 3))
        yield Case(group, f"a false marker at {at:.0%}", _damaged(base, at, b"\xff\xb7"))
        yield Case(group, f"EOI at {at:.0%}", _damaged(base, at, b"\xff\xd9"))
        yield Case(group, f"progressive, EOI at {at:.0%}", _damaged(progressive, at, b"\xff\xd9"))
        yield Case(group, f"wrong bytes at {at:.0%}, restarts", _damaged(restarts, at, b"\x5a" * 9))
    thumbnail = p.encoded(photo().resize((60, 44)), "JPEG")
    yield Case(
        group,
        "thumbnail in JFXX",
        p.jpeg_with(base, p.jpeg_segment(0xE0, b"JFXX\0\x10" + thumbnail)),
    )
    yield Case(
        group,
        "height 0 and DNL",
        p.jpeg_of_size(base, 240, 0)[:-2]
        + p.jpeg_segment(0xDC, struct.pack(">H", 176))
        + b"\xff\xd9",
    )
    yield Case(group, "arithmetic (by its marker)", base.replace(b"\xff\xc0", b"\xff\xc9", 1))
    at = base.find(b"\xff\xc0") + 4
    yield Case(
        group,
        "12 bits (by its header)",
        base[: at - 3].replace(b"\xff\xc0", b"\xff\xc1")
        + base[at - 3 : at]
        + b"\x0c"
        + base[at + 1 :],
    )
    long = base.find(b"\xff\xda")
    yield Case(group, "two frame headers", p.jpeg_with(base, base[at - 4 : at + 15]))
    yield Case(group, "no quantization table", _without(base, 0xDB))
    del long

    group = "JPEG, what follows"
    noise = random.Random(0).randbytes(1_500_000)
    yield Case(group, "random bytes", base + noise)
    yield Case(group, "random bytes behind progressive", progressive + noise)
    yield Case(
        group, "an MP4", progressive + b"\0\0\0\x18ftypmp42" + noise[:600_000] + b"\xff\xda" * 99
    )
    yield Case(group, "another JPEG", base + thumbnail)
    yield Case(group, "another JPEG behind progressive", progressive + thumbnail * 20)
    yield Case(
        group,
        "MPO",
        p.encoded(photo(), "MPO", quality=90, save_all=True, append_images=[photo().rotate(180)]),
    )
    yield Case(group, "zeros", base + bytes(4096))

    group = "JPEG, ICC profiles"
    for name, profile in {
        "Display P3": p.rgb_profile(p.DISPLAY_P3, 2.2),
        "Adobe RGB": p.rgb_profile(p.ADOBE_RGB, 2.2),
        "gamma 1": p.rgb_profile(p.ADOBE_RGB, 1.0),
        "sRGB": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "grey in colour": p.grey_profile(1.4),
        "CMYK in colour": p.cmyk_profile(),
        "broken": b"not a profile",
        "cut": p.rgb_profile(p.ADOBE_RGB, 1.0)[:200],
    }.items():
        yield Case(group, name, made(icc_profile=profile))
    grey = photo().convert("L")
    yield Case(group, "grey", p.encoded(grey, "JPEG", quality=90, icc_profile=p.grey_profile(1.4)))
    adobe_rgb = p.rgb_profile(p.ADOBE_RGB, 1.0)
    parts = [
        p.jpeg_segment(
            0xE2, b"ICC_PROFILE\0" + bytes((number + 1, 3)) + adobe_rgb[number * 200 :][:200]
        )
        for number in range(3)
    ]
    assert len(adobe_rgb) < 600
    yield Case(group, "in three parts", p.jpeg_with(base, *parts))
    yield Case(group, "parts out of order", p.jpeg_with(base, *parts[::-1]))
    yield Case(group, "a part missing", p.jpeg_with(base, *parts[:2]))


def _inverted(band: Image.Image) -> Image.Image:
    return band.point(lambda level: 255 - level)


# --- PNG --------------------------------------------------------------------------------------


def _packed(samples: NDArray[np.uint16], depth: int) -> bytes:
    """Return rows of samples, each with filter 0."""
    rows = []
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            rows.append(row.astype(">u2").tobytes())
        elif depth == 8:
            rows.append(row.astype(np.uint8).tobytes())
        else:
            bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
            rows.append(np.packbits(bits.astype(np.uint8)).tobytes())
    return b"".join(b"\0" + row for row in rows)


ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def png_of(
    samples: NDArray[np.uint16], depth: int, colour: int, *chunks: bytes, interlaced: bool = False
) -> bytes:
    """Return a PNG of these samples, of shape (height, width, channels)."""
    height, width = samples.shape[:2]
    if interlaced:
        rows = b"".join(
            _packed(part, depth)
            for top, left, down, across in ADAM7
            if (part := samples[top::down, left::across]).size
        )
    else:
        rows = _packed(samples, depth)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    body = (p.png_chunk(b"IHDR", head), *chunks, p.png_chunk(b"IDAT", zlib.compress(rows)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(body) + p.png_chunk(b"IEND", b"")


def _samples(mode: str, depth: int) -> NDArray[np.uint16]:
    picture = _alpha() if mode.endswith("A") else photo()
    pixels = np.asarray(picture.convert(mode), np.uint32)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    wide = pixels * 257
    return (wide if depth == 16 else (wide * (2**depth - 1) + 32767) // 65535).astype(np.uint16)


def _palette(depth: int) -> tuple[NDArray[np.uint16], bytes]:
    few = photo().quantize(2**depth, dither=Image.Dither.NONE)
    palette = few.getpalette() or []
    return np.asarray(few, np.uint16)[..., None], bytes(palette[: 3 * 2**depth])


def png_kinds() -> Iterator[tuple[str, bytes]]:
    """Yield every colour type and depth, plain and interlaced, with and without a tRNS chunk."""
    kinds = [
        *(("grey", 0, "L", depth) for depth in (1, 2, 4, 8, 16)),
        *(("colour", 2, "RGB", depth) for depth in (8, 16)),
        *(("palette", 3, "P", depth) for depth in (1, 2, 4, 8)),
        *(("grey and alpha", 4, "LA", depth) for depth in (8, 16)),
        *(("colour and alpha", 6, "RGBA", depth) for depth in (8, 16)),
    ]
    for name, colour, mode, depth in kinds:
        before: list[bytes] = []
        if mode == "P":
            samples, palette = _palette(depth)
            before = [p.png_chunk(b"PLTE", palette)]
            hidden = p.png_chunk(b"tRNS", bytes((40, 255, 120, 0))[: 2**depth])
        else:
            samples = _samples(mode, depth)
            values = samples.reshape(-1, samples.shape[2])
            common, counts = np.unique(values, axis=0, return_counts=True)
            key = next(
                common[at] for at in counts.argsort()[::-1] if common[at].min() < 2**depth - 1
            )
            hidden = p.png_chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
        for interlaced in (False, True):
            suffix = ", interlaced" if interlaced else ""
            yield (
                f"{name}, {depth} bits{suffix}",
                png_of(samples, depth, colour, *before, interlaced=interlaced),
            )
            if colour in (0, 2, 3):
                yield (
                    f"{name}, {depth} bits, tRNS{suffix}",
                    png_of(samples, depth, colour, *before, hidden, interlaced=interlaced),
                )


CHRM_P3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
CHRM_SRGB = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
CHRM_ADOBE = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)


def png_colours() -> Iterator[tuple[str, list[bytes]]]:
    """Yield the chunks by which a PNG says what its colours mean."""
    gamma = {
        value: p.png_chunk(b"gAMA", struct.pack(">I", value))
        for value in (0, 1, 22727, 45455, 45000, 55556, 100000, 200000, 2**31 - 1)
    }
    srgb = p.png_chunk(b"sRGB", b"\0")
    chrm = {
        name: p.png_chunk(b"cHRM", value)
        for name, value in (("P3", CHRM_P3), ("sRGB", CHRM_SRGB), ("Adobe", CHRM_ADOBE))
    }
    chrm["zeros"] = p.png_chunk(b"cHRM", bytes(32))
    icc = p.png_chunk(b"iCCP", b"x\0\0" + zlib.compress(p.rgb_profile(p.ADOBE_RGB, 1.0)))
    bad = p.png_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"not a profile"))

    def cicp(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> bytes:
        return p.png_chunk(b"cICP", bytes((primaries, transfer, matrix, full)))

    for value, chunk in gamma.items():
        yield f"gAMA {value}", [chunk]
    for name, chunk in chrm.items():
        yield f"cHRM {name}", [chunk]
        yield f"gAMA 45455, cHRM {name}", [gamma[45455], chunk]
        yield f"gAMA 100000, cHRM {name}", [gamma[100000], chunk]
    yield "sRGB", [srgb]
    yield "sRGB, gAMA 100000", [srgb, gamma[100000]]
    yield "gAMA 100000, cHRM P3, sRGB", [gamma[100000], chrm["P3"], srgb]
    yield "iCCP", [icc]
    yield "iCCP, gAMA 22727, cHRM P3", [icc, gamma[22727], chrm["P3"]]
    yield "iCCP, sRGB", [icc, srgb]
    yield "broken iCCP", [bad]
    yield "broken iCCP, gAMA 100000", [bad, gamma[100000]]
    for primaries, transfer in (
        (1, 13),
        (1, 1),
        (1, 4),
        (1, 5),
        (1, 8),
        (12, 13),
        (12, 1),
        (12, 8),
        (9, 1),
        (9, 13),
        (9, 14),
        (9, 15),
        (11, 17),
        (9, 16),
        (9, 18),
        (1, 16),
        (12, 16),
        (2, 2),
        (1, 2),
        (2, 13),
        (4, 4),
        (5, 5),
        (6, 6),
        (7, 7),
        (22, 13),
        (0, 0),
        (99, 99),
        (10, 13),
        (1, 9),
        (1, 10),
        (1, 11),
    ):
        yield f"cICP {primaries}/{transfer}", [cicp(primaries, transfer)]
    yield "cICP 12/13, limited range", [cicp(12, 13, full=0)]
    yield "cICP 12/13, matrix 1", [cicp(12, 13, matrix=1)]
    yield "cICP 12/13, iCCP", [cicp(12, 13), icc]
    yield "iCCP, cICP 12/13", [icc, cicp(12, 13)]
    yield "cICP 12/13, sRGB, gAMA 100000", [cicp(12, 13), srgb, gamma[100000]]
    yield "cICP 2/2, iCCP", [cicp(2, 2), icc]
    yield "cICP 2/2, gAMA 100000", [cicp(2, 2), gamma[100000]]
    yield "cICP too short", [p.png_chunk(b"cICP", b"\x0c\x0d")]
    yield "gAMA too short", [p.png_chunk(b"gAMA", b"\0\1")]


def chunks(png: bytes) -> list[bytes]:
    """Return a PNG's chunks."""
    found, position = [], 8
    while position < len(png):
        end = position + 12 + int.from_bytes(png[position : position + 4], "big")
        found.append(png[position:end])
        position = end
    return found


def _assembled(parts: list[bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _png() -> Iterator[Case]:
    for name, data in png_kinds():
        yield Case("PNG, colour types and depths", name, data)

    base = p.encoded(photo(), "PNG")
    alpha = p.encoded(_alpha(), "PNG")
    grey = p.encoded(photo().convert("L"), "PNG")
    sixteen = png_of(_samples("RGB", 16), 16, 2)
    few, entries = _palette(4)
    for name, before in png_colours():
        data = base[:33] + b"".join(before) + base[33:]
        yield Case("PNG, colour without ICC", name, data)
    chunk = p.png_chunk(b"gAMA", struct.pack(">I", 100000))
    for name, data in (("alpha", alpha), ("grey", grey), ("16 bits", sixteen)):
        yield Case("PNG, colour without ICC", f"{name}, gAMA 100000", data[:33] + chunk + data[33:])
    chunk = p.png_chunk(b"cICP", bytes((9, 16, 0, 1)))
    for name, data in (("alpha", alpha), ("grey", grey), ("16 bits", sixteen)):
        yield Case("PNG, colour without ICC", f"{name}, cICP 9/16", data[:33] + chunk + data[33:])
    chunk = p.png_chunk(b"cICP", bytes((12, 13, 0, 1)))
    palette = png_of(few, 4, 3, chunk, p.png_chunk(b"PLTE", entries))
    yield Case("PNG, colour without ICC", "palette, cICP 12/13", palette)
    palette = png_of(few, 4, 3, p.png_chunk(b"PLTE", entries), chunk)
    yield Case("PNG, colour without ICC", "palette, cICP behind PLTE", palette)
    yield Case("PNG, colour without ICC", "cICP behind IDAT", base[:-12] + chunk + base[-12:])

    group = "PNG, checksums and chunks"
    icc = p.rgb_profile(p.ADOBE_RGB, 1.0)
    keyed = p.encoded(
        photo().quantize(16), "PNG", transparency=3, icc_profile=icc, exif=p.exif(6), dpi=(72, 72)
    )
    for index, chunk in enumerate(chunks(keyed)):
        parts = chunks(keyed)
        parts[index] = chunk[:-4] + b"\0\0\0\0"
        yield Case(group, f"wrong checksum of {chunk[4:8].decode()}", _assembled(parts))
    parts = chunks(base)
    pixels = zlib.decompress(b"".join(part[8:-4] for part in parts if part[4:8] == b"IDAT"))
    stream = zlib.compress(pixels)
    head, end = parts[0], parts[-1]

    def of(*streams: bytes) -> bytes:
        return _assembled([head, *(p.png_chunk(b"IDAT", part) for part in streams), end])

    yield Case(group, "wrong Adler checksum", of(stream[:-4] + b"\0\0\0\0"))
    yield Case(group, "no Adler checksum", of(stream[:-4]))
    yield Case(group, "bytes behind the pixels", of(stream + b"more" * 99))
    yield Case(group, "more rows than said", of(zlib.compress(pixels + pixels[:7210])))
    yield Case(
        group, "IDAT of 1 byte each", of(*(stream[i : i + 1] for i in range(600)), stream[600:])
    )
    yield Case(group, "empty IDATs", of(b"", stream[:5], b"", stream[5:], b""))
    yield Case(
        group,
        "text between IDATs",
        _assembled(
            [
                head,
                p.png_chunk(b"IDAT", stream[:999]),
                p.png_chunk(b"tEXt", b"a\0b"),
                p.png_chunk(b"IDAT", stream[999:]),
                end,
            ]
        ),
    )
    yield Case(group, "unknown chunk", _assembled([head, p.png_chunk(b"abCd", b"x"), *parts[1:]]))
    yield Case(
        group, "unknown critical chunk", _assembled([head, p.png_chunk(b"ABCD", b"x"), *parts[1:]])
    )
    yield Case(group, "Apple's CgBI", _assembled([p.png_chunk(b"CgBI", b"\x50\0\x20\x06"), *parts]))
    yield Case(
        group,
        "bKGD, sBIT, pHYs",
        _assembled(
            [
                head,
                p.png_chunk(b"sBIT", b"\5\6\5"),
                p.png_chunk(b"bKGD", b"\0\xff\0\0\0\0"),
                *parts[1:],
            ]
        ),
    )
    yield Case(group, "bytes behind IEND", base + b"PK\x03\x04" + bytes(1000))
    small = _assembled([head[:-4] + head[-4:], *parts[1:]])
    yield Case(
        group,
        "PLTE in colour",
        _assembled([head, p.png_chunk(b"PLTE", b"\xff\0\0" * 4), *parts[1:]]),
    )
    del small
    yield Case(
        group,
        "palette shorter than its indices",
        png_of(few, 4, 3, p.png_chunk(b"PLTE", entries[:24])),
    )
    yield Case(
        group,
        "tRNS longer than the palette",
        png_of(few, 4, 3, p.png_chunk(b"PLTE", entries), p.png_chunk(b"tRNS", b"\xff" * 99)),
    )
    yield Case(
        group,
        "tRNS before PLTE",
        png_of(few, 4, 3, p.png_chunk(b"tRNS", b"\0\xff"), p.png_chunk(b"PLTE", entries)),
    )
    yield Case(
        group, "tRNS of colour and alpha", alpha[:33] + p.png_chunk(b"tRNS", bytes(6)) + alpha[33:]
    )
    yield Case(group, "wide zlib window byte", of(b"\x78" + stream[1:]))
    yield Case(
        group,
        "IHDR longer than 13",
        _assembled([p.png_chunk(b"IHDR", head[8:21] + b"\0"), *parts[1:]]),
    )

    group = "PNG, orientation"
    for number in range(1, 9):
        yield Case(group, f"{number}", p.encoded(photo(), "PNG", exif=p.exif(number)))
    turn = p.png_chunk(b"eXIf", p.exif(6)[6:])
    yield Case(group, "behind the pixels", base[:-12] + turn + base[-12:])
    yield Case(
        group, "with Exif's own signature", base[:33] + p.png_chunk(b"eXIf", p.exif(6)) + base[33:]
    )

    group = "PNG, without its end"
    interlaced = png_of(_samples("RGB", 8), 8, 2, interlaced=True)
    for name, data in (
        ("colour", base),
        ("interlaced", interlaced),
        ("alpha", alpha),
        ("16 bits", sixteen),
    ):
        yield Case(group, f"{name}, no IEND", data[:-12])
        yield Case(group, f"{name}, half an IEND", data[:-6])
        yield from _cuts(group, name, data)
        yield from _cuts(group, f"{name}, then IEND", data[:-12])
    for share in CUTS:
        rows = pixels[: int(176 * share) * 721]
        yield Case(group, f"{share:.0%} of the rows", of(zlib.compress(rows)))
    yield Case(group, "wrong bytes at half", of(_damaged(stream, 0.5, b"\x5a" * 9)))
    yield Case(group, "wrong bytes at 90%", of(_damaged(stream, 0.9, b"\x5a" * 9)))

    group = "PNG, animations"
    others = [photo().rotate(90), photo().rotate(180)]
    yield Case(
        group,
        "default image in the animation",
        p.encoded(photo(), "PNG", save_all=True, append_images=others),
    )
    outside = p.encoded(photo(), "PNG", save_all=True, default_image=True, append_images=others)
    yield Case(group, "default image outside", outside)
    empty = Image.new("RGBA", photo().size, (0, 0, 0, 0))
    rgba = photo().convert("RGBA")
    yield Case(
        group,
        "default image outside, empty",
        p.encoded(empty, "PNG", save_all=True, default_image=True, append_images=[rgba, *others]),
    )
    yield Case(
        group,
        "first frame empty",
        p.encoded(empty, "PNG", save_all=True, append_images=[rgba, rgba.rotate(90)], disposal=1),
    )
    yield Case(group, "no frames", _assembled([head, p.png_chunk(b"acTL", bytes(8)), *parts[1:]]))
    yield Case(group, "cut in the second frame", outside[: int(len(outside) * 0.6)])


# --- GIF --------------------------------------------------------------------------------------


def _gif() -> Iterator[Case]:
    few = photo().quantize(200, dither=Image.Dither.NONE)
    base = p.encoded(few, "GIF", interlace=0)
    interlaced = p.encoded(few, "GIF", interlace=1)
    start = base.find(b"\x2c" + bytes(4) + struct.pack("<HH", 240, 176))
    group = "GIF"
    yield Case(group, "plain", base)
    yield Case(group, "interlaced", interlaced)
    yield Case(group, "87a", b"GIF87a" + base[6:])
    yield Case(group, "89a", b"GIF89a" + base[6:])
    yield Case(group, "grey", p.encoded(photo().convert("L"), "GIF"))
    yield Case(group, "transparent colour", p.encoded(few, "GIF", transparency=3))
    yield Case(
        group, "transparent, background", p.encoded(few, "GIF", transparency=3, background=7)
    )
    yield Case(group, "comment", p.encoded(few, "GIF", comment=b"hello"))
    local = base[:10] + bytes([base[10] & 0x7F]) + base[11:13] + base[781 : start + 9]
    local += bytes([0x80 | 7]) + base[13:781] + base[start + 10 :]
    yield Case(group, "local palette", local)
    yield Case(group, "screen of 0 x 0", base[:6] + bytes(4) + base[10:])
    yield Case(
        group, "screen smaller than the frame", base[:6] + struct.pack("<HH", 120, 90) + base[10:]
    )
    for left, top in ((0, 0), (40, 24)):
        wide = base[:6] + struct.pack("<HH", 300, 230) + base[10:]
        wide = wide[: start + 1] + struct.pack("<HH", left, top) + wide[start + 5 :]
        yield Case(group, f"frame at {left}, {top} of a larger screen", wide)
    beyond = base[: start + 1] + struct.pack("<HH", 40, 20) + base[start + 5 :]
    yield Case(group, "frame beyond the screen", beyond)
    yield Case(group, "bytes behind the trailer", base + b"%PDF-1.7" * 50)
    no_palette = base[:10] + bytes([base[10] & 0x7F]) + base[11:13] + base[781:]
    yield Case(group, "no palette at all", no_palette)

    group = "GIF, without its end"
    yield Case(group, "no trailer", base[:-1])
    yield Case(group, "no terminator", base[:-2])
    yield from _cuts(group, "plain", base)
    yield from _cuts(group, "interlaced", interlaced)
    yield Case(group, "wrong bytes at 60%", _damaged(base, 0.6, b"\x5a\xa5\x3c"))
    yield Case(group, "zeros from 90%", base[: len(base) * 9 // 10] + bytes(len(base) // 10))

    group = "GIF, animations"
    frames = [photo().rotate(90), photo().rotate(180)]
    moving = p.encoded(photo(), "GIF", save_all=True, append_images=frames)
    yield Case(group, "three frames", moving)
    yield Case(group, "cut in the second frame", moving[: int(len(moving) * 0.5)])
    empty = Image.new("RGBA", photo().size, (0, 0, 0, 0))
    rgba = photo().convert("RGBA")
    yield Case(
        group,
        "first frame empty",
        p.encoded(empty, "GIF", save_all=True, append_images=[rgba, rgba.rotate(90)], disposal=2),
    )
    yield Case(
        group,
        "two frames empty",
        p.encoded(empty, "GIF", save_all=True, append_images=[_speck(), rgba], disposal=2),
    )


def _speck() -> Image.Image:
    speck = Image.new("RGBA", photo().size, (0, 0, 0, 0))
    speck.putpixel((0, 0), (1, 2, 3, 255))
    return speck


# --- WebP -------------------------------------------------------------------------------------


def _riff(body: bytes, size: int | None = None) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 4 if size is None else size) + b"WEBP" + body


def _webp() -> Iterator[Case]:
    lossy = p.encoded(photo(), "WEBP", quality=90)
    lossless = p.encoded(photo(), "WEBP", lossless=True)
    alpha = p.encoded(_alpha(), "WEBP", quality=90)
    group = "WebP"
    yield Case(group, "lossy", lossy)
    yield Case(group, "lossless", lossless)
    yield Case(group, "lossy with alpha", alpha)
    yield Case(group, "lossless with alpha", p.encoded(_alpha(), "WEBP", lossless=True))
    for name, profile in {
        "Display P3": p.rgb_profile(p.DISPLAY_P3, 2.2),
        "gamma 1": p.rgb_profile(p.ADOBE_RGB, 1.0),
        "broken profile": b"not a profile",
    }.items():
        yield Case(group, name, p.encoded(photo(), "WEBP", quality=90, icc_profile=profile))
    yield Case(group, "RIFF says too little", _riff(lossy[12:], 100))
    yield Case(group, "RIFF says nothing", _riff(lossy[12:], 0))
    yield Case(group, "RIFF says 4 too little", _riff(lossy[12:], len(lossy) - 12))
    yield Case(group, "RIFF says too much", _riff(lossy[12:], len(lossy) + 99))
    yield Case(group, "RIFF says far too much", _riff(lossy[12:], 2**32 - 10))
    yield Case(group, "bytes behind", lossy + bytes(1000))
    yield Case(group, "bytes behind, counted", _riff(lossy[12:] + bytes(1000)))
    yield Case(group, "unknown chunk", _riff(alpha[12:30] + b"abcd\4\0\0\0xxxx" + alpha[30:]))
    yield Case(group, "lossless, RIFF says too much", _riff(lossless[12:], len(lossless) + 99))
    yield Case(group, "lossless, RIFF says 2 too little", _riff(lossless[12:], len(lossless) - 10))
    canvas = (
        b"VP8X"
        + struct.pack("<II", 10, 0)
        + struct.pack("<I", 239)[:3]
        + struct.pack("<I", 175)[:3]
    )
    yield Case(group, "extended, no flags", _riff(canvas + lossy[12:]))
    yield Case(
        group,
        "profile behind the pixels",
        _riff(
            canvas[:8]
            + b"\x20"
            + canvas[9:]
            + lossy[12:]
            + b"ICCP"
            + struct.pack("<I", 4)
            + b"nope"
        ),
    )
    group = "WebP, orientation"
    for number in range(1, 9):
        yield Case(group, f"{number}", p.encoded(photo(), "WEBP", quality=90, exif=p.exif(number)))
    group = "WebP, without its end"
    for name, data in (("lossy", lossy), ("lossless", lossless), ("alpha", alpha)):
        yield Case(group, f"{name}, without 1 byte", data[:-1])
        yield Case(group, f"{name}, without 8 bytes", data[:-8])
        yield from _cuts(group, name, data)
    group = "WebP, animations"
    frames = {"save_all": True, "append_images": [photo().rotate(90), photo().rotate(180)]}
    moving = p.encoded(photo(), "WEBP", quality=90, **frames)
    yield Case(group, "three frames", moving)
    yield Case(group, "cut in the second frame", moving[: int(len(moving) * 0.5)])
    yield Case(group, "cut in the last frame", moving[:-20])
    empty = Image.new("RGBA", photo().size, (0, 0, 0, 0))
    yield Case(
        group,
        "first frame empty",
        p.encoded(
            empty, "WEBP", lossless=True, save_all=True, append_images=[photo(), photo().rotate(90)]
        ),
    )


# --- AVIF -------------------------------------------------------------------------------------


def nclx(avif: bytes, primaries: int, transfer: int) -> bytes:
    """Return an AVIF that says its colours otherwise than its stream."""
    at = avif.find(b"colrnclx")
    assert at > 0
    return avif[: at + 8] + struct.pack(">HH", primaries, transfer) + avif[at + 12 :]


def _avif() -> Iterator[Case]:
    made = functools.partial(p.encoded, photo(), "AVIF", quality=90, speed=8)
    base, alpha = made(), p.encoded(_alpha(), "AVIF", quality=90, speed=8)
    group = "AVIF"
    for subsampling in ("4:2:0", "4:2:2", "4:4:4", "4:0:0"):
        yield Case(group, subsampling, made(subsampling=subsampling))
    yield Case(group, "limited range", made(range="limited"))
    yield Case(group, "alpha", alpha)
    yield Case(
        group,
        "alpha premultiplied",
        p.encoded(_alpha(), "AVIF", quality=90, speed=8, alpha_premultiplied=True),
    )
    yield Case(group, "bytes behind", base + bytes(1000))
    yield Case(group, "a box behind", base + struct.pack(">I4s", 1008, b"free") + bytes(1000))
    for name, profile in {
        "Display P3": p.rgb_profile(p.DISPLAY_P3, 2.2),
        "gamma 1": p.rgb_profile(p.ADOBE_RGB, 1.0),
        "broken profile": b"not a profile",
    }.items():
        yield Case(group, name, made(icc_profile=profile))
    if DATA.exists():
        for file in sorted(DATA.glob("*.avif")):
            yield Case("AVIF, other encoders", file.stem.replace("_", " "), file.read_bytes())
    group = "AVIF, colour without ICC"
    for primaries, transfer in (
        (1, 13),
        (1, 1),
        (1, 4),
        (1, 5),
        (1, 8),
        (12, 13),
        (12, 1),
        (12, 8),
        (9, 1),
        (9, 13),
        (9, 14),
        (11, 17),
        (9, 16),
        (9, 18),
        (1, 16),
        (1, 18),
        (12, 16),
        (2, 2),
        (2, 13),
        (1, 2),
        (4, 4),
        (5, 5),
        (6, 6),
        (22, 13),
    ):
        yield Case(group, f"nclx {primaries}/{transfer}", nclx(base, primaries, transfer))
    yield Case(group, "nclx 12/13, alpha", nclx(alpha, 12, 13))
    yield Case(group, "nclx 9/16, alpha", nclx(alpha, 9, 16))
    yield Case(group, "nclx 9/16, 4:0:0", nclx(made(subsampling="4:0:0"), 9, 16))
    group = "AVIF, orientation"
    for number in range(1, 9):
        yield Case(group, f"{number}", made(exif=p.exif(number)))
    group = "AVIF, without its end"
    for name, data in (("colour", base), ("alpha", alpha)):
        yield Case(group, f"{name}, without 1 byte", data[:-1])
        yield from _cuts(group, name, data)
    group = "AVIF, animations"
    moving = made(save_all=True, append_images=[photo().rotate(90), photo().rotate(180)])
    yield Case(group, "three frames", moving)
    yield Case(group, "cut in the last frame", moving[:-20])
    yield Case(group, "cut in the second frame", moving[: int(len(moving) * 0.6)])
    empty = Image.new("RGBA", photo().size, (0, 0, 0, 0))
    yield Case(
        group,
        "first frame empty",
        p.encoded(
            empty,
            "AVIF",
            quality=90,
            speed=8,
            save_all=True,
            append_images=[photo().convert("RGBA"), photo().convert("RGBA").rotate(90)],
        ),
    )


# --- what else there is -----------------------------------------------------------------------


def _others() -> Iterator[Case]:
    group = "Transparent"
    white = Image.new("RGBA", (200, 200), (255, 255, 255, 0))
    ImageDraw.Draw(white).ellipse((40, 40, 160, 160), fill=(255, 255, 255, 255))
    black = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    ImageDraw.Draw(black).ellipse((40, 40, 160, 160), fill=(0, 0, 0, 255))
    red = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    ImageDraw.Draw(red).ellipse((40, 40, 160, 160), fill=(230, 20, 20, 255))
    nothing = Image.new("RGBA", (200, 200), (9, 9, 9, 0))
    for kind in ("PNG", "WEBP", "AVIF", "GIF"):
        for name, picture in (
            ("white logo", white),
            ("black logo", black),
            ("red logo", red),
            ("nothing", nothing),
        ):
            yield Case(group, f"{kind}, {name}", p.encoded(picture, kind, lossless=True))
    group = "Other formats"
    for kind in ("BMP", "TIFF", "ICO", "JPEG2000", "PPM"):
        yield Case(group, kind, p.encoded(photo(), kind))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    yield Case(group, "SVG", svg)
    brands = b"heic\0\0\0\0mif1heic"
    yield Case(group, "HEIC (its signature)", struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands)


def averages(picture: bytes) -> NDArray[np.float64]:
    """Return the averages of 64 by 64 cells of a picture of 512 by 512."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), float)
    return pixels.reshape(64, 8, 64, 8, 3).mean((1, 3))
