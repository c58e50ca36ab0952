"""Every page of the console is accessible, light, dark and on a phone.

With a folder in LOOKS, each is put there as it looks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from console.app import _PAGES
from tests.browser.conftest import settle
from tests.integration.system import System

pytestmark = pytest.mark.long
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
    for entries in _PAGES.values()
    for name, _, _ in entries
]


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


@pytest.mark.parametrize("path", PATHS)
def test_each_page_is_accessible_and_no_wider_than_its_window(
    system: System, page: Page, path: str, look: str
) -> None:
    page.goto(f"http://127.0.0.1:{system.console_port}{path}")
    page.locator("h1").first.wait_for()
    settle(page)
    found = Axe().run(page, {"exclude": STREAMLITS_OWN})
    if folder := os.environ.get("LOOKS"):
        page.screenshot(path=f"{folder}/{path.strip('/') or 'overview'}-{look}.png")
    assert not found.violations_count, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
