"""What the client makes of pictures before it sends them, in a real browser."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Route

from avatar_crop import Crop
from tests.front_end.conftest import FRONT_END
from tests.unit.resize import pictures as made

pytestmark = pytest.mark.long
HEIC = Path(__file__).with_name("card.heic")
GREYS = (60, 120, 240, 180)
COLOURS = (made.RED, made.GREEN, made.BLUE, made.YELLOW)

_SCALE = """async ([file, type, options]) => {
  const bytes = Uint8Array.from(atob(file), (character) => character.charCodeAt(0));
  const {preparePicture} = await import("http://kit.test/client/dist/index.js");
  const {picture: scaled, crop} = await preparePicture(new Blob([bytes], {type}), options);
  let text = "";
  const out = new Uint8Array(await scaled.arrayBuffer());
  for (let at = 0; at < out.length; at += 32768)
    text += String.fromCharCode(...out.subarray(at, at + 32768));
  return [scaled.type, btoa(text), crop ?? null];
}"""
Prepare = Callable[..., tuple[str, bytes, Any]]
Scale = Callable[..., tuple[str, bytes]]


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty page beside the built package, which finds its decoder by an import map."""

    def serve(route: Route) -> None:
        path = route.request.url.partition("kit.test/")[2]
        if path:
            return route.fulfill(path=FRONT_END / path, content_type="text/javascript")
        decoder = '{"imports": {"heic-to/csp": "/node_modules/heic-to/dist/csp/heic-to.js"}}'
        return route.fulfill(
            body=f'<script type="importmap">{decoder}</script>', content_type="text/html"
        )

    opened = context.new_page()
    opened.route("http://kit.test/**", serve)
    opened.goto("http://kit.test/")
    return opened


@pytest.fixture
def prepare(page: Page) -> Prepare:
    def prepared(data: bytes, media_type: str = "", **options: Any) -> tuple[str, bytes, Any]:
        made_type, text, crop = page.evaluate(
            _SCALE, [base64.b64encode(data).decode(), media_type, options]
        )
        return made_type, base64.b64decode(text), crop

    return prepared


@pytest.fixture
def scale(prepare: Prepare) -> Scale:
    return lambda *data, **options: prepare(*data, **options)[:2]


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def stored(picture: Image.Image, orientation: int, image_format: str) -> bytes:
    """Return an upright picture as a camera stores it, held in that way."""
    turn = made.EXIF_TURNS[orientation]
    turned = picture.transpose(turn) if turn is not None else picture
    stream = io.BytesIO()
    exact = {"quality": 98, "subsampling": 0} if image_format == "JPEG" else {}
    turned.save(stream, image_format, exif=made.exif(orientation), **exact)
    return stream.getvalue()


def of_one_colour(picture: Image.Image, colour: tuple[int, ...], tolerance: int = 14) -> bool:
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    return bool(np.abs(pixels - colour).max() <= tolerance)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("times", [1, 8], ids=["whole", "its surroundings"])
def test_a_crop_is_exact_to_the_pixel_in_each_orientation(
    prepare: Prepare, orientation: int, image_format: str, times: int
) -> None:
    """Of the picture that is sent, the server shows the very square that was chosen."""
    width, height = 384 * times, 256 * times
    # upright, in the corner; in greys, as colours run over edges where they are stored coarser
    card = Image.new("RGB", (width, height))
    for index, grey in enumerate(GREYS):
        left, top = 64 + 128 * (index % 2), 128 * (index // 2)
        card.paste((grey,) * 3, (left, top, left + 128, top + 128))
    data = stored(card, orientation, image_format)

    def cut(left: int, top: int) -> Image.Image:
        crop = [left / width, top / height, 128 / height]
        _, sent, within = prepare(data, f"image/{image_format.lower()}", crop=crop)
        picture = opened(sent)
        assert max(picture.size) == (384 if times == 1 else 512)
        return picture.crop(Crop.from_request(within).box(*picture.size))

    for index, grey in enumerate(GREYS):
        colour = (grey,) * 3
        left, top = 64 + 128 * (index % 2), 128 * (index // 2)
        assert cut(left, top).size == (128, 128)
        assert of_one_colour(cut(left, top), colour), index
        # A pixel further there is another colour: the box is not a pixel off
        assert not of_one_colour(cut(left - 1, top), colour), index
        assert not of_one_colour(cut(left + 1, top), colour), index
        assert not of_one_colour(cut(left, top + (1 if top == 0 else -1)), colour), index


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_becomes_upright_and_loses_its_metadata(scale: Scale, orientation: int) -> None:
    card = made.card(side=240, margin=60)
    data = stored(card, orientation, "JPEG")
    assert b"Exif" in data
    media_type, sent = scale(data, "image/jpeg")
    picture = opened(sent)
    assert (media_type, picture.format, picture.size) == ("image/jpeg", "JPEG", (360, 240))
    assert not picture.getexif()
    assert b"Exif" not in sent
    wanted = np.asarray(card).astype(int)
    assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - wanted).mean() < 3


@pytest.mark.parametrize(
    ("size", "sent"),
    [
        ((3000, 2000), (2048, 1365)),
        ((2000, 3000), (1365, 2048)),
        ((2048, 2048), (2048, 2048)),
        ((640, 480), (640, 480)),
        ((6000, 600), (1200, 600)),
        ((1, 1), (1, 1)),
    ],
)
def test_a_large_picture_is_scaled_down_and_a_small_one_is_not_scaled_up(
    scale: Scale, size: tuple[int, int], sent: tuple[int, int]
) -> None:
    stream = io.BytesIO()
    Image.new("RGB", size, made.BLUE).save(stream, "JPEG")
    assert opened(scale(stream.getvalue(), "image/jpeg")[1]).size == sent


def test_another_largest_side_is_kept(scale: Scale) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (900, 600), made.BLUE).save(stream, "PNG")
    assert opened(scale(stream.getvalue(), "image/png", maxSide=300)[1]).size == (300, 200)


def test_transparency_stays(scale: Scale) -> None:
    picture = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    picture.paste((*made.RED, 255), (50, 50, 150, 150))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    media_type, sent = scale(stream.getvalue(), "image/png")
    assert media_type == "image/webp"
    kept = opened(sent).convert("RGBA")
    assert kept.getpixel((10, 10))[3] == 0  # type: ignore[index]
    assert kept.getpixel((100, 100))[3] == 255  # type: ignore[index]


def test_an_animation_that_begins_with_nothing_is_left_to_the_server(scale: Scale) -> None:
    frames = [Image.new("RGBA", (64, 64), colour) for colour in ((0, 0, 0, 0), (*made.RED, 255))]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:], disposal=2)
    assert scale(stream.getvalue(), "image/gif")[1] == stream.getvalue()


@pytest.mark.parametrize("data", [b"", b"these are no pixels", b"\xff\xd8\xff\xe0 not a JPEG"])
def test_what_is_not_a_picture_is_left_to_the_server(scale: Scale, data: bytes) -> None:
    assert scale(data, "image/jpeg")[1] == data


def test_a_heic_becomes_a_jpeg_without_its_place(scale: Scale) -> None:
    media_type, sent = scale(HEIC.read_bytes(), "image/heic")
    picture = opened(sent)
    assert (media_type, picture.format, picture.size) == ("image/jpeg", "JPEG", (480, 360))
    assert not picture.getexif()
    for index, colour in enumerate(COLOURS):
        left, top = 60 + 180 * (index % 2), 180 * (index // 2)
        assert of_one_colour(picture.crop((left + 9, top + 9, left + 171, top + 171)), colour, 30)


def test_a_heic_whose_name_or_type_is_another_is_known_by_its_bytes(scale: Scale) -> None:
    assert scale(HEIC.read_bytes(), "image/jpeg")[0] == "image/jpeg"
    assert opened(scale(HEIC.read_bytes(), "")[1]).format == "JPEG"


def test_a_heic_is_sent_as_it_is_where_the_decoder_cannot_be_loaded(
    page: Page, scale: Scale
) -> None:
    page.route("**/heic-to.js", lambda route: route.abort())
    assert scale(HEIC.read_bytes(), "image/heic")[1] == HEIC.read_bytes()


def test_the_decoder_is_loaded_for_a_heic_alone(page: Page, scale: Scale) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    stream = io.BytesIO()
    made.card().save(stream, "JPEG")
    scale(stream.getvalue(), "image/jpeg")
    scale(b"not a picture", "image/png")
    assert not [url for url in asked if "heic" in url]
    scale(HEIC.read_bytes(), "image/heic")
    assert [url for url in asked if "heic" in url]


def test_a_picture_of_48_megapixels_is_scaled_within_seconds(
    scale: Scale, record_property: Callable[[str, object], None]
) -> None:
    data = photograph(8064, 6048)
    began = time.monotonic()
    _, sent = scale(data, "image/jpeg")
    seconds = time.monotonic() - began
    record_property("seconds", round(seconds, 1))
    assert opened(sent).size == (2048, 1536)
    assert len(sent) < len(data) / 4
    assert seconds < 20


def photograph(width: int, height: int) -> bytes:
    """Return a JPEG as a phone takes it, with some noise and a place."""
    random = np.random.default_rng(7)
    small = random.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    noise = Image.effect_noise((1024, 1024), 24).convert("RGB")
    tiled = Image.new("RGB", (width, height))
    for left in range(0, width, 1024):
        for top in range(0, height, 1024):
            tiled.paste(noise, (left, top))
    stream = io.BytesIO()
    Image.blend(picture, tiled, 0.15).save(stream, "JPEG", quality=92, exif=made.exif(1))
    return stream.getvalue()
