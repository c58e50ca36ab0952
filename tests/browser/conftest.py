"""A real browser on the console of the tests' own system."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.integration.system import System

PageAt = Callable[[str], Page]


def settle(page: Page) -> None:
    """Wait until a page of the console has nothing more to draw."""
    page.locator('[data-testid="stStatusWidget"]').wait_for(state="detached")
    page.wait_for_load_state("networkidle")
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")


@pytest.fixture
def page_at(system: System, browser: Browser) -> Iterator[PageAt]:
    """Return a function that opens an address of the console and waits until it is drawn."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(90_000)

    def opened(path: str) -> Page:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{system.console_port}{path}")
        page.locator("h1").first.wait_for()
        return page

    yield opened
    context.close()
