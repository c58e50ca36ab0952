"""A release that is broken: seen by version, rolled back by one click, and no upload is lost."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from itertools import count

import pytest
from playwright.sync_api import expect

from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters
from console.operations.releases import aliases, figures
from tests.browser.conftest import PageAt
from tests.faults.ledger import Ledger, redelivered_after
from tests.integration import live
from tests.integration.system import System, picture, wait_until

BROKEN = "def handler(event, context):\n    raise RuntimeError('a release that is broken')\n"


@pytest.fixture
def published(system: System, here: Deployment) -> Iterator[str]:
    """A broken version of resize, published as `make apply HOLD=1` does, and called by nobody."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("resize/handler.py", BROKEN)
        written.writestr("resize/__init__.py", "")
    good = system.built("resize")
    with live.published(here, "resize", archive.getvalue(), good) as version:
        yield version


def test_a_broken_release_to_10_percent_is_seen_rolled_back_and_loses_nothing(
    system: System, here: Deployment, ledger: Ledger, published: str, page_at: PageAt
) -> None:
    good = aliases.read(here, "resize").live

    def did() -> dict[tuple[str, str], figures.Figures]:
        return figures.by_version(here, [aliases.read(here, "resize")], 900)

    pictures = ((f"release-{number}.jpg", picture(number, (64, 64))) for number in count())
    ledger.put(*next(pictures))
    ledger.settle("before the release")
    assert aliases.read(here, "resize").next == published, "nobody calls what was only published"

    earlier = did()["resize", good].errors  # of other tests
    with redelivered_after(here, 2):
        said = system.make("release", "FUNCTION=resize", "PERCENT=10", "YES=1")
        assert f"version {published} of {here.function_names['resize']} is called for 10 %" in said
        failed = ("resize", published)

        def fails() -> bool:
            ledger.put(*next(pictures))
            return did()[failed].errors > 0

        wait_until(fails, "a call of the broken version", 120)

        page = page_at("/releases")
        badge = page.get_by_text(f"10 % version {published}")
        expect(badge).to_be_visible()
        by_version = {
            each["function"]: each
            for each in json.loads(system.make("releases", "JSON=1", "SINCE=15m"))
        }["resize"]["versions"]
        assert by_version[published]["errors"] == by_version[published]["calls"] > 0
        assert by_version[good]["errors"] <= earlier, "what failed is not counted to the good one"
        assert by_version[good]["calls"] > 0
        assert by_version[good]["p50"] > 0
        page.get_by_role("button", name=f"Back to version {good}").click()
        expect(badge).to_be_hidden()
        now = aliases.read(here, "resize")
        assert (now.live, now.trial, now.next) == (good, "", published)

        def tried_again() -> bool:
            counts = dead_letters.counts(here)
            return not counts["waiting"] + counts["in_flight"]

        wait_until(tried_again, "what failed being tried again", 120)
        if dead_letters.counts(here)["dead"]:  # each of three tries met the broken version
            system.make("redrive")
        assert ledger.settle("a broken release to 10 %")["served"] == len(ledger.accepted)
    assert failed not in did(), "nobody asks for figures of what was not promoted"


def test_promoted_it_is_called_by_everybody_and_back_is_the_one_before(
    system: System, here: Deployment, ledger: Ledger, published: str
) -> None:
    good = aliases.read(here, "resize").live
    system.make("promote", "FUNCTION=resize", "YES=1")
    assert aliases.read(here, "resize").live == published
    with redelivered_after(here, 2):
        ledger.put("promoted.jpg", picture(1))
        wait_until(lambda: dead_letters.counts(here)["in_flight"], "a failed batch")
        assert f"Version {good} of" in system.make("back", "FUNCTION=resize", "YES=1")
        assert ledger.settle("a broken release, promoted")["served"] == 1
    now = aliases.read(here, "resize")
    assert (now.live, now.before) == (good, published)
    refused = system.make("release", "FUNCTION=resize", "PERCENT=0", "YES=1", status=2)
    assert "0 % is no share of the calls." in refused
