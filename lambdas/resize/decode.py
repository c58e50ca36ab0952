"""Decode a picture, no larger than its avatar needs.

The codecs behind WebP and AVIF are called directly: Pillow's plugins for them copy the pixels
once more, and read EXIF that nobody needs. Plugins are imported on first use.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO, cast

from PIL import Image, ImageFile, JpegImagePlugin

from resize import salvage
from resize.header import EOI, IEND, MAX_FRAMES, Frame, Header, Parts, gif_frames
from resize.rejection import AvatarRejected
from resize.scans import without_finest_luma

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels, not always whole."""

_SHRINK = {8: 10, 4: 5, 2: 3}
"""How many times the avatar's side a JPEG must have to be decoded at 1/8, 1/4 or 1/2.

What is left is at least 1.25 times the avatar: with less, LANCZOS can't make up for the blocks of
pixels that the decoder averages.
"""

_KEPT_PIXELS = 13_000_000
"""Up to this size the freed memory is kept for the next picture, about 200 MiB."""

_keeping = False

_AVIF_BYTES = 512 * 2**20
"""Enough for 24 MP of twelve bits, without chroma subsampling, with transparency."""

_AVIF_PIXELS = 25_000_000
"""Above this it depends on depth and subsampling if there is enough memory."""

_TRIED_PIXELS = 30_000_000
"""Of an animation, in the frames of which none shows anything."""

_FAINT = 7
"""Opacity out of 255 that can't be seen."""


def decode(header: Header, side: int, short: float) -> tuple[Image.Image, Box]:
    """Decode the picture (of an animation, the first frame that shows something).

    Parameters
    ----------
    header : Header
        From `resize.header.read_header`.
    side : int
        Shorter side of the largest variant, in pixels: a JPEG is decoded at 1/2, 1/4 or 1/8 if
        enough is left for it.
    short : float
        Shorter side of what is shown of the picture, in pixels.

    Returns
    -------
    picture : Image
        In a mode that can be resampled; as stored, neither turned nor converted to sRGB.
    box : tuple of float
        The part of it that holds the picture; a shrunk JPEG may have a fraction of a pixel
        of padding at the right and bottom.

    Raises
    ------
    AvatarRejected
        If the file is damaged.
    MemoryError
        If there isn't enough.
    """
    try:
        small = header.width * header.height <= _KEPT_PIXELS
        _keep_freed_memory(small and header.kind in ("PNG", "GIF", "WEBP"))
        if header.kind == "JPEG":
            return _jpeg(header, side, short)
        picture = _DECODERS[header.kind](header)
    except (AvatarRejected, MemoryError, ImportError):
        raise
    except Exception as error:  # on a broken file the plugins raise whatever comes
        raise AvatarRejected("damaged") from error
    return picture, (0, 0, picture.width, picture.height)


def _jpeg(header: Header, side: int, short: float) -> tuple[Image.Image, Box]:
    scale = next((scale for scale, least in _SHRINK.items() if short >= side * least), 1)
    parts = header.parts
    if header.is_progressive and header.is_ycc and scale >= 4:
        parts = (parts[0], *without_finest_luma(memoryview(parts[1]), luma=1), *parts[2:])
    shrunk = (header.width // scale, header.height // scale)
    boxes: list[Box] = []

    def opened(*end: bytes) -> ImageFile.ImageFile:
        read = (*parts[:-1], bytes(parts[-1]).rstrip(b"\xff"), *end) if end else parts
        picture = JpegImagePlugin.JpegImageFile(_file(read))
        draft = picture.draft("YCbCr" if header.is_ycc else None, shrunk)
        if draft is None:
            raise AvatarRejected("damaged")
        boxes.append(draft[1])
        picture.decodermaxblock = 2**20  # in Pillow's 64 KiB, the decoder restarts rows too often
        return picture

    picture: Image.Image = opened()
    try:
        picture.load()
    except OSError as error:
        if not header.has_one_scan:
            raise
        picture = _jpeg_without_end(opened, error)
    return picture, boxes[0]


_OTHER_BITS = bytes(range(1, 251, 3)) * 40
"""They become pixels if the data end before the picture does."""


def _jpeg_without_end(opened: Callable[..., ImageFile.ImageFile], error: OSError) -> Image.Image:
    """Return what there is of a JPEG whose data end early, or can't be followed to their end.

    If only the end marker is missing, that is all; else the rows that are left, on white.
    """
    picture = opened(EOI)
    if picture.width * picture.height > salvage.MAX_PIXELS:
        raise error
    salvage.load(picture)
    if salvage.missing(lambda _: opened(_OTHER_BITS, EOI), picture) is None:
        return picture
    picture = opened()
    salvage.load(picture)
    mask = salvage.missing(lambda _: opened(), picture)
    if mask and not salvage.fill(picture, mask):
        raise error
    return picture


def _file(parts: tuple[bytes | memoryview, ...]) -> IO[bytes]:
    return cast("IO[bytes]", Parts(parts))


def _png(header: Header) -> Image.Image:
    from PIL import PngImagePlugin

    def loaded(frame: Frame) -> Image.Image:
        picture = PngImagePlugin.PngImageFile(_file(frame.parts))
        salvage.mark_last_row(picture)
        error: Exception | None = None
        try:
            picture.load()
        except salvage.ERRORS as raised:
            error = OSError(str(raised))  # its own traceback would hold all pictures in a cycle
        if error is None and salvage.has_last_row(picture):
            return _resampleable(picture, header.depth)
        if picture.width * picture.height > salvage.MAX_PIXELS:
            raise AvatarRejected("damaged") from error
        row = len(picture.getbands()) * picture.width * (2 if header.depth == 16 else 1)
        rows = picture.height
        del picture
        head, chunks, _end = frame.parts
        pixels = salvage.recompressed(memoryview(chunks), rows * (row + 2) + 64)
        return _what_is_there(
            header, lambda: PngImagePlugin.PngImageFile(_file((head, pixels, IEND))), error
        )

    frames = header.frames or (Frame(header.parts),)
    return _first_visible(header, frames, loaded)


def _gif(header: Header) -> Image.Image:
    from PIL import GifImagePlugin

    def loaded(frame: Frame) -> Image.Image:
        def opened() -> ImageFile.ImageFile:
            return GifImagePlugin.GifImageFile(_file(frame.parts))

        picture = opened()
        try:
            picture.load()
        except salvage.ERRORS as error:
            if picture.width * picture.height > salvage.MAX_PIXELS:
                raise
            return _what_is_there(header, opened, error)
        return _resampleable(picture, header.depth)

    return _first_visible(header, gif_frames(header), loaded)


def _first_visible(
    header: Header, frames: Iterable[Frame], loaded: Callable[[Frame], Image.Image]
) -> Image.Image:
    """Return the first frame that shows something, on the whole canvas.

    Those before it show nothing, so that it doesn't matter how frames are laid over one another.
    """
    picture = None
    for count, frame in enumerate(frames):
        tried = count * header.width * header.height
        if picture and (count == MAX_FRAMES or tried > _TRIED_PIXELS):
            break
        picture = loaded(frame)
        if picture.size != (header.width, header.height):
            canvas = Image.new("RGBA", (header.width, header.height))
            canvas.paste(picture.convert("RGBA"), (frame.left, frame.top))
            picture = canvas
        if is_visible(picture):
            break
    if picture is None:
        raise AvatarRejected("damaged")
    return picture


def _what_is_there(
    header: Header, opened: Callable[[], ImageFile.ImageFile], error: Exception | None
) -> Image.Image:
    """Return as much as there is of a PNG or GIF that couldn't be loaded to its end."""
    picture = opened()
    is_interlaced = _is_interlaced(picture)
    salvage.load(picture)
    mask = salvage.missing(functools.partial(_on_ground, opened), picture)
    whole = _resampleable(picture, header.depth)
    if mask and not salvage.fill(whole, mask, is_interlaced=is_interlaced):
        raise AvatarRejected("damaged") from error
    return whole


def _on_ground(opened: Callable[[], ImageFile.ImageFile], ground: int) -> ImageFile.ImageFile:
    picture = opened()
    if getattr(picture, "_frame_transparency", None) is not None:
        picture._frame_transparency = ground  # type: ignore[attr-defined] # a GIF's own ground
    return picture


def _is_interlaced(picture: ImageFile.ImageFile) -> bool:
    arguments = picture.tile[0].args if picture.tile else None
    of_gif = isinstance(arguments, tuple) and len(arguments) == 3 and arguments[1] is True
    return of_gif or bool(picture.info.get("interlace"))


def is_visible(picture: Image.Image) -> bool:
    """Tell if there is anything that isn't transparent."""
    if picture.mode not in ("LA", "RGBA"):
        return True
    return picture.getchannel("A").getextrema()[1] > _FAINT  # type: ignore[operator]


def _resampleable(picture: Image.Image, depth: int) -> Image.Image:
    picture.load()
    key = picture.info.get("transparency")
    if picture.mode == "I;16":
        return _from_sixteen_bits(picture, key)
    if picture.mode == "L" and depth < 8 and isinstance(key, int):
        picture.info["transparency"] = key * 255 // (2**depth - 1)  # as the pixels are
    elif depth == 16 and isinstance(key, tuple):
        picture.info["transparency"] = tuple(level >> 8 for level in key)
    if picture.has_transparency_data and picture.mode not in ("RGBA", "LA"):
        return picture.convert("RGBA")
    if picture.mode == "1":
        return picture.convert("L")
    return picture.convert("RGB") if picture.mode == "P" else picture


def _from_sixteen_bits(picture: Image.Image, key: int | None) -> Image.Image:
    levels = picture.point(lambda level: level / 257).convert("L")
    if key is None:
        return levels
    alpha = picture.convert("I").point([255] * key + [0] + [255] * (65535 - key), "L")
    return Image.merge("LA", (levels, alpha))


def _webp(header: Header) -> Image.Image:
    from PIL import _webp

    decoder = _webp.WebPAnimDecoder(header.parts[0])
    size, _loops, _background, frames, mode = decoder.get_info()
    for _ in range(_frames_to_try(header, frames)):
        found = decoder.get_next()
        if found is None:
            break
        picture = Image.frombuffer(mode, size, found[0], "raw", mode, 0, 1)
        if is_visible(picture):
            break
    return picture


def _avif(header: Header) -> Image.Image:
    from PIL import _avif

    decoder = _avif.AvifDecoder(header.parts[0], "auto", 1)
    size, frames, mode, *_metadata = decoder.get_info()
    try:
        with _memory_limited(_AVIF_BYTES):  # the container may state less than the stream has
            for number in range(_frames_to_try(header, frames)):
                pixels, *_times = decoder.get_frame(number)
                picture = Image.frombuffer(mode, size, pixels, "raw", mode, 0, 1)
                if is_visible(picture):
                    break
    except MemoryError as error:
        is_large = header.width * header.height > _AVIF_PIXELS
        raise AvatarRejected("too_many_pixels" if is_large else "damaged") from error
    return picture


def _frames_to_try(header: Header, frames: int) -> int:
    at_once = max(1, _TRIED_PIXELS // (header.width * header.height))
    return max(1, min(frames, MAX_FRAMES, at_once))


_DECODERS = {"PNG": _png, "GIF": _gif, "WEBP": _webp, "AVIF": _avif}


@contextlib.contextmanager
def _memory_limited(allowance: int) -> Iterator[None]:
    """Let the process grow by no more than so many bytes (on Linux)."""
    if sys.platform != "linux":
        yield
        return
    import resource
    from pathlib import Path

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = {pages * resource.getpagesize() + allowance, soft, hard} - {resource.RLIM_INFINITY}
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _keep_freed_memory(keep: bool) -> None:
    """Have glibc reuse a picture's freed pixels for the next, or return them to the kernel.

    Getting them back page by page takes 40 % of the time of a WebP of 12 MP.
    """
    global _keeping  # as the allocator is
    if keep == _keeping or sys.platform != "linux":
        return
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # musl has none
        m_trim_threshold, m_mmap_max = -1, -4
        libc.mallopt(m_trim_threshold, 2**31 - 1)
        libc.mallopt(m_mmap_max, 0 if keep else 65536)
        if not keep:
            libc.malloc_trim(0)
    _keeping = keep
