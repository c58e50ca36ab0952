"""Overview and test avatars, as an operator uses them."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from console.operations.avatars import takedown
from console.operations.environments.deployment import Deployment
from console.operations.uploads import outcomes
from console.operations.uploads.test_users import SignIn
from tests.browser.conftest import PageAt
from tests.integration.system import picture, wait_for_version


def test_a_picture_is_sent_and_seen_in_all_sizes(
    page_at: PageAt, here: Deployment, grace: SignIn, tmp_path: Path
) -> None:
    photo = tmp_path / "browser photo.png"
    photo.write_bytes(picture(81, image_format="PNG"))
    page = page_at("/test-avatars")
    page.get_by_role("radio", name="Files").click()
    files = page.locator('[data-testid="stFileUploader"] input[type=file]')
    heic = tmp_path / "IMG_1.HEIC"
    heic.write_bytes(bytes(1000))
    files.set_input_files([photo, heic])
    page.get_by_text("browser photo.png").first.wait_for()
    page.get_by_text("is not sent: its ending is none of").wait_for()
    page.get_by_text("Directly").click()
    page.get_by_label("Folder").wait_for()
    page.locator(".st-key-send button").click()
    for variant in ("512.jpg", "128.webp"):
        page.get_by_text(variant, exact=True).first.wait_for()
    shown = page.locator('img[src*="/variants/browser%20photo/"]')
    expect(shown).to_have_count(2)
    assert shown.first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert outcomes.shown_version(here, "browser photo")


def test_an_avatar_goes_back_to_an_earlier_version_and_is_taken_down(
    page_at: PageAt, here: Deployment
) -> None:
    versions = []
    for seed in (82, 83):
        stored = here.s3.put_object(Bucket=here.uploads_bucket, Key="back.jpg", Body=picture(seed))
        versions.append(stored["ETag"].strip('"'))
        wait_for_version(here, "back", versions[-1])
    page = page_at("/test-avatars")
    page.get_by_text("Find", exact=True).click()
    page.get_by_label("Avatar's name").fill("back")
    page.keyboard.press("Enter")
    page.get_by_text("what users see").wait_for()
    page.wait_for_url("**/test-avatars?*find=back*")
    page.reload()
    page.get_by_text("what users see").wait_for()
    # a double click acts once
    page.get_by_role("button", name="Show again").dblclick()
    wait_for_version(here, "back", versions[0])
    listed = here.s3.list_object_versions(Bucket=here.uploads_bucket, Prefix="back.jpg")
    assert len(listed["Versions"]) == 3
    # what is taken down is what was listed: wait until the new version is
    newest = listed["Versions"][0]["VersionId"]
    page.get_by_text(newest).first.wait_for(timeout=60_000)

    button = page.locator(".st-key-take-down button")
    expect(button).to_be_disabled()
    page.get_by_label("to clear").fill("local")
    page.keyboard.press("Enter")
    expect(button).to_be_enabled()
    button.click()
    page.get_by_text("objects deleted").first.wait_for(timeout=180_000)
    assert takedown.objects_of(here, "back") == []


def test_the_overview_counts_uploads_and_leads_to_failures(
    page_at: PageAt, here: Deployment
) -> None:
    stored = here.s3.put_object(Bucket=here.uploads_bucket, Key="counted.jpg", Body=picture(84))
    wait_for_version(here, "counted", stored["ETag"].strip('"'))
    page = page_at("/")
    page.get_by_text("To avatar, median").wait_for()
    for card in ("Queue", "Failures", "Alarms", "Database", "CDN", "Certificate"):
        page.get_by_text(card, exact=True).last.wait_for()
    # the navigation has such a link too
    page.get_by_test_id("stMain").get_by_role("link", name="Failures").first.click()
    page.get_by_role("heading", name="Failures").wait_for()
