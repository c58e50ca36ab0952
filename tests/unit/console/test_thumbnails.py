"""Small pictures of originals: what is safe to open, and what is not."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from console.operations.avatars import thumbnails
from console.operations.environments.deployment import Deployment


def encoded(size: tuple[int, int], image_format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("1" if image_format == "PNG" else "RGB", size).save(stream, image_format)
    return stream.getvalue()


def test_a_preview_is_small_and_has_no_transparency(here: Deployment) -> None:
    here.s3.put_object(Bucket=here.uploads_bucket, Key="k", Body=encoded((1600, 400)))
    with Image.open(io.BytesIO(thumbnails.of_original(here, "k") or b"")) as found:
        assert (found.format, found.size, found.mode) == ("JPEG", (320, 80), "RGB")


@pytest.mark.parametrize(
    "body",
    [
        b"no picture",
        encoded((64, 64), "JPEG")[:400],
        encoded((9000, 9000)),
        encoded((64, 64), "TIFF"),
        encoded((64, 64)) + b"x" * thumbnails.MOST_BYTES,
    ],
    ids=["text", "cut off", "81 million pixels", "another format", "too many bytes"],
)
def test_what_can_not_safely_be_shown_has_no_preview(here: Deployment, body: bytes) -> None:
    here.s3.put_object(Bucket=here.uploads_bucket, Key="k", Body=body)
    assert thumbnails.of_original(here, "k") is None
    assert thumbnails.of(body) is None


def test_a_missing_original_has_no_preview(here: Deployment) -> None:
    assert thumbnails.of_original(here, "nothing") is None
