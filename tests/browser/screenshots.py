"""Renew docs/screenshots (`make screenshots`), on a system of its own with something in it.

What each shows comes from the running system: pictures are sent, one fails, one is rejected, some
are held, a migration is rolled back and previewed.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, sync_playwright

from console.operations.environments.deployment import ROOT, Deployment
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters
from console.operations.progress import ignore
from console.operations.uploads import send
from tests.browser.chromium import FLAGS, executable
from tests.browser.conftest import settle
from tests.integration.system import System, wait_until
from tests.unit.console import deployments

FOLDER = ROOT / "docs/screenshots"
WIDTH, MOST_HEIGHT = 1280, 1900
DEAD_SECONDS = 300  # until a message has been received as often as it may
_SKIN = ("#f2c9a5", "#8d5a3b", "#d9a066", "#f5d6b8")
_HAIR = ("#3b2417", "#1c1410", "#7a4a21", "#b5651d")
_COAT = ("#3f6fb5", "#b5483f", "#3f8f6b", "#6b4fa0")


def portrait(number: int, width: int = 1200, height: int = 1500) -> bytes:
    """Return a drawn person's JPEG; the same number gives the same one."""
    steps = np.linspace(0, 1, height)[:, None, None]
    top, bottom = (
        np.array(Image.new("RGB", (1, 1), colour).getpixel((0, 0)), float)
        for colour in (f"hsl({70 * number + 200}, 45%, 85%)", f"hsl({70 * number + 230}, 40%, 55%)")
    )
    ground = np.broadcast_to(top + (bottom - top) * steps, (height, width, 3))
    picture = Image.fromarray(ground.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    middle, which = width // 2, number % 4
    draw.ellipse((middle - 330, 380, middle + 330, 1130), fill=_HAIR[which])
    draw.ellipse((middle - 480, 1080, middle + 480, 2300), fill=_COAT[which])
    draw.rectangle((middle - 95, 930, middle + 95, 1150), fill=_SKIN[which])
    draw.ellipse((middle - 250, 470, middle + 250, 1060), fill=_SKIN[which])
    draw.chord((middle - 280, 400, middle + 280, 900), 185, 355, fill=_HAIR[which])
    for side in (-100, 100):
        draw.ellipse((middle + side - 22, 730, middle + side + 22, 774), fill="#2b2b33")
    draw.arc((middle - 90, 790, middle + 90, 920), 25, 155, fill="#8a3b3b", width=14)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def fill(system: System, here: Deployment, folder: Path) -> None:
    """Use the system for a while, by commands, so that the audit has them too."""
    here.sqs.send_message(
        QueueUrl=here.queue_url,
        MessageBody=json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": {}}]}),
    )
    for number, who in enumerate(("ada", "grace", "alan", "emilie")):
        for version in (number + 4, number) if who == "ada" else (number,):
            photo = folder / f"{who}-{version}.jpg"
            photo.write_bytes(portrait(version))
            system.make("upload", f"FILE={photo}", f"WHO={who}")
    broken = folder / "holiday.jpg"
    broken.write_bytes(b"no picture at all")
    system.make("upload", f"FILE={broken}", "WHO=ada", status=2)
    system.make("invalidate", "PATHS=/banners/*")
    wait_until(
        lambda: dead_letters.counts(here)["dead"], "the message failing for good", DEAD_SECONDS
    )
    here.sqs.send_message(
        QueueUrl=here.dead_letter_queue_url,
        MessageBody=json.dumps(
            {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "lake.jpg"}}}]}
        ),
    )
    hold(here)
    try:
        send.send_directly(here, portrait(3), "lake.jpg", ignore)
    except OperationError as error:
        raise AssertionError("the picture of the second message") from error


def of_test_avatars(page: Page, folder: Path) -> None:
    photos = [folder / f"portrait-{number}.jpg" for number in (5, 6)]
    for number, photo in enumerate(photos):
        photo.write_bytes(portrait(5 + number))
    page.get_by_role("radio", name="Files").click()
    page.locator('[data-testid="stFileUploader"] input[type=file]').set_input_files(photos)
    page.get_by_text("portrait-6.jpg").first.wait_for()
    page.locator(".st-key-send button").click()
    page.get_by_text("128.webp", exact=True).nth(1).wait_for(timeout=90_000)


def of_find(page: Page, _folder: Path) -> None:
    page.get_by_text("Find", exact=True).click()
    page.get_by_label("Avatar's name").fill("@ada")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Take down").wait_for()


def of_failures(page: Page, _folder: Path) -> None:
    page.get_by_text("Details").nth(1).click()
    page.get_by_text("The original").wait_for()


def hold(here: Deployment) -> None:
    """Hold and report pictures, as functions would."""
    begun = time.time() - 3000
    for number in range(3, 7):
        key = f"0f3c5a2e-000{number}-4c1b-9d5e-3b1f6a7c8d9e"
        deployments.hold(here, key, portrait(number), begun + 600 * number)


def of_review(page: Page, _folder: Path) -> None:
    page.get_by_role("button", name="Approve").wait_for()
    page.locator('[data-testid="stImage"] img').wait_for()


def of_environment(page: Page, _folder: Path) -> None:
    page.get_by_text("Everything that was looked at").wait_for(timeout=240_000)


def of_migrations(page: Page, _folder: Path) -> None:
    page.get_by_role("tabpanel", name="Apply").get_by_role("button", name="Preview").click()
    page.get_by_text("Line numbers are the file's").wait_for(timeout=90_000)


def of_cdn(page: Page, _folder: Path) -> None:
    page.get_by_role("textbox", name="Avatar's name").fill("lake")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Invalidate").wait_for()


def as_it_is(_page: Page, _folder: Path) -> None:
    pass


SHOTS: dict[str, tuple[str, Callable[[Page, Path], None]]] = {
    "failures": ("/failures", of_failures),
    "test-avatars": ("/test-avatars", of_test_avatars),
    "find-avatar": ("/test-avatars", of_find),
    "review": ("/review", of_review),
    "profile": ("/profile", as_it_is),
    "migrations": ("/migrations", of_migrations),
    "cdn": ("/cdn", of_cdn),
    "releases": ("/releases", as_it_is),
    "costs": ("/costs", as_it_is),
    "overview": ("/", as_it_is),
    "audit": ("/audit", as_it_is),
    "environment": ("/environment", of_environment),
}


def shoot(browser: Browser, address: str, name: str, folder: Path) -> None:
    """Take one page's picture, as high as the page is."""
    path, prepare = SHOTS[name]
    page = browser.new_page(viewport={"width": WIDTH, "height": 900})
    page.set_default_timeout(30_000)
    page.goto(f"{address}{path}")
    page.locator("h1").first.wait_for()
    prepare(page, folder)
    settle(page)
    main = page.locator('[data-testid="stMain"]')
    height = main.evaluate("main => main.scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": min(MOST_HEIGHT, max(700, height))})
    main.evaluate("main => main.scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)  # charts and tables draw themselves again
    settle(page)
    taken = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    taken.convert("RGB").quantize(256).save(FOLDER / f"{name}.png", optimize=True)
    page.close()


def main() -> None:
    """Bring a system up, use it, and take each page's picture."""
    found = executable()
    assert found, "no Chromium: run `python -m tests.browser.chromium`"
    system = System()
    system.environment |= {"LOGNAME": "ada", "USER": "ada"}
    try:
        system.up()
        folder = system.directory / "pictures"
        folder.mkdir()
        fill(system, system.deployment(), folder)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found, args=[*FLAGS])
            for name in SHOTS:
                if name == "migrations":  # those before it need the newest schema
                    system.make("rollback", "STEPS=1", "YES=1")
                shoot(browser, f"http://127.0.0.1:{system.console_port}", name, folder)
                print(FOLDER / f"{name}.png", flush=True)
            browser.close()
    finally:
        system.close()


if __name__ == "__main__":
    main()
