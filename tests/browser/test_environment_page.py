"""All green, then red after a function's variable was changed behind Terraform's back."""

from __future__ import annotations

from playwright.sync_api import expect

from console.operations.environments.deployment import Deployment
from tests.browser.conftest import PageAt


def test_a_variable_changed_behind_terraforms_back_turns_red(
    page_at: PageAt, here: Deployment
) -> None:
    page = page_at("/environment")
    again = page.get_by_role("button", name="Run checks again")
    again.click(timeout=120_000)  # once the checks that the page begins with are over
    page.get_by_text("Everything that was looked at").wait_for(timeout=60_000)
    expect(page.get_by_text("Everything is as it should be.")).to_be_visible()

    function = here.function_names["resize"]
    before = here.functions.get_function_configuration(FunctionName=function)["Environment"]
    here.functions.update_function_configuration(
        FunctionName=function,
        Environment={"Variables": before["Variables"] | {"AVATAR_VARIANTS": "64.jpg"}},
    )
    try:
        again.click()
        page.get_by_text("To be fixed").wait_for(timeout=60_000)
        page.get_by_text("AVATAR_VARIANTS").first.wait_for()
        expect(page.get_by_text("512.jpg,128.webp").first).to_be_visible()
    finally:
        here.functions.update_function_configuration(
            FunctionName=function, Environment={"Variables": before["Variables"]}
        )
