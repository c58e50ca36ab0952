"""What every page has: the field Find, and updates that stop while nobody sees the tab."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from console.operations.environments.deployment import Deployment
from tests.browser.conftest import PageAt, settle
from tests.integration.system import System, picture, wait_for_version, wait_until

HIDDEN = """hidden => {
    Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture
def sent(here: Deployment) -> str:
    """An avatar that is shown."""
    stored = here.s3.put_object(
        Bucket=here.uploads_bucket, Key="anything.jpg", Body=picture(77, (64, 64))
    )
    wait_for_version(here, "anything", stored["ETag"].strip('"'))
    return "anything"


def box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Find anything")


def go_to_box(page: Page) -> None:
    """Press the key until it is heard: the page's own script comes after what is drawn."""

    def heard() -> bool:
        page.keyboard.press("/")
        return bool(box(page).evaluate("field => field === document.activeElement"))

    wait_until(heard, "the field having the focus")


def expect_found(page: Page, name: str) -> None:
    page.wait_for_url(re.compile(rf"/test-avatars\?(.*&)?find={name}\b"))
    expect(page.get_by_role("img", name="the avatar")).to_be_in_viewport(timeout=30_000)


def test_anything_is_found_from_any_page_by_the_keyboard(page_at: PageAt, sent: str) -> None:
    page = page_at("/costs")
    settle(page)
    go_to_box(page)
    page.keyboard.type(sent)
    page.keyboard.press("Enter")
    expect_found(page, sent)
    page.reload()
    expect_found(page, sent)
    page.go_back()
    page.go_back()  # Streamlit keeps the page's address without the search too
    expect(page.get_by_role("heading", name="Costs", level=1)).to_be_visible()
    page.goto(page.url.replace("costs", "test-avatars?view=Find&find=somebody"))
    settle(page)
    expect(page.get_by_text("No original is stored of somebody")).to_be_visible()
    go_to_box(page)
    page.keyboard.type(f"people/{sent}")  # a slash in a field is a slash
    expect(box(page)).to_have_value(f"people/{sent}")


@pytest.fixture
def phone(system: System, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{system.console_port}/audit")
    page.locator("h1").first.wait_for()
    yield page
    context.close()


def test_on_a_phone_what_was_found_is_seen(phone: Page, sent: str) -> None:
    phone.get_by_test_id("stExpandSidebarButton").click()
    box(phone).fill(sent)
    phone.get_by_role("button", name="Go", exact=True).click()
    expect_found(phone, sent)


@pytest.mark.long  # half a minute, most of it in which nothing may come
def test_a_hidden_tab_is_drawn_no_more_until_it_is_seen(system: System, browser: Browser) -> None:
    drawn: Counter[str] = Counter()
    context = browser.new_context()

    def watched(name: str) -> Page:
        page = context.new_page()
        page.on(
            "websocket",
            lambda socket: socket.on("framereceived", lambda _: drawn.update([name])),
        )
        page.goto(f"http://127.0.0.1:{system.console_port}/cdn")
        page.locator("h1").first.wait_for()
        settle(page)
        return page

    def drawn_again(name: str, times: int) -> int:
        """Wait until so much has come for that tab; return how much came for the other."""
        before = drawn.copy()
        while drawn[name] < before[name] + times:
            seen.wait_for_timeout(100)  # lets events come
        return (drawn - before)["hidden"]

    hidden, seen = watched("hidden"), watched("seen")
    assert drawn_again("seen", 6) > 0, "a tab that is seen is drawn by itself"
    hidden.evaluate(HIDDEN, True)
    wait_until(lambda: not drawn_again("seen", 6), "the end of its updates")
    assert drawn_again("seen", 12) == 0
    hidden.evaluate(HIDDEN, False)
    assert drawn_again("hidden", 12)
    context.close()
