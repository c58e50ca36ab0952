"""Pictures to send where none is at hand."""

from __future__ import annotations

import functools
import io
import random

from PIL import Image, ImageFilter


@functools.lru_cache(maxsize=4)
def generated(seed: int) -> bytes:
    """Return a picture of soft colours, 1600 by 1200 pixels, as a JPEG; a seed gives the same."""
    choose = random.Random(seed)  # noqa: S311
    small = Image.new("RGB", (8, 6))
    small.putdata([tuple(choose.randrange(40, 255) for _ in range(3)) for _ in range(48)])
    stream = io.BytesIO()
    large = small.resize((1600, 1200), Image.Resampling.BICUBIC)
    large.filter(ImageFilter.GaussianBlur(8)).save(stream, "JPEG", quality=88)
    return stream.getvalue()
