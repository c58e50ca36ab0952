"""docs/cost.md adds up: its sums come from its own prices and measurements, and the defaults."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/cost.md").read_text()
VARIABLES = (ROOT / "terraform/variables.tf").read_text()
WHOLE_PROCESSOR = 1769
ROUND_TRIPS_MS = 60
CAUTION = 1.25


def numbers(row: str) -> list[float]:
    """Return the numbers in the second cell of the row that begins so."""
    cell, *_ = re.findall(rf"^\| {re.escape(row)}[^|]*\| ([^|]+) \|", PAGE, re.MULTILINE)
    return [float(number) for number in re.findall(r"\d+\.\d+", cell)]


def table(header: str) -> list[list[str]]:
    """Return the cells of the rows below the header that begins so."""
    (rows,) = re.findall(rf"^\| {header}.*\n\|[-:| ]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows.splitlines()]


GB_SECOND, CALLS = numbers("Lambda, arm64")
PUT, GET, _KEPT = numbers("S3 Standard")
PROCESSOR_MS = {
    row[0].split(" and ")[0]: float(row[2]) for row in table("variants besides the avatar")
}


def lambda_usd(memory: int, milliseconds: float) -> float:
    """Return the USD of a million calls."""
    return CALLS + memory / 1024 * milliseconds / 1000 * GB_SECOND * 1e6


def billed(processor_ms: float, memory: int = WHOLE_PROCESSOR) -> float:
    return CAUTION * (
        processor_ms * WHOLE_PROCESSOR / min(memory, WHOLE_PROCESSOR) + ROUND_TRIPS_MS
    )


def upload_usd(processor_ms: float, puts: int) -> float:
    """Return the USD of a million uploads."""
    taken_in, kept = numbers("CloudWatch Logs")
    counted, looked_up = numbers("DynamoDB")  # not consistently: half a unit
    return (
        numbers("API Gateway")[0]
        + 2 * lambda_usd(256, 50)
        + lambda_usd(WHOLE_PROCESSOR, billed(processor_ms))
        + puts * PUT
        + 2 * GET
        + 3 * numbers("SQS")[0]
        + numbers("SNS")[0]
        + counted
        + looked_up / 2
        + 2.16 * (taken_in + kept)
    )


def table_of_uploads() -> list[list[str]]:
    section = PAGE.partition("## A million uploads")[2].partition("Not in it")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def test_the_sum_of_a_million_uploads_is_that_of_its_items_and_of_the_prices() -> None:
    *items, (*_, total) = table_of_uploads()
    total = total.strip("|* ")
    assert abs(sum(float(row[-1].strip("| ")) for row in items) - float(total)) < 0.02
    assert total == f"{upload_usd(PROCESSOR_MS['512.jpg, 128.webp'], 4):.2f}"
    assert f"A million uploads: **{total}**" in PAGE


def test_each_configuration_costs_what_its_puts_and_its_rendering_cost() -> None:
    rows = table("`avatar_variants`")
    assert len(rows) >= 5
    for (_, puts, usd), processor_ms in zip(rows, PROCESSOR_MS.values(), strict=True):
        assert usd == f"{upload_usd(processor_ms, int(puts)):.2f}"


def test_the_default_costs_at_most_30_and_the_least_at_most_25() -> None:
    costs = {variants.strip("`"): float(usd) for variants, _, usd in table("`avatar_variants`")}
    functions = (ROOT / "terraform/functions.tf").read_text()
    (default,) = re.findall(r"coalesce\(var\.avatar_variants, (\{ .* \})\)", functions)
    assert costs[default] <= 30
    assert min(costs.values()) <= 25


def test_each_memory_size_costs_and_takes_what_its_processor_does() -> None:
    rows = table("`memory_size`")
    for cells in rows:
        memory = int(cells[0].replace(",", ""))
        small, large = 58, 118
        assert cells[1:] == [
            f"{billed(small, memory):.0f}",
            f"{billed(large, memory):.0f}",
            f"{lambda_usd(memory, billed(small, memory)):.2f}",
        ]
    (default,) = re.findall(r"memory_size +=\s*optional\(number, (\d+)\)", VARIABLES)
    assert f"The default is {int(default):,}" in PAGE
