"""Pictures, colour profiles and hostile files, all made here."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image, ImageDraw

RED, GREEN, BLUE, YELLOW = (210, 40, 40), (40, 170, 60), (40, 60, 200), (220, 210, 40)
MARGIN = (255, 0, 255)
"""Colour of what a centre crop must not show."""

EXIF_TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is turned before it is stored with that orientation."""


def card(side: int = 240, margin: int = 60) -> Image.Image:
    """Return a square of four colours, wider by a margin on the left and on the right.

    From the upper left, by rows: red, green, blue, yellow.
    """
    picture = Image.new("RGB", (side + 2 * margin, side), MARGIN)
    draw = ImageDraw.Draw(picture)
    half = side // 2
    for index, colour in enumerate((RED, GREEN, BLUE, YELLOW)):
        left, top = margin + half * (index % 2), half * (index // 2)
        draw.rectangle((left, top, left + half - 1, top + half - 1), fill=colour)
    return picture


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the picture as a file of Pillow's format ``kind``."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int, order: str = "<") -> bytes:
    """Return an EXIF block with an orientation, a camera's name and a place."""
    maker = b"Spy Camera\0"
    entries = [(0x010F, 2, len(maker), 62), (0x0112, 3, 1, orientation), (0x8825, 4, 1, 80)]
    shift = 16 if order == ">" else 0
    directory = b"".join(
        struct.pack(order + "HHI", tag, kind, count)
        + struct.pack(order + "I", value << shift if kind == 3 else value)
        for tag, kind, count, value in entries
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    body = head + struct.pack(order + "H", len(entries)) + directory + bytes(4)
    return b"Exif\0\0" + body.ljust(62, b"\0") + maker + bytes(40)


def exif_bomb(entries: int = 5000) -> bytes:
    """Return an EXIF block each of whose tags claims the whole block as its value."""
    directory = b"".join(
        struct.pack("<HHII", 0x1000 + index, 1, 12 * entries, 8) for index in range(entries)
    )
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", entries) + directory + bytes(4)


# --- ICC profiles (ICC.1:2001-04) -------------------------------------------------------------

DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""Red, green and blue in XYZ, adapted to D50."""


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        **tags,
    }
    table, body = b"", b""
    offset = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += struct.pack(">4sII", name, offset + len(body), len(value))
        body += value
    head = struct.pack(">II4s4s4s", 0x02400000, 0, b"mntr", space, connection)
    head = struct.pack(">I4s", offset + len(body), b"test") + head[:4] + head[8:]
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))


def _gamma(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def rgb_profile(primaries: Sequence[tuple[float, float, float]], gamma: float) -> bytes:
    """Return the profile of a colour space with these primaries (XYZ at D50) and this gamma."""
    tags = {
        name + b"XYZ": _xyz(*xyz) for name, xyz in zip((b"r", b"g", b"b"), primaries, strict=True)
    }
    tags |= {name + b"TRC": _gamma(gamma) for name in (b"r", b"g", b"b")}
    return _profile(b"RGB ", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    """Return the profile of a grey scale with this gamma."""
    return _profile(b"GRAY", b"XYZ ", {b"kTRC": _gamma(gamma)})


CMYK_INKS = {0: (96, 0, 0), 1: (58, -30, -44), 2: (50, 68, -4), 4: (88, -4, 86), 8: (18, 0, 0)}
"""Paper and the single inks in Lab: bit 0 is cyan, then magenta, yellow and black."""


def cmyk_profile() -> bytes:
    """Return a profile for print, in which any two inks make black."""
    ramp = bytes(range(256))
    nodes = b""
    for cell in range(16):  # the first channel varies slowest
        inks = sum(1 << bit for bit in range(4) if cell >> (3 - bit) & 1)
        lightness, a, b = CMYK_INKS.get(inks, (0, 0, 0))
        nodes += bytes((round(lightness * 2.55), a + 128, b + 128))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + ramp * 4 + nodes + ramp * 3
    return _profile(b"CMYK", b"Lab ", {b"A2B0": table})


# --- hostile files ----------------------------------------------------------------------------


def png_chunk(name: bytes, body: bytes) -> bytes:
    """Return one PNG chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """Return a PNG of these chunks, which need not fit the size."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + png_chunk(b"IEND", b"")


def jpeg_segment(marker: int, body: bytes) -> bytes:
    """Return one JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg_with(data: bytes, *segments: bytes) -> bytes:
    """Return a JPEG with these segments put first."""
    return data[:2] + b"".join(segments) + data[2:]


def jpeg_of_size(data: bytes, width: int, height: int) -> bytes:
    """Return a JPEG whose header claims another size."""
    at = next(
        data.find(bytes((0xFF, kind))) for kind in (0xC0, 0xC2) if bytes((0xFF, kind)) in data
    )
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def avif_of_size(data: bytes, width: int, height: int) -> bytes:
    """Return an AVIF whose container claims another size than its stream."""
    at = data.find(b"ispe")
    return data[: at + 8] + struct.pack(">II", width, height) + data[at + 16 :]


def _of_empty_frames(gif: bytes) -> tuple[bytes, str]:
    control = b"\x21\xf9\4\1\0\0\0\0"
    frame = control + b"\x2c" + bytes(4) + b"\1\0\1\0\0" + b"\2\2\x44\1\0"
    return b"GIF89a\1\0\1\0\x80\0\0" + gif[13:19] + frame * 40_000 + b";", "nothing_visible"


def hostile() -> Iterator[tuple[str, bytes, str]]:
    """Yield files as (what it is, bytes, the rejection's code)."""
    small = Image.effect_noise((64, 48), 60).convert("RGB")
    files = {kind: encoded(small, kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "AVIF")}
    jpeg = files["JPEG"]
    progressive = encoded(small, "JPEG", progressive=True)

    yield "empty", b"", "empty"
    yield "one byte", b"\xff", "unsupported_format"
    yield "zeros", bytes(1000), "unsupported_format"
    yield "text", b"hello, I am a picture", "unsupported_format"
    yield "HTML", b"<!doctype html><script>alert(1)</script>", "unsupported_format"
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    yield "SVG", svg, "unsupported_format"
    yield "PDF", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", "unsupported_format"
    yield "ZIP", b"PK\x03\x04" + bytes(60), "unsupported_format"
    yield "BMP", encoded(small, "BMP"), "unsupported_format"
    yield "TIFF", encoded(small, "TIFF"), "unsupported_format"
    yield "JPEG 2000", encoded(small, "JPEG2000"), "unsupported_format"
    yield "EPS", encoded(small, "EPS"), "unsupported_format"
    brands = b"heic\0\0\0\0mif1heic"
    yield "HEIC", struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands, "unsupported_heic"
    yield "MP4", struct.pack(">I", 20) + b"ftypisom" + bytes(40), "unsupported_format"
    yield "33 MiB", jpeg + bytes(33 * 2**20), "too_many_bytes"

    for kind, data in files.items():
        for share in {"GIF": (0.1,), "WEBP": (0.5, 0.9), "AVIF": (0.5, 0.9)}.get(kind, (0.1, 0.3)):
            cut = data[: max(12, int(len(data) * share))]
            yield f"{kind} cut at {share:.0%}", cut, "damaged"
        yield f"{kind} signature alone", data[:16], "damaged"

    yield "JPEG of 0 x 0", jpeg_of_size(jpeg, 0, 0), "damaged"
    yield "JPEG of 65535 x 65535", jpeg_of_size(jpeg, 65535, 65535), "too_many_pixels"
    yield "JPEG of 65535 x 1", jpeg_of_size(jpeg, 65535, 1), "too_many_pixels"
    yield "progressive JPEG of 120 MP", jpeg_of_size(progressive, 12000, 10000), "too_many_pixels"
    yield "JPEG of two frames", jpeg_with(jpeg, jpeg[jpeg.find(b"\xff\xc0") :][:19]), "damaged"
    arithmetic = jpeg.replace(b"\xff\xc0", b"\xff\xc9", 1)
    yield "arithmetic JPEG", arithmetic, "unsupported_format"
    comments = jpeg_segment(0xFE, b"") * 2000
    yield "JPEG of 2000 comments", jpeg_with(jpeg, comments), "too_complex"
    scan = progressive[progressive.rfind(b"\xff\xda") : -2]
    yield "JPEG of 100 scans", progressive[:-2] + scan * 100 + b"\xff\xd9", "too_complex"
    at = jpeg.find(b"\xff\xc0") + 9
    yield "JPEG of no components", jpeg[:at] + b"\0" + jpeg[at + 1 :], "damaged"
    unsampled = jpeg[: at + 2] + b"\x10" + jpeg[at + 3 :]
    yield "JPEG of components without pixels", unsampled, "damaged"
    yield "JPEG without a scan", jpeg[: jpeg.find(b"\xff\xda")] + b"\xff\xd9", "damaged"

    zeros = zlib.compress(bytes(10**7), 9)
    yield "PNG of 900 MP", png(30000, 30000, png_chunk(b"IDAT", zeros)), "too_many_pixels"
    yield (
        "PNG of 2147483647 x 2147483647",
        png(2**31 - 1, 2**31 - 1, png_chunk(b"IDAT", zeros)),
        "too_many_pixels",
    )
    yield "PNG of 0 x 0", png(0, 0, png_chunk(b"IDAT", zeros)), "damaged"
    yield "PNG without pixels", png(9, 9), "damaged"
    yield "PNG of odd depth", png(9, 9, png_chunk(b"IDAT", zeros), depth=3), "damaged"
    yield "PNG of odd colour", png(9, 9, png_chunk(b"IDAT", zeros), colour=5), "damaged"
    yield "PNG of garbage", png(9, 9, png_chunk(b"IDAT", b"garbage")), "damaged"
    yield "PNG of too few rows", png(9, 9, png_chunk(b"IDAT", zlib.compress(b"0"))), "damaged"
    empty = png_chunk(b"tEXt", b"")
    yield "PNG of 60,000 chunks", png(9, 9, empty * 60_000), "too_complex"
    no_palette = png(9, 9, png_chunk(b"IDAT", zeros), colour=3)
    yield "PNG of palette without one", no_palette, "damaged"

    gif = files["GIF"]
    wide = gif[:6] + struct.pack("<HH", 65535, 65535) + gif[10:]
    yield "GIF of 65535 x 65535", wide, "too_many_pixels"
    frame = gif.find(b"\x2c", 13 + 768)
    far = gif[: frame + 1] + struct.pack("<4H", 65000, 65000, 64, 48) + gif[frame + 9 :]
    yield "GIF with its frame far out", far, "too_many_pixels"
    comment = b"\x21\xfe" + b"\x01x" * 60_000 + b"\0"
    yield "GIF of 60,000 comments", gif[:frame] + comment + gif[frame:], "too_complex"
    yield "GIF without a frame", gif[:frame] + b";", "damaged"

    canvas = b"VP8X" + struct.pack("<II", 10, 0) + b"\xff\xff\xff" * 2
    bomb = b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    yield "WebP of 16777216 x 16777216", bomb, "too_many_pixels"
    lossless = encoded(small, "WEBP", lossless=True)
    large = lossless[:21] + struct.pack("<I", 0x0FFFFFFF) + lossless[25:]
    yield "WebP of 16384 x 16384", large, "too_many_pixels"
    yield "GIF of 40,000 empty frames", *_of_empty_frames(gif)
    nothing = Image.new("RGBA", (9, 9), (1, 2, 3, 0))
    yield "transparent PNG", encoded(nothing, "PNG"), "nothing_visible"
    large = Image.new("RGBA", (5000, 5000))
    empty = encoded(large, "PNG", save_all=True, append_images=[large] * 2)
    control = png_chunk(b"fcTL", struct.pack(">5I2HBB", 0, 5000, 5000, 0, 0, 1, 1, 0, 0))
    pixels = empty[empty.find(b"IDAT") - 4 : empty.rfind(b"IEND") - 4]
    data = png_chunk(b"fdAT", bytes(4) + pixels[8:-4])
    head = (png_chunk(b"acTL", struct.pack(">II", 90, 0)), control, pixels)
    animated = png(5000, 5000, *head, *[control, data] * 90, colour=6)
    yield "PNG of 90 empty frames of 25 MP", animated, "nothing_visible"
    outside = png_chunk(b"fcTL", struct.pack(">5I2HBB", 0, 2**31, 2**31, 9, 9, 1, 1, 0, 0))
    only = png(9, 9, png_chunk(b"acTL", struct.pack(">II", 9, 0)), outside, data)
    yield "PNG of frames outside it", only, "damaged"
    row = b"\0" + bytes(7000 * 4)
    cut = png(7000, 7000, png_chunk(b"IDAT", zlib.compress(row * 2000)), colour=6)
    yield "PNG of 49 MP without its last rows", cut, "damaged"
    yield "JPEG cut and 46 MP long", jpeg_of_size(jpeg, 30000, 1534)[:-40], "damaged"
    start = progressive[: progressive.find(b"\xff\xda") + 40]
    yield "progressive JPEG without its first scan", start, "damaged"
    yield "progressive JPEG of a million markers", start + b"\xff\xfe\0\2" * 1_000_000, "damaged"
    boxes = struct.pack(">I4s", 8, b"free") * 1_000_000
    yield "AVIF of a million boxes", files["AVIF"][:32] + boxes + files["AVIF"][32:], "damaged"
    yield "AVIF of 16000 x 16000", avif_of_size(files["AVIF"], 16000, 16000), "too_many_pixels"
