"""Decode a picture, no larger than its avatar needs.

The codecs behind WebP and AVIF are called directly: Pillow's plugins for them copy the pixels
once more, and read EXIF that nobody needs. Plugins are imported on first use.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import IO, cast

from PIL import Image, JpegImagePlugin

from resize.header import Header, Parts
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

_AVIF_BYTES = 480 * 2**20
"""For 20 MP of twelve bits, without chroma subsampling, with transparency and film grain."""


def decode(header: Header, side: int) -> tuple[Image.Image, Box]:
    """Decode the picture (of an animation, the first frame).

    Parameters
    ----------
    header : Header
        From `resize.header.read_header`.
    side : int
        Side of the largest avatar, in pixels: a JPEG is decoded at 1/2, 1/4 or 1/8 if enough
        is left for it.

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
            return _jpeg(header, side)
        picture = _DECODERS[header.kind](header)
    except (AvatarRejected, MemoryError, ImportError):
        raise
    except Exception as error:  # on a broken file the plugins raise whatever comes
        raise AvatarRejected("damaged") from error
    return picture, (0, 0, picture.width, picture.height)


def _jpeg(header: Header, side: int) -> tuple[Image.Image, Box]:
    short = min(header.width, header.height)
    scale = next((scale for scale, least in _SHRINK.items() if short >= side * least), 1)
    parts = header.parts
    if header.is_progressive and header.is_ycc and scale >= 4:
        parts = (parts[0], *without_finest_luma(memoryview(parts[1]), luma=1))
    picture = JpegImagePlugin.JpegImageFile(_file(parts))
    shrunk = (header.width // scale, header.height // scale)
    draft = picture.draft("YCbCr" if header.is_ycc else None, shrunk)
    if draft is None:
        raise AvatarRejected("damaged")
    picture.decodermaxblock = 2**20  # in Pillow's 64 KiB, the decoder restarts rows too often
    picture.load()
    return picture, draft[1]


def _file(parts: tuple[bytes | memoryview, ...]) -> IO[bytes]:
    return cast("IO[bytes]", Parts(parts))


def _png(header: Header) -> Image.Image:
    from PIL import PngImagePlugin

    return _resampleable(PngImagePlugin.PngImageFile(_file(header.parts)))


def _gif(header: Header) -> Image.Image:
    from PIL import GifImagePlugin

    return _resampleable(GifImagePlugin.GifImageFile(_file(header.parts)))


def _resampleable(picture: Image.Image) -> Image.Image:
    picture.load()
    if picture.has_transparency_data and picture.mode not in ("RGBA", "LA"):
        return picture.convert("RGBA")
    if picture.mode == "I;16":
        return picture.point(lambda level: level / 257).convert("L")
    if picture.mode == "1":
        return picture.convert("L")
    return picture.convert("RGB") if picture.mode == "P" else picture


def _webp(header: Header) -> Image.Image:
    from PIL import _webp

    decoder = _webp.WebPAnimDecoder(header.parts[0])
    size, *_animation, mode = decoder.get_info()
    pixels, _time = decoder.get_next()
    return Image.frombuffer(mode, size, pixels, "raw", mode, 0, 1)


def _avif(header: Header) -> Image.Image:
    from PIL import _avif

    decoder = _avif.AvifDecoder(header.parts[0], "auto", 1)
    size, _frames, mode, *_metadata = decoder.get_info()
    try:
        with _memory_limited(_AVIF_BYTES):  # the container may state less than the stream has
            pixels, *_times = decoder.get_frame(0)
    except MemoryError as error:
        raise AvatarRejected("damaged") from error
    return Image.frombuffer(mode, size, pixels, "raw", mode, 0, 1)


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
    _keeping = keep
