"""Every page of the console is accessible, empty and full, light, dark and on a phone.

With a folder in LOOKS, each is put there as it looks.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from console.app import PAGES
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import reconcile
from tests.browser import screenshots
from tests.browser.conftest import settle
from tests.integration import live
from tests.integration.system import System, started

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("looks")]
STREAMLITS_OWN = [
    ['[data-testid="stSidebarNavItems"]'],  # lists with headings between the items
    ['[data-testid="stFileUploaderDropzone"]'],  # a presentation that has a name
]
LOOKS = {
    "light": ("light", {"width": 1280, "height": 1000}),
    "dark": ("dark", {"width": 1280, "height": 1000}),
    "phone": ("light", {"width": 390, "height": 844}),
}
PATHS = [
    "/" if name == "overview" else f"/{name.replace('_', '-')}"
    for entries in PAGES.values()
    for name, _, _ in entries
]
FULL = [
    "/test-avatars?view=Find&find=@ada",
    "/failures?show=rejected",
]


@pytest.fixture(scope="module")
def own() -> Iterator[System]:
    """A system in which nothing has happened."""
    with started() as running:
        yield running


@pytest.fixture(scope="module", params=["empty", "full"])
def state(
    request: pytest.FixtureRequest, own: System, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Whether there is something on each page, or nothing; nothing comes first."""
    if request.param == "full":
        fill(own, own.deployment(), tmp_path_factory.mktemp("photos"))
    return str(request.param)


def fill(system: System, here: Deployment, folder: Path) -> None:
    """Do something of each kind that a page lists, with names that are long."""
    for number in range(3):
        photo = folder / f"{number}.jpg"
        photo.write_bytes(screenshots.portrait(number))
        system.make("upload", f"FILE={photo}", "WHO=ada")
    broken = folder / f"{'a very long name of a file ' * 4}.jpg"
    broken.write_bytes(b"no picture at all")
    system.make("upload", f"FILE={broken}", "WHO=ada", status=2)
    system.make("invalidate", "PATHS=/banners/*", f"REASON={'a long reason ' * 9}")
    for number in range(15):
        body = json.dumps(reconcile.event(here, f"{number}{'-of-a-long-name' * 8}.jpg", None))
        here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody=body)
    screenshots.hold(here)
    live.publish(here, "resize", live.changed(system.built("resize")))
    system.make("release", "FUNCTION=resize", "PERCENT=10", "YES=1")


@pytest.fixture(params=LOOKS)
def look(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(look: str, browser: Browser) -> Iterator[Page]:
    scheme, size = LOOKS[look]
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(90_000)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("path", [*PATHS, *FULL])
def test_each_page_is_accessible_and_no_wider_than_its_window(
    own: System, state: str, page: Page, path: str, look: str
) -> None:
    page.goto(f"http://127.0.0.1:{own.console_port}{path}")
    page.locator("h1").first.wait_for()
    settle(page)
    found = Axe().run(page, {"exclude": STREAMLITS_OWN})
    if folder := os.environ.get("LOOKS"):
        name = re.sub(r"\W+", "-", path).strip("-") or "overview"
        page.screenshot(path=f"{folder}/{name}-{state}-{look}.png")
    assert not found.violations_count, found.generate_report()
    assert not page.get_by_text("This page met an unexpected error").count()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
