"""Review by keyboard, in a browser on the running system."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Page, expect

from console.operations.environments.deployment import Deployment
from console.operations.pipeline import reviews
from tests.conftest import ORDER
from tests.integration.system import picture, wait_until
from tests.unit.console import deployments

PREFIX = "held-in-browser-"
MANY, DECIDED = 500, 60


def hold(here: Deployment, count: int) -> list[str]:
    """Hold so many pictures, as `resize` would, and return their keys, the oldest first."""
    keys = [f"{PREFIX}{number:03}" for number in range(count)]
    data = [picture(5000 + number, (256, 256)) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        numbers = range(count)
        since = [1767323045 + number / 1000 for number in numbers]
        bodies = [data[number % len(data)] for number in numbers]
        list(pool.map(deployments.hold, [here] * count, keys, bodies, since))
    return keys


@pytest.fixture
def held(here: Deployment) -> Iterator[Callable[[int], list[str]]]:
    keys: list[str] = []
    yield lambda count: keys.extend(hold(here, count)) or keys  # type: ignore[func-returns-value]
    for key in keys:
        reviews.drop(here, key)


def drawn(page: Page, key: str) -> None:
    """Wait until a picture is there with the buttons that its keys press."""
    page.locator("strong").filter(has_text=key).wait_for()
    page.locator('[data-test-script-state="notRunning"]').wait_for()
    page.locator('[data-testid="stImage"] img').wait_for()


def decide(page: Page, keys: list[str], pressed: str, until: Callable[[int], bool]) -> list[float]:
    """Press keys until it is enough; return the seconds from each to the next picture's name."""
    took = []
    for number, key in enumerate(keys[:-1]):
        if until(number):
            break
        drawn(page, key)
        begun = time.monotonic()
        page.keyboard.press(pressed[number % len(pressed)])
        drawn(page, keys[number + 1])
        took.append(time.monotonic() - begun)
    return took


def test_pictures_are_decided_by_keys_one_after_the_other(
    page_at: Callable[[str], Page],
    here: Deployment,
    held: Callable[[int], list[str]],
) -> None:
    keys = held(4)
    page = page_at("/review")
    expect(page.get_by_text("4 waiting")).to_be_visible()
    drawn(page, keys[0])
    shown = page.locator('[data-testid="stImage"] img')
    blurred = shown.get_attribute("src")
    assert blurred
    page.keyboard.press("v")
    expect(shown).not_to_have_attribute("src", blurred)
    decide(page, keys, "ax", lambda number: number == 2)

    def state(key: str) -> list[tuple[str, bool]]:
        return [(each.state, each.waits) for each in reviews.of_avatar(here, key)]

    for key, wanted in ((keys[0], "approved"), (keys[1], "refused")):
        wait_until(lambda k=key, w=wanted: state(k) == [(w, False)], "the decision")  # type: ignore[misc]
    assert state(keys[2]) == [("held", True)]
    drawn(page, keys[2])
    page.keyboard.press("s")
    expect(page.locator("strong").filter(has_text=keys[3])).to_be_visible()


@pytest.mark.long
def test_of_five_hundred_each_takes_no_longer_than_a_look(
    page_at: Callable[[str], Page],
    here: Deployment,
    held: Callable[[int], list[str]],
    record_property: Callable[[str, object], None],
) -> None:
    keys = held(MANY)
    page = page_at("/review")
    expect(page.get_by_text(f"{MANY} waiting")).to_be_visible()
    took = decide(page, keys, "aaax", lambda number: number == DECIDED)
    middle, slowest = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    record_property(
        ORDER,
        f"{MANY} held: a decision by keyboard takes {middle:.2f} s, {slowest:.2f} s at worst of 20",
    )
    assert len(took) == DECIDED
    assert middle < 3
    wait_until(
        lambda: reviews.summary(here).count == MANY - DECIDED,
        "all decisions being carried out",
        120,
    )
