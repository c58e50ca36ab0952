"""docs/scale.md adds up: its figures come from its quotas, the defaults and the costs."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from tests.unit.docs import test_cost

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/scale.md").read_text()
VARIABLES = (ROOT / "terraform/variables.tf").read_text()
RATES = (10, 100, 1000)
HEADROOM = 2
SECONDS = {
    "resize": test_cost.billed(test_cost.PROCESSOR_MS["512.jpg, 128.webp"]) / 1000,
    "authorizer": 0.05,
    "presign": 0.05,
    "profiles": 0.1,
}
MONTH = 30 * 24 * 3600


def rows(heading: str) -> dict[str, list[str]]:
    """Return the other cells of each row of a section's table, by its first cell."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    _head, _rule, *found = re.findall(r"^\|(.*)\|$", section, re.MULTILINE)
    cells = [[cell.strip() for cell in row.split("|")] for row in found]
    return {first: rest for first, *rest in cells}


def number(text: str) -> float:
    """Return the first number of a cell."""
    (found, *_) = re.findall(r"\d[\d,]*(?:\.\d+)?", text)
    return float(found.replace(",", ""))


NEEDED = rows("What to set")
QUOTAS = rows("Quotas of AWS")


def concurrency(function: str, rate: int) -> int:
    """Return the calls at once, with headroom, to the next ten above."""
    return max(1, math.ceil(HEADROOM * rate * SECONDS[function] / 10 - 1e-9)) * 10


def default(setting: str) -> float | None:
    """Return the default of a variable or of an attribute of one; None for null."""
    variable, _, attribute = setting.partition(".")
    (body,) = re.findall(rf'^variable "{variable}" \{{\n(.*?)^\}}', VARIABLES, re.M | re.S)
    if attribute:
        (value,) = re.findall(rf"^\s+{attribute}\s+= optional\(\w+(?:, ([^)]+))?\)", body, re.M)
    else:
        (value,) = re.findall(r"^\s+default\s+= (.*)$", body, re.M)
    return None if value in ("", "null") else float(value)


@pytest.mark.parametrize("row", [row for row in NEEDED if row.startswith("`")])
def test_a_setting_exists_and_has_the_default_that_is_said(row: str) -> None:
    setting = row.strip("`")
    said = NEEDED[row][0].strip("`")
    found = default(setting)
    assert said == ("null" if found is None else f"{found:,.0f}")


@pytest.mark.parametrize(("column", "rate"), [*enumerate(RATES, start=1)])
def test_each_figure_is_what_the_arithmetic_says(column: int, rate: int) -> None:
    def said(row: str) -> float:
        return number(NEEDED[row][column])

    standard = default("resize.maximum_concurrency")
    assert standard
    assert said("`resize.maximum_concurrency`") == max(standard, concurrency("resize", rate))
    limit = default("api_throttling.rate_limit")
    burst = default("api_throttling.burst_limit")
    assert limit
    assert burst
    assert said("`api_throttling.rate_limit`") == max(limit, 3 * rate)
    assert said("`api_throttling.burst_limit`") == min(
        max(burst, 6 * rate), number(QUOTAS["API Gateway, burst"][0])
    )
    assert said("`database.maximum_concurrency`") == concurrency("profiles", rate)
    functions = ("authorizer", "presign", "profiles")
    cleaning = said("calls of `cleanup` at once: a third of those of `resize`")
    assert cleaning == math.ceil(said("`resize.maximum_concurrency`") / 3)
    assert 10 * cleaning >= rate, "it keeps up"
    together = (
        cleaning
        + said("`resize.maximum_concurrency`")
        + sum(concurrency(name, rate) for name in functions)
    )
    assert said("concurrent executions of the account") == together
    assert said("Postgres connections") == said("`database.maximum_concurrency`")
    assert said("S3, PUTs a second below `variants/`") == 2 * rate
    assert said("SQS, messages in flight") == 5 * said("`resize.maximum_concurrency`")
    assert said("SNS, messages a second") == rate
    assert said("DynamoDB, writes a second") == rate
    assert said("SSM, reads at once after a release") == said("`database.maximum_concurrency`")
    assert said("Cognito, token refreshes a second") == rate


@pytest.mark.parametrize(("column", "rate"), [*enumerate(RATES, start=1)])
def test_what_is_above_a_quota_is_marked_and_nothing_else(column: int, rate: int) -> None:
    for row, quota in {
        "concurrent executions of the account": "Lambda, concurrent executions",
        "S3, PUTs a second below `variants/`": "S3, PUTs a second of a prefix",
        "SQS, messages in flight": "SQS, messages in flight",
        "SNS, messages a second": "SNS, messages a second",
        "DynamoDB, writes a second": "DynamoDB, writes a second",
        "SSM, reads at once after a release": "SSM, reads a second",
        "Cognito, token refreshes a second": "Cognito, token refreshes a second",
        "`api_throttling.rate_limit`": "API Gateway, requests a second",
    }.items():
        cell = NEEDED[row][column]
        assert ("**" in cell) == (number(cell) > number(QUOTAS[quota][0])), f"{row}: {cell}"


@pytest.mark.parametrize(("column", "rate"), [*enumerate(RATES, start=1)])
def test_the_cost_is_that_of_the_cost_sheet(column: int, rate: int) -> None:
    uploads = rate * MONTH / 1e6
    each = test_cost.upload_usd(test_cost.PROCESSOR_MS["512.jpg, 128.webp"], 4)
    assert number(NEEDED["USD a month"][column]) == round(uploads * each)
    (_, _, kept) = test_cost.numbers("S3 Standard")
    added = number(NEEDED["USD more each month, for originals"][column])
    assert added == round(uploads * 2188 * kept)
