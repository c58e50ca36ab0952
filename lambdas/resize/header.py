"""Read a file's header before any decoder sees it, hold it to limits, and leave out the rest.

Pillow's own parsers take 9 s for 10 MB of empty JPEG comments, and read EXIF, texts and
thumbnails that nobody asked for. So the segments are walked here, in a bounded number of steps,
and Pillow is given only those that decoding needs.

Sources: ITU-T T.81 (JPEG), PNG third edition, GIF89a, RFC 9649 (WebP), TIFF 6.0 (EXIF).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from resize.rejection import AvatarRejected

MAX_BYTES = 32 * 2**20
MAX_SIDE = 30_000
MAX_PIXELS = {
    "JPEG": 120_000_000,
    "PNG": 50_000_000,
    "GIF": 50_000_000,
    "WEBP": 25_000_000,
    "AVIF": 20_000_000,
}
"""Pixels by format, chosen so that no accepted file makes the process exceed 512 MiB."""

MAX_COEFFICIENTS = 120_000_000
"""In a JPEG of several scans, which is held whole, as two bytes each, until the last scan."""

MAX_JPEG_SEGMENTS = 1_000
MAX_JPEG_SCANS = 30
MAX_CHUNKS = 50_000
"""Chunks of a PNG or WebP; blocks of a GIF before its first frame."""

MAX_PROFILE_BYTES = 4 * 2**20
"""A larger ICC profile is ignored; those for print have up to 2 MB."""


class Header(NamedTuple):
    """What is known of a picture before it is decoded.

    Attributes
    ----------
    kind : str
        A key of `MAX_PIXELS`.
    width, height : int
        Size in pixels, as stored.
    parts : tuple of memoryview or bytes
        What the decoder is to read, one after the other.
    orientation : int
        As in EXIF, 1 to 8.
    profile : bytes or None
        The ICC profile.
    is_ycc : bool
        Whether this is a JPEG with one luma and two chroma components, numbered 1 to 3.
    is_progressive : bool
        Whether this is a progressive JPEG.
    """

    kind: str
    width: int
    height: int
    parts: tuple[bytes | memoryview, ...]
    orientation: int = 1
    profile: bytes | None = None
    is_ycc: bool = False
    is_progressive: bool = False


class Parts(io.RawIOBase):
    """Several byte strings read as one file, without joining them."""

    def __init__(self, parts: tuple[bytes | memoryview, ...]) -> None:
        self._parts = [memoryview(part) for part in parts]
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, from one part or across several."""
        start, end = self._position, self._position + size if size >= 0 else 2**63
        taken = []
        offset = 0
        for part in self._parts:
            if start < offset + len(part) and end > offset:
                taken.append(part[max(start - offset, 0) : end - offset])
            offset += len(part)
        found = b"".join(taken)
        self._position += len(found)
        return found

    def seek(self, position: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to ``position`` bytes from the start, from here, or from the end."""
        origin = (0, self._position, sum(len(part) for part in self._parts))[whence]
        self._position = origin + position
        return self._position

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position


def read_header(data: bytes) -> Header:
    """Tell the format by its signature, whatever the name says, and read the header.

    Raises
    ------
    AvatarRejected
        If the format isn't accepted, the header is broken, or a limit is exceeded.
    """
    if not data:
        raise AvatarRejected("empty")
    if len(data) > MAX_BYTES:
        raise AvatarRejected("too_many_bytes")
    try:
        if data.startswith(b"\xff\xd8\xff"):
            header = _jpeg(data)
        elif data.startswith(b"\x89PNG\r\n\x1a\n"):
            header = _png(data)
        elif data.startswith((b"GIF87a", b"GIF89a")):
            header = _gif(data)
        elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            header = _webp(data)
        elif data[4:8] == b"ftyp":
            header = _avif(data)
        else:
            raise AvatarRejected("unsupported_format")
    except (struct.error, IndexError) as error:
        raise AvatarRejected("damaged") from error
    if header.width < 1 or header.height < 1:
        raise AvatarRejected("damaged")
    if max(header.width, header.height) > MAX_SIDE:
        raise AvatarRejected("too_many_pixels")
    if header.width * header.height > MAX_PIXELS[header.kind]:
        raise AvatarRejected("too_many_pixels")
    return header


def _at_most(count: int) -> Iterator[None]:
    for _ in range(count):
        yield
    raise AvatarRejected("too_complex")


_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: what browsers show
_OTHER_FRAMES = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_TABLES = (0xC4, 0xDB, 0xDD)  # Huffman, quantization, restart interval
_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length


def _jpeg(data: bytes) -> Header:
    view = memoryview(data)
    kept: list[memoryview] = [view[:2]]
    profile_parts: dict[int, bytes] = {}
    frame, exif, adobe = b"", b"", b""
    position = 2
    for _ in _at_most(MAX_JPEG_SEGMENTS):
        position = data.find(b"\xff", position)
        if position < 0:
            raise AvatarRejected("damaged")
        marker = data[position + 1]
        if marker in (0x00, 0xFF) or marker in _ALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker == 0xD9 or marker in _OTHER_FRAMES:
            raise AvatarRejected("damaged" if marker == 0xD9 else "unsupported_format")
        (length,) = struct.unpack_from(">H", data, position + 2)
        segment = view[position : position + 2 + length]
        if len(segment) < 2 + length or length < 2:
            raise AvatarRejected("damaged")
        body = bytes(segment[4:])
        position += 2 + length
        if marker in _FRAMES:
            if frame:
                raise AvatarRejected("damaged")
            frame = bytes([marker]) + body
            kept.append(segment)
        elif marker in _TABLES or (marker == 0xE0 and body.startswith(b"JFIF\0")):
            kept.append(segment)
        elif marker == 0xEE and body.startswith(b"Adobe") and not adobe:
            adobe = body
            kept.append(segment)
        elif marker == 0xE1 and body.startswith(b"Exif\0\0") and not exif:
            exif = body[6:]
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            profile_parts[body[12]] = body[14:]
        elif marker == 0xDA:
            break
    if not frame:
        raise AvatarRejected("damaged")
    height, width, count = struct.unpack_from(">HHB", frame, 2)
    components = [struct.unpack_from(">BB", frame, 7 + 3 * index) for index in range(count)]
    areas = [(sampling >> 4) * (sampling & 15) for _, sampling in components]
    if count not in (1, 3, 4) or not all(areas):
        raise AvatarRejected("damaged")
    in_scan, is_progressive = body[0], frame[0] == 0xC2
    if is_progressive or in_scan < count:  # several scans
        if width * height * sum(areas) / max(areas) > MAX_COEFFICIENTS:
            raise AvatarRejected("too_many_pixels")
        if data.count(b"\xff\xda", position) > MAX_JPEG_SCANS:
            raise AvatarRejected("too_complex")
    profile = b"".join(profile_parts[number] for number in sorted(profile_parts))
    return Header(
        "JPEG",
        width,
        height,
        (b"".join((*kept, segment)), view[position:]),
        orientation=_orientation(exif),
        profile=profile or None,
        # The identifiers that JFIF demands; Adobe's transform 0 means RGB.
        is_ycc=[name for name, _ in components] == [1, 2, 3] and adobe[11:12] != b"\0",
        is_progressive=is_progressive,
    )


def _png(data: bytes) -> Header:
    view = memoryview(data)
    kept = [view[:8]]
    profile, exif = b"", b""
    position, pixels_start, pixels_end = 8, 0, 0
    width, height = struct.unpack_from(">II", data, 16)
    for _ in _at_most(MAX_CHUNKS):
        length, name = struct.unpack_from(">I4s", data, position)
        start, position = position, position + 12 + length
        if position > len(data):
            raise AvatarRejected("damaged")
        if (start == 8) != (name == b"IHDR"):
            raise AvatarRejected("damaged")
        if name == b"IDAT" and pixels_end in (0, start):
            pixels_start, pixels_end = pixels_start or start, position
        elif name in (b"IHDR", b"PLTE", b"tRNS") and not pixels_end:
            kept.append(view[start:position])
        elif name == b"iCCP" and not profile:
            profile = _inflated(bytes(view[start + 8 : position - 4]))
        elif name == b"eXIf" and not exif:
            exif = bytes(view[start + 8 : position - 4])
        elif name == b"IEND":
            break
    if not pixels_end:
        raise AvatarRejected("damaged")
    return Header(
        "PNG",
        width,
        height,
        (b"".join(kept), view[pixels_start:pixels_end], view[start:position]),
        orientation=_orientation(exif),
        profile=profile or None,
    )


def _inflated(chunk: bytes) -> bytes:
    """Return an iCCP chunk's profile, or nothing if it is broken or too large."""
    _name, _, rest = chunk.partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(rest[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return b""
    return profile if inflater.eof else b""


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    view = memoryview(data)
    kept = [view[:position]]
    steps = _at_most(MAX_CHUNKS)
    while data[position] == 0x21:  # extensions, up to the first frame
        start, label = position, data[position + 1]
        position += 2
        while size := data[position]:
            next(steps)
            position += 1 + size
        position += 1
        if label == 0xF9:
            kept[1:] = [view[start:position]]
        next(steps)
    if data[position] != 0x2C:
        raise AvatarRejected("damaged")
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, position + 1)
    # Pillow grows the canvas to hold its first frame.
    width, height = max(width, left + frame_width), max(height, top + frame_height)
    return Header("GIF", width, height, (b"".join(kept), view[position:]))


def _webp(data: bytes) -> Header:
    name = data[12:16]
    if name == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif name == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    profile, exif = b"", b""
    position = 12
    for _ in _at_most(MAX_CHUNKS):
        if position + 8 > len(data):
            break
        name, length = struct.unpack_from("<4sI", data, position)
        if name == b"ICCP" and not profile:
            profile = data[position + 8 : position + 8 + length]
        elif name == b"EXIF" and not exif:
            exif = data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    return Header(
        "WEBP",
        width,
        height,
        (data,),
        orientation=_orientation(exif),
        profile=profile or None,
    )


def _avif(data: bytes) -> Header:
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    if b"avif" in brands or b"avis" in brands:
        from PIL import _avif

        try:
            decoder = _avif.AvifDecoder(data, "auto", 1)  # only libavif knows its way in there
            (width, height), _frames, _mode, profile, _exif, turn, _xmp = decoder.get_info()
        except MemoryError:
            raise
        except Exception as error:
            raise AvatarRejected("damaged") from error
        return Header("AVIF", width, height, (data,), orientation=turn, profile=profile)
    if any(brand in brands for brand in (b"heic", b"heix", b"heim", b"hevc", b"mif1")):
        raise AvatarRejected("unsupported_heic")
    raise AvatarRejected("unsupported_format")


def _orientation(exif: bytes) -> int:
    """Return the orientation in the first directory of an EXIF block, 1 to 8."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, value = struct.unpack_from(order + "H6xH", tiff, entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass  # cut short: as if it weren't there
    return 1
