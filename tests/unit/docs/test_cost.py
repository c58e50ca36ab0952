"""docs/cost.md adds up: its sums come from its own prices and measurements, and the defaults."""

from __future__ import annotations

import re
from pathlib import Path

from console.operations import costs
from console.operations.pipeline import reprocess

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/cost.md").read_text()
VARIABLES = (ROOT / "terraform/variables.tf").read_text()


def numbers(row: str) -> list[float]:
    """Return the numbers in the second cell of the row that begins so."""
    cell, *_ = re.findall(rf"^\| {re.escape(row)}[^|]*\| ([^|]+) \|", PAGE, re.MULTILINE)
    return [float(number) for number in re.findall(r"\d+\.\d+", cell)]


def table(header: str) -> list[list[str]]:
    """Return the cells of the rows below the header that begins so."""
    (rows,) = re.findall(rf"^\| {header}.*\n\|[-:| ]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows.splitlines()]


PUT, GET, _KEPT = numbers("S3 Standard")
PROCESSOR_MS = {
    row[0].split(" and ")[0]: float(row[2]) for row in table("variants besides the avatar")
}
lambda_usd, billed = costs.calls_usd, costs.billed_ms


def upload_usd(processor_ms: float, puts: int) -> float:
    """Return the USD of a million uploads."""
    return costs.upload_usd(puts, processor_ms)


def test_the_console_reckons_with_the_prices_and_measurements_of_the_page() -> None:
    for row, prices in {
        "Lambda, arm64": [costs.GB_SECOND, costs.CALLS],
        "API Gateway": [costs.API],
        "S3 Standard": [costs.PUT, costs.GET, costs.STORED_GB],
        "S3 Batch Operations": [costs.BATCH_JOB, costs.BATCH_OBJECTS],
        "SQS": [costs.QUEUE],
        "DynamoDB": [costs.COUNTED, costs.LOOKED_UP],
        "CloudWatch Logs": [costs.LOGS_IN_GB, costs.LOGS_KEPT_GB],
        "CloudFront, data": [costs.CDN_GB],
        "CloudFront, HTTPS": [costs.CDN_REQUESTS],
        "CloudWatch, alarms": [costs.ALARM],
        "CloudWatch, metrics": [costs.METRIC],
    }.items():
        assert numbers(row) == prices, row
    assert numbers("SNS")[0] == costs.TOPIC
    assert PROCESSOR_MS["512.jpg, 128.webp"] == costs.PROCESSOR_MS
    per_upload = sum(map(int, re.findall(r"GB .*?: (\d+) \+ (\d+) \+ 1,100 bytes", PAGE)[0]))
    assert round((per_upload + 1100 + 360) / 1000, 2) == costs._LOGS_GB


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


def test_everything_again_costs_what_the_command_says() -> None:
    rows = table("originals \\| S3 Batch Operations")
    assert len(rows) == 3
    for originals, by_job, by_queue in rows:
        count = int(originals.replace(",", ""))
        for said, way in ((by_job, True), (by_queue, False)):
            assert said.rstrip(" |") == f"{reprocess.usd(count, 2, 1769, by_job=way):,.2f}"


ORIGINALS_GB = 2188


def kept(monthly: float, months: int) -> float:
    """Return the USD of keeping a million originals at a price per GB and month."""
    return ORIGINALS_GB * monthly * months


def test_each_storage_class_costs_what_its_prices_say() -> None:
    standard = numbers("S3 Standard")[2]
    rare, moved_rare, read_rare = numbers("S3 Standard-IA")
    glacier, moved_glacier, read_glacier = numbers("S3 Glacier")
    middle, archive, watched, moved_tiering = numbers("S3 Intelligent-Tiering")
    first = kept(standard, 1)
    expected = {
        "null: Standard": (kept(standard, 12), kept(standard, 12), 0.0),
        "STANDARD_IA": (first + moved_rare + kept(rare, 11), kept(rare, 12), read_rare),
        "INTELLIGENT_TIERING": (
            first + moved_tiering + kept(middle, 2) + kept(archive, 9) + 11 * watched,
            kept(archive, 12) + 12 * watched,
            0.0,
        ),
        "GLACIER_IR": (first + moved_glacier + kept(glacier, 11), kept(glacier, 12), read_glacier),
    }
    rows = table("`originals_storage`")
    (classes,) = re.findall(r"contains\(\[([^]]+)\], try\(var\.originals_storage", VARIABLES)
    assert {name for name in expected if name in classes} == set(re.findall(r"\w+", classes))
    assert len(rows) == len(expected)
    for name, (year, later, read) in expected.items():
        (cells,) = [row[1:] for row in rows if name in row[0]]
        again = ORIGINALS_GB * read + GET
        assert cells == [f"{year:.2f}", f"{later:.2f}", f"{again:.2f}"], name


def test_users_cost_what_each_plans_steps_say() -> None:
    lite = numbers("Cognito, LITE")
    (essentials,) = numbers("Cognito, ESSENTIALS")
    steps = (10_000, 100_000, 1_000_000)
    for users_cell, *said in table("users active"):
        users = int(users_cell.replace(",", ""))
        bounds = [*steps[1:], float("inf")]
        by_steps = sum(
            max(0, min(users, upper) - lower) * price
            for lower, upper, price in zip(steps, bounds, lite, strict=True)
        )
        by_one = max(0, users - steps[0]) * essentials
        assert said == [f"{by_steps:,.2f}", f"{by_one:,.2f}"]
    assert re.search(r'^variable "user_pool_tier" \{.*?default\s+= "LITE"', VARIABLES, re.M | re.S)


def test_a_databases_network_costs_its_hours() -> None:
    (nat, _by_gb), (endpoint, _) = numbers("NAT gateway"), numbers("Interface endpoint")
    said = [row[-1].strip("| ") for row in table("way")]
    assert said == [f"{2 * 730 * endpoint:.2f}", f"{2 * 730 * nat:.2f}", "0.00"]


def test_alarms_cost_the_metrics_that_they_read() -> None:
    module = (ROOT / "terraform/modules/observability/main.tf").read_text()
    (count, read), (_price,) = (
        map(int, re.findall(r"\| alarms \| (\d+) that read (\d+) metrics", PAGE)[0]),
        numbers("CloudWatch, alarms"),
    )
    root = (ROOT / "terraform/functions.tf").read_text()
    functions = len(re.findall(r"^      (\w+) += module\.\1$", root, re.MULTILINE))
    kinds = len(re.findall(r'^      for .* in var\.functions : "', module, re.MULTILINE))
    shares = module.count('share       = "') + module.count('share      = "')
    # of each kind one, but the limits' for presign and resize; and CloudFront's
    # those of moderation, which is off, have a section of their own
    alarms = r'^resource "aws_cloudwatch_metric_alarm" "(?!function|oldest_review|verdict_function)'
    others = len(re.findall(alarms, module, re.M)) + 2
    other_shares = len(re.findall(r"for_each = \{ part", module)) - 1 + 1
    assert count == functions * kinds + others
    assert read == functions * (kinds + shares) + others + other_shares
