"""The CDN page in a browser."""

from __future__ import annotations

from playwright.sync_api import expect

from console.operations.environments.deployment import Deployment
from tests.browser.conftest import PageAt

expect.set_options(timeout=30_000)


def test_the_first_visit_of_a_page_by_its_address_goes_through_the_navigation(
    page_at: PageAt,
) -> None:
    page = page_at("/cdn")
    expect(page.get_by_text("Environment local")).to_be_visible()
    expect(page.get_by_role("link", name="Test avatars")).to_be_visible()


def test_a_double_click_invalidates_once_and_the_history_shows_it(
    page_at: PageAt, here: Deployment
) -> None:
    page = page_at("/cdn")
    name = page.get_by_role("textbox", name="Avatar's name")
    name.fill("ada")
    name.press("Enter")
    expect(page.get_by_text("3 paths, free")).to_be_visible()
    page.get_by_role("button", name="Invalidate 3 paths").dblclick()
    expect(page.get_by_text("CloudFront has dropped them")).to_have_count(1)

    found = here.cloudfront.list_invalidations(DistributionId=here.distribution_id)
    made = [
        here.cloudfront.get_invalidation(DistributionId=here.distribution_id, Id=item["Id"])
        for item in found["InvalidationList"].get("Items", [])
    ]
    paths = [item["Invalidation"]["InvalidationBatch"]["Paths"]["Items"] for item in made]
    assert paths.count(["/avatars/ada.jpg", "/variants/ada/*", "/rejections/ada/*"]) == 1
    # and once it is counted, the next one starts from there
    total = sum(len(items) for items in paths)
    expect(page.get_by_text(f"after it, {total + 3} of this month")).to_be_visible()


def test_a_wildcard_is_advised_and_taken(page_at: PageAt) -> None:
    page = page_at("/cdn")
    page.get_by_role("radio", name="Paths").or_(page.get_by_role("button", name="Paths")).click()
    box = page.get_by_role("textbox", name="Paths")
    box.fill("/avatars/a.jpg /avatars/b.jpg /avatars/c.jpg")
    box.press("Control+Enter")
    expect(page.get_by_text("saves 2 paths")).to_be_visible()
    page.get_by_role("button", name="Use it").click()
    expect(box).to_have_value("/avatars/*")
    expect(page.get_by_role("button", name="Invalidate 1 path")).to_be_visible()
