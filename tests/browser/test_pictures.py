"""What a browser shows is accepted and comes out alike; what differs has a reason."""

from __future__ import annotations

import warnings

import pytest
from playwright.sync_api import Browser

from tests.browser.pictures import DIFFERENCES, PAGE, Outcome, compare, counted, rendered, row
from tests.unit.resize.corpus import cases

pytestmark = pytest.mark.xdist_group("pictures")  # which are painted once


@pytest.fixture(scope="module")
def outcomes(browser: Browser) -> list[Outcome]:
    with warnings.catch_warnings():  # Pillow's, of files that are made to be wrong
        warnings.simplefilter("ignore")
        files = list(cases())
    return compare(browser, files, rendered(files))


def test_what_chromium_shows_comes_out_alike_or_has_a_reason(outcomes: list[Outcome]) -> None:
    unexplained = [
        (outcome.case.group, outcome.case.name, outcome.is_accepted, round(outcome.decibels, 1))
        for outcome in outcomes
        if not outcome.is_alike and len(outcome.differences()) != 1
    ]
    assert not unexplained


def test_no_reason_is_given_for_what_no_longer_differs(outcomes: list[Outcome]) -> None:
    needed = {
        difference
        for outcome in outcomes
        if not outcome.is_alike
        for difference in outcome.differences()
    }
    assert needed == set(DIFFERENCES)


def test_the_documented_table_is_true(outcomes: list[Outcome]) -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for group, counts in counted(outcomes).items():
        line = next(line for line in lines if line.startswith(f"| {group} |"))
        assert line == row(group, counts, line.split("|")[4].strip())
    for difference in DIFFERENCES:
        assert f"- **{difference.what}**: {difference.reason}." in lines
