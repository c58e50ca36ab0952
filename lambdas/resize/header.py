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

from resize.cicp import HLG, PQ, SRGB, Chromaticities, gamma_profile, named_profile
from resize.rejection import AvatarRejected
from resize.scans import extent

MAX_BYTES = 32 * 2**20
MAX_SIDE = 30_000
MAX_PIXELS = {
    "JPEG": 120_000_000,
    "PNG": 51_000_000,
    "GIF": 51_000_000,
    "WEBP": 25_000_000,
    "AVIF": 51_000_000,
}
"""Pixels by format, chosen so that no accepted file makes the process exceed 512 MiB."""

MAX_COEFFICIENTS = 151_000_000
"""In a JPEG of several scans, which is held whole, as two bytes each, until the last scan."""

MAX_JPEG_SEGMENTS = 1_000
MAX_JPEG_SCANS = 30
MAX_CHUNKS = 50_000
"""Chunks of a PNG or WebP; blocks of a GIF before its first frame."""

MAX_PROFILE_BYTES = 4 * 2**20
"""A larger ICC profile is ignored; those for print have up to 2 MB."""

MAX_FRAMES = 100
"""Frames of an animation among which the first that shows something is sought."""


class Frame(NamedTuple):
    """One frame of an animation: a file of its own, and where it is on the canvas."""

    parts: tuple[bytes | memoryview, ...]
    left: int = 0
    top: int = 0


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
        The ICC profile, or one that stands for how the file else says its colours.
    hdr : tuple of int or None
        Primaries and transfer function of an HDR picture, as in ITU-T H.273.
    frames : tuple of Frame
        Of an animated PNG, in place of ``parts``.
    is_ycc : bool
        Whether this is a JPEG with one luma and two chroma components, numbered 1 to 3.
    is_progressive : bool
        Whether this is a progressive JPEG.
    has_one_scan : bool
        Whether this is a JPEG that is decoded row by row.
    depth : int
        Bits of each sample in a PNG.
    """

    kind: str
    width: int
    height: int
    parts: tuple[bytes | memoryview, ...]
    orientation: int = 1
    profile: bytes | None = None
    hdr: tuple[int, int] | None = None
    frames: tuple[Frame, ...] = ()
    is_ycc: bool = False
    is_progressive: bool = False
    has_one_scan: bool = False
    depth: int = 8


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


EOI = b"\xff\xd9"


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
        elif marker == 0xE1 and body.startswith(b"Exif\0") and not exif:
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
    pixels = [view[position:]]
    if is_progressive or in_scan < count:  # several scans
        if width * height * sum(areas) / max(areas) > MAX_COEFFICIENTS:
            raise AvatarRejected("too_many_pixels")
        scans, length, is_whole = extent(view[position:], MAX_JPEG_SEGMENTS)
        if 1 + scans > MAX_JPEG_SCANS:
            raise AvatarRejected("too_complex")
        if not is_whole and scans < (1 if is_progressive else count - 1):
            raise AvatarRejected("damaged")  # not even a coarse picture
        pixels = [view[position : position + length]]
        if not is_whole:
            pixels.append(memoryview(EOI))
    profile = b"".join(profile_parts[number] for number in sorted(profile_parts))
    return Header(
        "JPEG",
        width,
        height,
        (b"".join((*kept, segment)), *pixels),
        orientation=_orientation(exif),
        profile=profile or None,
        # The identifiers that JFIF demands; Adobe's transform 0 means RGB.
        is_ycc=[name for name, _ in components] == [1, 2, 3] and adobe[11:12] != b"\0",
        is_progressive=is_progressive,
        has_one_scan=not is_progressive and in_scan >= count,
    )


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
IEND = b"\0\0\0\0IEND\xaeB`\x82"
_SAY_COLOUR = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
_ANCILLARY = (*_SAY_COLOUR, b"tRNS", b"eXIf")  # if their checksum is wrong, they don't count
_NEEDED = (*_ANCILLARY, b"IHDR", b"PLTE", b"acTL")


def _png(data: bytes) -> Header:
    view = memoryview(data)
    found: dict[bytes, bytes] = {}
    frames: list[tuple[bytes, list[memoryview]]] = []  # what controls a frame, and its pixels
    shows_still = False  # in the animation
    position, pixels_start, pixels_end = 8, 0, 0
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    for _ in _at_most(MAX_CHUNKS):
        if position + 8 > len(data):
            break  # the end is missing
        length, name = struct.unpack_from(">I4s", data, position)
        start, position = position, min(position + 12 + length, len(data))
        body = view[start + 8 : start + 8 + length]
        if (start == 8) != (name == b"IHDR"):
            raise AvatarRejected("damaged")
        if name == b"IDAT" and pixels_end in (0, start):
            pixels_start, pixels_end = pixels_start or start, position
        elif name == b"fcTL" and length == 26 and len(frames) < MAX_FRAMES:
            frames.append((bytes(body), []))
            shows_still |= not pixels_end
        elif name == b"fdAT" and frames:
            frames[-1][1].append(body[4:])
        elif name == b"IEND":
            break
        elif name in _NEEDED and not pixels_end and name not in found:
            is_late = name in _SAY_COLOUR and b"PLTE" in found
            is_early = name == b"tRNS" and colour == 3 and b"PLTE" not in found
            is_wrong = name in _ANCILLARY and (
                zlib.crc32(view[start + 4 : start + 8 + length]).to_bytes(4, "big")
                != view[start + 8 + length : position]
            )
            if not (is_late or is_early or is_wrong):
                found[name] = bytes(body)
        if not pixels_end and position == len(data):
            raise AvatarRejected("damaged")
    if not pixels_end:
        raise AvatarRejected("damaged")
    tables = b"".join(
        _chunk(name, found[name])
        for name in (b"PLTE", b"tRNS")
        if name in found and (name != b"tRNS" or colour in (0, 2, 3))
    )
    head = _SIGNATURE + _chunk(b"IHDR", found[b"IHDR"]) + tables
    is_cut = position == len(data) == pixels_end
    parts = (head, view[pixels_start:pixels_end], b"" if is_cut else IEND)
    still = [Frame(parts)] if shows_still else []
    profile, hdr = _png_colours(found, is_grey=colour in (0, 4))
    return Header(
        "PNG",
        width,
        height,
        parts,
        orientation=_orientation(b"Exif\0\0" + found.get(b"eXIf", b"")),
        profile=profile,
        hdr=hdr,
        depth=depth,
        frames=(*still, *_png_frames(found, frames, tables)) if _is_animated(found) else (),
    )


def _is_animated(found: dict[bytes, bytes]) -> bool:
    return found.get(b"acTL", bytes(4))[:4] != bytes(4)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), name) + body + zlib.crc32(name + body).to_bytes(4, "big")


def _png_frames(
    found: dict[bytes, bytes], controlled: list[tuple[bytes, list[memoryview]]], tables: bytes
) -> Iterator[Frame]:
    """Yield the frames of an animation whose pixels are in chunks of their own."""
    canvas_width, canvas_height = struct.unpack_from(">II", found[b"IHDR"])
    for control, pixels in controlled:
        width, height, left, top = struct.unpack_from(">4I", control, 4)
        is_inside = 0 < width <= canvas_width - left and 0 < height <= canvas_height - top
        if pixels and is_inside:
            head = _chunk(b"IHDR", control[4:12] + found[b"IHDR"][8:])
            stream = b"".join(pixels)
            chunk = struct.pack(">I", len(stream)) + b"IDAT" + stream + bytes(4)
            yield Frame((_SIGNATURE + head + tables, chunk, IEND), left, top)


def _png_colours(
    found: dict[bytes, bytes], *, is_grey: bool
) -> tuple[bytes | None, tuple[int, int] | None]:
    """Return the ICC profile, or an HDR picture's primaries and transfer function.

    Of several chunks that say it, cICP counts before iCCP, sRGB, and gAMA with cHRM.
    """
    cicp = found.get(b"cICP", b"")
    if len(cicp) == 4 and cicp[2] == 0 and cicp[1] != _UNSPECIFIED:
        return _named(cicp[0], cicp[1], is_grey=is_grey)
    profile = _inflated(found.get(b"iCCP", b""))
    if profile[36:40] == b"acsp":
        return profile, None
    gamma, space = found.get(b"gAMA", b""), found.get(b"cHRM", b"")
    if b"sRGB" in found or len(gamma) != 4 or gamma == bytes(4):
        return None, None
    level = int.from_bytes(gamma, "big") / 100_000
    if len(space) != 32:
        is_srgb = 0.45 <= level <= 0.46
        return None if is_srgb else gamma_profile(level, None, is_grey=is_grey), None
    values = [value / 100_000 for value in struct.unpack(">8I", space)]
    chromaticities: Chromaticities = tuple(zip(values[::2], values[1::2], strict=True))
    return gamma_profile(level, chromaticities, is_grey=is_grey), None


_UNSPECIFIED = 2


def _named(
    primaries: int, transfer: int, *, is_grey: bool
) -> tuple[bytes | None, tuple[int, int] | None]:
    """Return the profile of a named colour space, or its numbers if it is HDR."""
    if transfer in (PQ, HLG):
        return None, (primaries, transfer)
    return named_profile(primaries, transfer, is_grey=is_grey), None


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


def gif_frames(header: Header) -> Iterator[Frame]:
    """Yield the frames of a GIF, each as a file on the whole canvas."""
    screen, control = memoryview(header.parts[0]), memoryview(b"")
    palette = 13 + (3 << ((screen[10] & 7) + 1) if screen[10] & 0x80 else 0)
    screen, control = screen[:palette], screen[palette:]
    rest = memoryview(header.parts[1])
    position, steps = 0, _at_most(MAX_CHUNKS)
    while position < len(rest) and rest[position] in (0x21, 0x2C):
        start, is_frame = position, rest[position] == 0x2C
        position += 2
        if is_frame:
            flags = rest[start + 9]
            position = start + 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
            yield Frame((b"".join((screen, control)), rest[start:]))
            control = memoryview(b"")
        while size := rest[position]:
            next(steps)
            position += 1 + size
        position += 1
        next(steps)
        if not is_frame and rest[start + 1] == 0xF9:
            control = rest[start:position]


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
    position, pixels_end = 12, 0
    for _ in _at_most(MAX_CHUNKS):
        if position + 8 > len(data):
            break
        name, length = struct.unpack_from("<4sI", data, position)
        if name in (b"VP8 ", b"VP8L", b"ANMF"):
            pixels_end = position + 8 + length
        if name == b"ICCP" and not profile:
            profile = data[position + 8 : position + 8 + length]
        elif name == b"EXIF" and not exif:
            exif = data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    said = int.from_bytes(data[4:8], "little") + 8
    if said > len(data) or said < pixels_end <= len(data):  # all is there, only miscounted
        data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
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
            (width, height), _frames, mode, profile, _exif, turn, _xmp = decoder.get_info()
        except MemoryError:
            raise
        except Exception as error:
            raise AvatarRejected("damaged") from error
        named, hdr = (None, None) if profile else _avif_colours(data, is_grey=mode[0] == "L")
        return Header(
            "AVIF", width, height, (data,), orientation=turn, profile=profile or named, hdr=hdr
        )
    if any(brand in brands for brand in (b"heic", b"heix", b"heim", b"hevc", b"mif1")):
        raise AvatarRejected("unsupported_heic")
    raise AvatarRejected("unsupported_format")


_BOXES = {b"meta": 4, b"iprp": 0, b"ipco": 0}
"""Boxes in which an AVIF's colours are, with what precedes the boxes in them."""


def _avif_colours(data: bytes, *, is_grey: bool) -> tuple[bytes | None, tuple[int, int] | None]:
    """Return what the first `colr` box of properties says in numbers."""
    position, end = 0, len(data)
    for _ in range(MAX_JPEG_SEGMENTS):
        if position + 8 > end:
            break
        length, name = struct.unpack_from(">I4s", data, position)
        if name in _BOXES:
            end = min(end, position + length) if length else end
            position += 8 + _BOXES[name]
            continue
        if name == b"colr" and data[position + 8 : position + 12] == b"nclx" and length >= 18:
            primaries, transfer = struct.unpack_from(">HH", data, position + 12)
            # Video's transfer functions are read as sRGB's here, other than in PNG.
            is_video = transfer in (1, 6, 14, 15)
            return _named(primaries, SRGB if is_video else transfer, is_grey=is_grey)
        if length < 8:  # up to the end, or in 64 bits: what comes before pixels never is
            break
        position += length
    return None, None


def _orientation(exif: bytes) -> int:
    """Return the orientation in the first directory of an EXIF block, 1 to 8."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == 0x0112 and (kind, values) == (3, 1):  # one SHORT, as browsers want it
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass  # cut short: as if it weren't there
    return 1
