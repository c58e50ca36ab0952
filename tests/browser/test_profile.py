"""A test user's page: signed in, edited, and a new avatar sent by the browser itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from console.operations.environments.deployment import Deployment
from console.operations.uploads import profiles
from tests.integration.system import picture

Open = Callable[[str], Page]


@pytest.fixture
def page(page_at: Open) -> Page:
    """The profile page, signed in as ada."""
    opened = page_at("/profile")
    opened.get_by_role("button", name="Sign in as @ada").click(timeout=20_000)
    expect(opened.get_by_text("signed in as @ada").first).to_be_visible(timeout=20_000)
    expect(opened.get_by_text("Choose a picture")).to_be_visible(timeout=20_000)
    return opened


def send(page: Page, file: Path, data: bytes) -> None:
    file.write_bytes(data)
    page.locator("input[type=file]").set_input_files(file)


def test_an_avatar_sent_by_the_browser_is_shown(
    page: Page, here: Deployment, tmp_path: Path
) -> None:
    before = profiles.read(here, "ada").avatar_url
    send(page, tmp_path / "photo.jpg", picture(4001))
    expect(page.get_by_text("The new picture:")).to_be_visible(timeout=60_000)
    shown = profiles.read(here, "ada").avatar_url
    assert shown != before
    avatar = page.locator('img[alt="Avatar of ada"]')
    expect(avatar).to_have_attribute("src", shown, timeout=20_000)
    assert avatar.evaluate("image => image.decode().then(() => image.naturalWidth)") == 512


def test_a_file_that_is_no_picture_is_rejected_with_its_code(page: Page, tmp_path: Path) -> None:
    send(page, tmp_path / "words.jpg", b"these are no pixels")
    expect(page.get_by_text("unsupported_format")).to_be_visible(timeout=60_000)
    expect(page.get_by_alt_text("The chosen picture")).to_be_hidden()


def test_an_ending_that_is_none_is_explained(page: Page, tmp_path: Path) -> None:
    send(page, tmp_path / "photo.exe", b"MZ")
    expect(page.get_by_text("unsupported_extension")).to_be_visible(timeout=20_000)


def changed(page: Page, method: str, address: str, **change: object) -> None:
    """Let requests of that method to addresses that hold the text go out changed."""

    def handle(route: Route) -> None:
        if route.request.method == method:
            route.continue_(**change)  # type: ignore[arg-type]
        else:
            route.continue_()

    page.route(lambda url: address in url, handle)


def test_a_wrong_signature_is_explained(page: Page, here: Deployment, tmp_path: Path) -> None:
    changed(page, "PUT", here.uploads_bucket, headers={"Content-Type": "image/png"})
    send(page, tmp_path / "photo.jpg", picture(4002))
    expect(page.get_by_text("the browser must send exactly what it asked for")).to_be_visible(
        timeout=20_000
    )


def test_a_refusal_that_the_page_cannot_see_is_explained(page: Page, tmp_path: Path) -> None:
    wrong = {"Authorization": "Bearer no.good.token", "Content-Type": "application/json"}
    changed(page, "POST", "key_upload", headers=wrong)
    send(page, tmp_path / "photo.jpg", picture(4005))
    expect(page.get_by_text("The API refused, or the connection to it broke off")).to_be_visible(
        timeout=20_000
    )


def test_an_upload_that_breaks_off_is_explained(
    page: Page, here: Deployment, tmp_path: Path
) -> None:
    page.route(lambda url: here.uploads_bucket in url, lambda route: route.abort())
    send(page, tmp_path / "photo.jpg", picture(4003))
    broken = page.get_by_text("The connection to the uploads bucket broke off.")
    cors = page.get_by_text("CORS: the uploads bucket does not admit")
    expect(broken.or_(cors)).to_be_visible(timeout=20_000)


def test_a_second_picture_waits_until_the_first_is_sent(
    page: Page, here: Deployment, tmp_path: Path
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route) if route.request.method == "PUT" else route.continue_()

    page.route(lambda url: here.uploads_bucket in url, hold)
    send(page, tmp_path / "photo.jpg", picture(4004))
    expect(page.get_by_role("progressbar")).to_be_visible(timeout=20_000)
    expect(page.locator("input[type=file]")).to_be_disabled()
    while not held:  # it is asked for an address first
        page.wait_for_timeout(50)
    held[0].continue_()
    expect(page.locator("input[type=file]")).to_be_enabled(timeout=60_000)
    assert len(held) == 1


def test_a_bio_is_edited(page: Page, here: Deployment) -> None:
    before = profiles.read(here, "ada").bio
    for bio in (f"{before} Edited.", before):
        # the field of the text before goes a moment after the new one is there
        expect(page.get_by_label("Bio")).to_have_count(1, timeout=20_000)
        page.get_by_label("Bio").fill(bio)
        page.keyboard.press("Control+Enter")
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".bio")).to_have_text(bio, timeout=20_000)
        assert profiles.read(here, "ada").bio == bio
