"""Whatever the file, an avatar or one `AvatarRejected` comes out, in bounded time and memory."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from resize.header import MAX_JPEG_SCANS, MAX_PIXELS
from resize.image import REJECTIONS, AvatarRejected, render_avatar
from tests.bench import fuzz
from tests.unit.resize import pictures

ROOT = Path(__file__).parents[3]
HOSTILE = {name: (data, code) for name, data, code in pictures.hostile()}


@pytest.fixture(scope="module")
def largest() -> float:
    """Processor seconds for the largest PNG that is accepted."""
    side = int(MAX_PIXELS["PNG"] ** 0.5)
    data = pictures.encoded(pictures.card().resize((side, side)), "PNG")
    start = time.process_time()
    render_avatar(data)
    return time.process_time() - start


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_rejected_with_its_code_at_the_cost_of_two_pictures(
    name: str, largest: float
) -> None:
    data, code = HOSTILE[name]
    start = time.process_time()
    with pytest.raises(AvatarRejected) as caught:
        render_avatar(data)
    assert caught.value.code == code
    assert time.process_time() - start < 2 * largest


def test_every_code_has_a_hostile_file() -> None:
    by_its_name = {"reserved_name", "name_too_long"}
    of_its_sender = {"too_many_uploads", "locked", "not_allowed", "held"}
    assert {code for _, code in HOSTILE.values()} == set(REJECTIONS) - by_its_name - of_its_sender


@pytest.mark.parametrize(
    "data",
    [
        pictures.encoded(pictures.card(), "JPEG") + b"<script>alert(1)</script>" * 1000,
        pictures.encoded(pictures.card(), "PNG") + b"PK\x03\x04" + bytes(1000),
        pictures.encoded(pictures.card(), "GIF") + b"%PDF-1.7",
        pictures.jpeg_with(
            pictures.encoded(pictures.card(), "JPEG"),
            pictures.jpeg_segment(0xFE, b"<?php system($_GET[0]); ?>" * 100),
        ),
    ],
    ids=["JPEG and HTML", "PNG and ZIP", "GIF and PDF", "JPEG around PHP"],
)
def test_of_a_polyglot_only_the_picture_comes_out(data: bytes) -> None:
    avatar = render_avatar(data)
    assert avatar.startswith(b"\xff\xd8\xff")
    assert avatar.endswith(b"\xff\xd9")
    for stowaway in (b"script", b"PK\x03\x04", b"%PDF", b"php"):
        assert stowaway not in avatar


GROWTH = """
import sys
from pathlib import Path
from resize import decode, image

def peak() -> int:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024

data = Path(sys.argv[1]).read_bytes()
decode._AVIF_BYTES = int(sys.argv[2]) or decode._AVIF_BYTES
before = peak()
try:
    image.render_avatar(data)
    outcome = "avatar"
except image.AvatarRejected as rejection:
    outcome = rejection.code
print(peak() - before, outcome)
"""


def growth(data: bytes, tmp_path: Path, avif_bytes: int = 0) -> tuple[int, str]:
    """Return by how many MiB a fresh process grows, and ``avatar`` or the rejection's code."""
    file = tmp_path / "picture"
    file.write_bytes(data)
    child = subprocess.run(
        (sys.executable, "-c", GROWTH, str(file), str(avif_bytes)),
        env=os.environ | {"PYTHONPATH": str(ROOT / "lambdas")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    mib, outcome = child.stdout.split()
    return int(mib), outcome


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="limits and reads memory there")


@functools.cache
def _bombs() -> dict[str, bytes]:
    card = pictures.card()
    zeros = zlib.compress(bytes(64 * 2**20), 9)
    text = pictures.png_chunk(b"zTXt", b"Comment\0\0" + zeros)
    row = zlib.compress((b"\0" + bytes(3 * 64)) * 64)
    pixels = pictures.png_chunk(b"IDAT", row)
    icc = pictures.png_chunk(b"iCCP", b"x\0\0" + zeros)
    exif = pictures.exif_bomb()
    harmless = b"II*\0\x08\0\0\0".ljust(len(exif) - 6, b"\0")
    avif = pictures.encoded(card, "AVIF", exif=harmless)
    assert harmless in avif
    jpeg = pictures.encoded(card, "JPEG")
    return {
        "EXIF in JPEG": pictures.jpeg_with(jpeg, pictures.jpeg_segment(0xE1, exif)),
        "EXIF in PNG": pictures.encoded(card, "PNG", exif=exif),
        "EXIF in WebP": pictures.encoded(card, "WEBP", exif=exif),
        "EXIF in AVIF": avif.replace(harmless, exif[6:]),
        "text in PNG": pictures.png(64, 64, *[text] * 20, pixels),
        "ICC profile in PNG": pictures.png(64, 64, icc, pixels),
        "pixels in PNG": pictures.png(64, 64, pictures.png_chunk(b"IDAT", zeros)),
    }


@needs_linux
@pytest.mark.parametrize("name", _bombs())
def test_a_bomb_takes_no_more_memory_than_its_picture(name: str, tmp_path: Path) -> None:
    mib, outcome = growth(_bombs()[name], tmp_path)
    assert mib < 32
    assert outcome == "avatar"  # the picture itself is right, and what is around it left out


@needs_linux
def test_an_avif_whose_stream_is_larger_than_it_says_is_bounded(tmp_path: Path) -> None:
    flat = Image.new("RGBA", (4000, 4000), (9, 8, 7, 128))
    data = pictures.encoded(flat, "AVIF", speed=10, subsampling="4:4:4")
    while (at := data.find(b"ispe" + bytes(4) + (4000).to_bytes(4, "big"))) >= 0:
        data = pictures.avif_of_size(data[at:], 100, 100).join((data[:at], b""))
    mib, outcome = growth(data, tmp_path)
    assert mib > 64
    assert outcome == "avatar"
    mib, outcome = growth(data, tmp_path, avif_bytes=48 * 2**20)
    assert mib < 60
    assert outcome == "damaged"


@needs_linux
@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "RGB", {"subsampling": 0}),
        ("PNG", "RGBA", {"compress_level": 1}),
        ("GIF", "P", {"transparency": 5}),
        ("WEBP", "RGBA", {"lossless": True, "method": 0, "quality": 0}),
        ("AVIF", "RGBA", {"subsampling": "4:4:4", "speed": 10}),
    ],
)
def test_the_largest_accepted_picture_fits_in_512_mib(
    kind: str, mode: str, options: dict[str, object], tmp_path: Path
) -> None:
    most = 24_500_000 if kind == "AVIF" else MAX_PIXELS[kind]  # more depends on the memory
    height = int((most / 1.4) ** 0.5)
    ramp = Image.linear_gradient("L").resize((int(height * 1.4), height))
    picture = ramp.convert(mode)
    if mode == "RGBA":
        picture.putalpha(ramp)
    data = pictures.encoded(picture, kind, **options)
    del ramp, picture
    mib, outcome = growth(data, tmp_path)
    assert mib < 490  # the interpreter and Pillow take 20
    assert outcome == "avatar"


@needs_linux
def test_an_avif_that_needs_more_memory_than_there_is_has_too_many_pixels(tmp_path: Path) -> None:
    ramp = Image.linear_gradient("L").resize((8160, 6144))
    ramp.putalpha(ramp.copy())
    mib, outcome = growth(pictures.encoded(ramp, "AVIF", speed=10), tmp_path)
    assert outcome == "too_many_pixels"
    assert mib < 530


@needs_linux
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_a_large_picture_without_its_end_is_bounded(kind: str, tmp_path: Path) -> None:
    ramp = Image.linear_gradient("L").resize((16000, 1530)).convert("P" if kind == "GIF" else "RGB")
    if kind == "PNG":
        ramp.putalpha(Image.linear_gradient("L").resize(ramp.size))
    data = pictures.encoded(ramp, kind)
    start = time.monotonic()
    mib, outcome = growth(data[: int(len(data) * 0.9)], tmp_path)
    assert outcome == "avatar"
    assert mib < 490
    assert time.monotonic() - start < 20


@needs_linux
def test_the_longest_progressive_jpeg_is_bounded_in_time_and_memory(tmp_path: Path) -> None:
    ramp = Image.linear_gradient("L").resize((24500, 1530)).convert("CMYK")
    data = pictures.encoded(ramp, "JPEG", progressive=True)
    scan = data[data.rfind(b"\xff\xc4") : -2]
    data = data[:-2] + scan * (MAX_JPEG_SCANS - data.count(b"\xff\xda")) + b"\xff\xd9"
    start = time.monotonic()
    mib, outcome = growth(data, tmp_path)
    assert 100 < mib < 490
    assert outcome == "avatar"
    assert time.monotonic() - start < 20


@needs_linux
def test_mutated_files_end_in_an_avatar_or_a_rejection() -> None:
    """A sample of what ``python -m tests.bench.fuzz`` runs 20,000 of."""
    result = fuzz.run(0, 300)
    assert not result.faults
    assert set(result.outcomes) <= {"avatar", *REJECTIONS}
    assert result.outcomes["avatar"] > 30
    assert result.peak < 512
