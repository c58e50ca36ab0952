"""The front end's packages in a real browser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from console.operations.environments.deployment import ROOT
from tests.integration.system import System, wait_until

FRONT_END = ROOT / "front-end"
PHONE = {"width": 390, "height": 844}
Open = Callable[..., Page]


@pytest.fixture(scope="session", autouse=True)
def _built() -> None:
    assert (FRONT_END / "demo/dist/index.html").exists(), "run `make front-end`"


@pytest.fixture(scope="module")
def demo(system: System) -> Iterator[str]:
    """The demo's address, beside the tests' own system."""
    log = system.directory / "demo.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.demo"],
            cwd=ROOT, env=system.environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_until(lambda: "http://" in log.read_text() or process.poll(), "the demo", 60)
        assert process.poll() is None, log.read_text()
        yield f"http://localhost:{system.demo_port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 900, "height": 900}, has_touch=False)
    made.set_default_timeout(30_000)
    yield made
    made.close()


@pytest.fixture
def profile_page(demo: str, context: BrowserContext) -> Iterator[Open]:
    """Return a function that opens the demo, signed in as a test user.

    What the page's own policy forbids, and errors that nobody caught, fail the test.
    """
    wrong: list[str] = []

    def opened(user: str = "ada", prepare: Callable[[Page], None] | None = None) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda message: (
                wrong.append(message.text)
                if "Content Security Policy" in message.text or "Warning" in message.text
                else None
            ),
        )
        if prepare:
            prepare(page)
        page.goto(demo)
        page.get_by_role("button", name=user).click()
        page.get_by_role("heading", level=1).and_(page.locator(".ao-names h1")).wait_for()
        return page

    yield opened
    assert not wrong


@pytest.fixture
def form(profile_page: Open) -> Open:
    """Return a function that opens the demo's profile form."""

    def opened(user: str = "ada", prepare: Callable[[Page], None] | None = None) -> Page:
        page = profile_page(user, prepare)
        page.get_by_role("button", name="Edit the profile").click()
        page.get_by_role("button", name="Choose a picture").wait_for()
        return page

    return opened


def choose(page: Page, file: Path, button: str = "Choose a picture") -> None:
    """Choose a file in the dialog that the button opens."""
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name=button).click()
    chosen.value.set_files(file)


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong with the page as it is."""
    page.evaluate(f"{(FRONT_END / 'node_modules/axe-core/axe.min.js').read_text()}; true")
    found: dict[str, Any] = page.evaluate("axe.run()")
    assert found["passes"], "axe looked at nothing"
    return [
        f"{item['id']}: {item['help']}: {json.dumps([node['html'] for node in item['nodes']])}"
        for item in found["violations"]
    ]
