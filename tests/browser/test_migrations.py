"""Migrations rolled back and applied in a browser, with their entries in the audit."""

from __future__ import annotations

import csv
from pathlib import Path

from playwright.sync_api import expect

from console.operations import migrations
from console.operations.environments import databases
from console.operations.environments.deployment import Deployment
from tests.browser.conftest import PageAt

expect.set_options(timeout=30_000)


def test_roll_back_migrate_and_find_both_in_the_audit(page_at: PageAt, here: Deployment) -> None:
    url = databases.operator_url(here)
    page = page_at("/migrations")
    expect(page.get_by_text("Up to date")).to_be_visible()

    page.get_by_role("tab", name="Roll back").click()
    back = page.get_by_role("tabpanel", name="Roll back")
    expect(back.get_by_text("These are rolled back")).to_be_visible()
    expect(back.get_by_role("button", name="Roll back 1")).to_be_disabled()
    back.get_by_role("button", name="Preview").click()
    expect(back.get_by_text("DROP COLUMN banner_version").first).to_be_visible(timeout=120_000)
    back.get_by_role("textbox", name="Type").fill("local")
    back.get_by_role("textbox", name="Type").press("Enter")
    back.get_by_role("button", name="Roll back 1").dblclick()
    expect(page.get_by_text("1 rolled back in")).to_have_count(1)
    expect(page.get_by_text("1 pending")).to_be_visible()
    assert [line.state for line in migrations.migrations(url)].count("pending") == 1

    page.get_by_role("tab", name="Apply").click()
    forth = page.get_by_role("tabpanel", name="Apply")
    forth.get_by_role("button", name="Preview").click()
    expect(forth.get_by_text("ADD COLUMN banner_version").first).to_be_visible(timeout=120_000)
    forth.get_by_role("button", name="Apply 1").click()
    expect(page.get_by_text("Up to date")).to_be_visible()
    assert {line.state for line in migrations.migrations(url)} == {"applied"}

    page = page_at("/audit")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = list(csv.DictReader(Path(downloading.value.path()).read_text().splitlines()))
    done = [(row["action"], row["target"], row["outcome"]) for row in rows]
    assert done.count(("migrate", "1790001000_add_banner", "done")) == 1
    assert done.count(("rollback", "1790001000_add_banner", "done")) == 1
