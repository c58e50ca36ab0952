"""Any picture that Pillow can write in an accepted format becomes the same kind of avatar."""

from __future__ import annotations

import io
from math import ceil, floor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from resize.image import AvatarRejected
from tests.unit.resize import pictures
from tests.unit.resize.rendering import render_variants

MODES = {
    "JPEG": ("1", "L", "RGB", "YCbCr", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "GIF": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "WEBP": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"),
    "AVIF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"),
}
PROFILES = (None, pictures.rgb_profile(pictures.DISPLAY_P3, 2.2), pictures.grey_profile(1.8))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[kind]))
    size = draw(st.tuples(st.integers(1, 700), st.integers(1, 700)))
    colours = draw(st.binary(min_size=12, max_size=12))
    picture = Image.frombytes("RGB", (2, 2), colours).resize(size, Image.Resampling.BICUBIC)
    picture = picture.convert("L").convert(mode) if mode == "I;16" else picture.convert(mode)
    options: dict[str, object] = {}
    if kind != "GIF":
        options["exif"] = pictures.exif(draw(st.integers(0, 9)), draw(st.sampled_from("<>")))
        if profile := draw(st.sampled_from(PROFILES)):
            options["icc_profile"] = profile
    if kind == "JPEG":
        options["progressive"] = draw(st.booleans())
        options["quality"] = draw(st.integers(1, 100))
        if mode in ("RGB", "YCbCr"):
            options["subsampling"] = draw(st.sampled_from(("4:4:4", "4:2:2", "4:2:0", "4:1:1")))
    if kind == "WEBP":
        options["lossless"] = draw(st.booleans())
    if kind == "PNG" and mode in ("1", "L", "P"):
        options["transparency"] = draw(st.integers(0, 1))
    if kind == "AVIF":
        options["speed"] = 10
    return pictures.encoded(picture, kind, **options)


@given(files())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_picture_becomes_a_square_in_srgb_without_metadata(data: bytes) -> None:
    opacity = Image.open(io.BytesIO(data)).convert("RGBA").getchannel("A")
    side = min(opacity.size)
    left, top = ((length - side) / 2 for length in opacity.size)
    square = (floor(left), floor(top), ceil(left + side), ceil(top + side))
    if not opacity.crop(square).getbbox():
        with pytest.raises(AvatarRejected, match="nothing_visible"):
            render_variants(data, (512,), ("jpg", "webp"))
        return
    try:
        rendered = render_variants(data, (512,), ("jpg", "webp"))
    except AvatarRejected as rejected:  # half a row of it may be in the square
        inside = (ceil(left), ceil(top), floor(left + side), floor(top + side))
        if rejected.code != "nothing_visible" or opacity.crop(inside).getbbox():
            raise
        return
    avatar = Image.open(io.BytesIO(rendered[512, "jpg"]))
    assert (avatar.format, avatar.size, avatar.mode) == ("JPEG", (512, 512), "RGB")
    variant = Image.open(io.BytesIO(rendered[512, "webp"]))
    assert (variant.format, variant.size) == ("WEBP", (512, 512))
    for picture in (avatar, variant):
        picture.load()
        assert not {"exif", "icc_profile", "xmp", "comment"} & picture.info.keys()
        assert not picture.getexif()
