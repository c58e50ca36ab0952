"""Each component's states in a real browser, on the tests' own system."""

from __future__ import annotations

import io
import json
import os
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from console.operations import web
from console.operations.environments.deployment import ROOT, Deployment
from console.operations.uploads import profiles
from console.operations.uploads.test_users import SignIn
from tests.browser.screenshots import portrait
from tests.front_end.conftest import PHONE, Open, choose, violations
from tests.front_end.test_pictures import HEIC, photograph
from tests.integration.system import picture, wait_until
from tests.unit.resize import pictures as made

pytestmark = pytest.mark.long
NEW = "This is your new picture."
SHOTS = ROOT / "docs/screenshots"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    # each a picture of its own: one that was sent before is there at once
    path.write_bytes(picture(uuid.uuid4().int % 2**32, (900, 600)))
    return path


def avatar(page: Page) -> Any:
    return page.locator(".ao-of-avatar .ao-avatar")


def use(page: Page) -> None:
    """Take the part that the crop dialog proposes."""
    page.get_by_role("button", name="Use this").click()


def original(here: Deployment, user: SignIn) -> Image.Image:
    """Return the user's newest original, as S3 has it."""
    data = here.s3.get_object(Bucket=here.uploads_bucket, Key=user.sub)["Body"].read()
    found = Image.open(io.BytesIO(data))
    found.load()
    return found


# From the file dialog to the visible avatar


def arrived(page: Page, here: Deployment, user: SignIn, handle: str) -> Image.Image:
    expect(page.get_by_text(NEW)).to_be_visible(timeout=90_000)
    expect(avatar(page)).to_have_attribute("data-state", "shown")
    url = avatar(page).locator("img").get_attribute("src")
    wait_until(
        lambda: profiles.read(here, handle).avatar_url.rpartition("/")[0] in str(url),
        "the profile naming the picture",
    )
    sent = original(here, user)
    assert not sent.getexif()
    assert max(sent.size) <= 2048
    return sent


def test_a_heic_from_the_file_dialog_becomes_the_avatar(
    form: Open, here: Deployment, ada: SignIn
) -> None:
    page = form()
    choose(page, HEIC)
    page.get_by_text("Choose the part to show").wait_for(timeout=60_000)
    use(page)
    sent = arrived(page, here, ada, "ada")
    assert (sent.format, sent.size) == ("JPEG", (480, 360))


def test_a_jpeg_of_48_megapixels_from_the_file_dialog_becomes_the_avatar(
    form: Open, here: Deployment, ada: SignIn, tmp_path: Path
) -> None:
    (tmp_path / "IMG_48.JPG").write_bytes(photograph(8064, 6048))
    page = form()
    choose(page, tmp_path / "IMG_48.JPG")
    page.get_by_text("Choose the part to show").wait_for(timeout=90_000)
    use(page)
    sent = arrived(page, here, ada, "ada")
    assert (sent.format, sent.size) == ("JPEG", (2048, 1536))


_CANVAS = """(how) => new Promise((done) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [300, 200];
  const context = canvas.getContext("2d");
  context.fillStyle = `rgb(${Math.random() * 255} 120 80)`;
  context.fillRect(0, 0, 300, 200);
  canvas.toBlob((blob) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([blob], "blob", {type: blob.type}));
    const place = document.querySelector(".ao-of-avatar");
    const options = {bubbles: true, cancelable: true};
    if (how === "paste")
      document.dispatchEvent(new ClipboardEvent("paste", {...options, clipboardData: transfer}));
    else
      for (const kind of ["dragenter", "dragover", "drop"])
        place.dispatchEvent(new DragEvent(kind, {...options, dataTransfer: transfer}));
    done();
  }, "image/png");
})"""


@pytest.mark.parametrize("how", ["paste", "drop"])
def test_a_canvas_blob_that_is_pasted_or_dropped_becomes_the_avatar(
    form: Open, here: Deployment, ada: SignIn, how: str
) -> None:
    page = form()
    page.evaluate(_CANVAS, how)
    use(page)
    assert arrived(page, here, ada, "ada").size == (300, 200)


# Cropping


def test_a_part_is_chosen_with_the_keyboard_alone_and_just_that_is_shown(
    form: Open, here: Deployment, ada: SignIn, tmp_path: Path
) -> None:
    stream = io.BytesIO()
    made.card(side=600, margin=150).save(stream, "PNG")  # 900 by 600
    (tmp_path / "card.png").write_bytes(stream.getvalue())
    page = form()
    choose(page, tmp_path / "card.png")
    area = page.get_by_role("application", name="Part of the picture that is shown")
    status = page.locator(".ao-dialog .ao-unseen")
    expect(status).to_have_text(
        "Shown: 100 % of the picture, 17 % from its left and 0 % from its top."
    )
    zoom = page.get_by_role("slider", name="Zoom")
    expect(zoom).to_be_focused()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    expect(zoom).to_have_value("2")
    page.keyboard.press("Shift+Tab")
    expect(area).to_be_focused()
    for _ in range(60):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    # to its upper left corner, where the margin is
    expect(status).to_have_text(
        "Shown: 50 % of the picture, 0 % from its left and 0 % from its top."
    )
    page.get_by_role("button", name="Use this").press("Enter")
    assert arrived(page, here, ada, "ada").size == (900, 600)
    assert colours(page, (128, 256), (384, 256)) == [made.MARGIN, made.RED]


def colours(page: Page, *places: tuple[int, int]) -> list[tuple[int, ...]]:
    """Return the colours of the card that the avatar shows at places of its 512 pixels."""
    url = str(avatar(page).locator("img").get_attribute("src")).rpartition("/")[0] + "/512.jpg"
    shown = Image.open(io.BytesIO(web.request("GET", url).body)).convert("RGB")
    assert shown.size == (512, 512)
    found: list[Any] = [shown.getpixel(place) for place in places]
    every = (made.MARGIN, made.RED, made.GREEN, made.BLUE, made.YELLOW)
    return [
        min(every, key=lambda one: max(abs(a - b) for a, b in zip(pixel, one, strict=True)))
        for pixel in found
    ]


def test_another_part_of_the_same_picture_is_shown_without_sending_it_again(
    form: Open, here: Deployment, ada: SignIn, tmp_path: Path
) -> None:
    stream = io.BytesIO()
    card = made.card(side=600, margin=150)  # 900 by 600
    card.putpixel((0, 0), (uuid.uuid4().int % 256, 0, 0))
    card.save(stream, "PNG")
    (tmp_path / "card.png").write_bytes(stream.getvalue())
    page = form()
    choose(page, tmp_path / "card.png")
    use(page)
    arrived(page, here, ada, "ada")
    assert colours(page, (128, 128), (384, 384)) == [made.RED, made.YELLOW]
    before = avatar(page).locator("img").get_attribute("src")
    puts: list[str] = []
    page.on("request", lambda asked: puts.append(asked.url) if asked.method == "PUT" else None)
    page.locator(".ao-of-avatar").get_by_role("button", name="Crop again").click()
    page.get_by_role("slider", name="Zoom").fill("2")
    use(page)
    expect(page.locator(".ao-of-avatar").get_by_role("button", name="Crop again")).to_be_visible(
        timeout=90_000
    )
    expect(avatar(page).locator("img")).not_to_have_attribute("src", str(before))
    expect(page.get_by_text(NEW)).to_be_visible()
    assert violations(page) == []
    assert not puts
    assert original(here, ada).size == (900, 600)
    page.locator(".ao-of-avatar").get_by_role("button", name="Remove").click()
    page.get_by_role("group", name="Remove your picture?").get_by_role(
        "button", name="Remove"
    ).click()
    expect(page.get_by_text("Your picture is removed.")).to_be_visible()
    expect(page.locator(".ao-of-avatar").get_by_role("button", name="Crop again")).to_have_count(0)


def test_escape_leaves_the_crop_and_gives_the_focus_back(form: Open, photo: Path) -> None:
    page = form()
    choose(page, photo)
    page.get_by_text("Choose the part to show").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Choose the part to show")).to_have_count(0)
    expect(page.get_by_role("button", name="Choose a picture")).to_be_focused()
    expect(page.get_by_label("Display name")).to_be_visible()  # the form's own dialog stays


def test_a_portraits_upper_part_is_proposed(form: Open, tmp_path: Path) -> None:
    (tmp_path / "portrait.jpg").write_bytes(portrait(1, 600, 1200))
    page = form()
    choose(page, tmp_path / "portrait.jpg")
    said = page.locator(".ao-dialog .ao-unseen")
    expect(said).to_have_text(
        "Shown: 100 % of the picture, 0 % from its left and 13 % from its top."
    )


# Slow, broken, refused


def throttle(page: Page, bytes_per_second: int) -> None:
    network = page.context.new_cdp_session(page)
    network.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False, "latency": 200,
            "downloadThroughput": -1, "uploadThroughput": bytes_per_second,
        },
    )  # fmt: skip


def test_a_slow_upload_shows_how_far_it_is_and_can_be_cancelled(
    form: Open, here: Deployment, ada: SignIn, photo: Path
) -> None:
    page = form()
    before = here.s3.list_object_versions(Bucket=here.uploads_bucket, Prefix=ada.sub)
    throttle(page, 8_000)
    choose(page, photo)
    use(page)
    bar = page.get_by_role("progressbar", name="Sending the picture")
    expect(bar).to_be_visible()
    wait_until(lambda: bar.evaluate("bar => bar.value > 0"), "progress")
    expect(page.get_by_role("status").get_by_text("Sending the picture")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(bar).to_have_count(0)
    expect(page.get_by_role("button", name="Choose a picture")).to_be_visible()
    after = here.s3.list_object_versions(Bucket=here.uploads_bucket, Prefix=ada.sub)
    assert len(after.get("Versions", [])) == len(before.get("Versions", []))


def test_a_slow_upload_arrives(form: Open, here: Deployment, ada: SignIn, photo: Path) -> None:
    page = form()
    throttle(page, 30_000)
    choose(page, photo)
    use(page)
    arrived(page, here, ada, "ada")


def test_offline_is_said_and_the_same_picture_sent_again_later(
    form: Open, here: Deployment, ada: SignIn, photo: Path
) -> None:
    page = form()
    choose(page, photo)
    page.get_by_text("Choose the part to show").wait_for()
    page.context.set_offline(True)
    use(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The connection broke off.", timeout=30_000)
    assert violations(page) == []
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    arrived(page, here, ada, "ada")
    expect(alert).to_have_count(0)


def test_a_connection_that_drops_for_a_moment_is_not_even_noticed(
    form: Open, here: Deployment, ada: SignIn, photo: Path
) -> None:
    page = form()
    dropped: list[str] = []

    def drop_once(route: Route) -> None:
        if route.request.method == "PUT" and not dropped:
            dropped.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(f"**/{here.uploads_bucket}/**", drop_once)
    choose(page, photo)
    use(page)
    arrived(page, here, ada, "ada")
    assert dropped


def test_a_rejection_is_shown_in_its_own_words(form: Open, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_bytes(f"no pixels {uuid.uuid4()}".encode())
    page = form()
    choose(page, tmp_path / "notes.jpg")
    expect(page.get_by_role("alert")).to_have_text(
        "This file is not a picture that can be used. Send a JPEG, PNG, WebP, GIF or AVIF.",
        timeout=60_000,
    )
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    assert violations(page) == []


def test_a_refusal_of_the_api_is_shown_in_its_own_words(form: Open, tmp_path: Path) -> None:
    (tmp_path / "film.mov").write_bytes(b"\0\0\0\x14ftypqt  ")
    page = form()
    choose(page, tmp_path / "film.mov")
    expect(page.get_by_role("alert")).to_contain_text("Videos can't be used. Send a still picture")


def test_a_locked_account_is_told_so(form: Open, photo: Path) -> None:
    body = {"error": {"code": "locked", "message": "This account may not send pictures."}}
    page = form()
    page.route("**/avatars/key_upload", lambda route: route.fulfill(
        status=403, body=json.dumps(body), headers={"Access-Control-Allow-Origin": "*"},
    ) if route.request.method == "POST" else route.continue_())  # fmt: skip
    choose(page, photo)
    use(page)
    expect(page.get_by_role("alert")).to_have_text("This account may not send pictures.")


def test_what_is_dropped_without_a_picture_is_said(form: Open) -> None:
    page = form()
    page.evaluate("""() => {
      const transfer = new DataTransfer();
      transfer.setData("text/plain", "words");
      document.querySelector(".ao-of-avatar").dispatchEvent(
        new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: transfer}));
    }""")
    expect(page.get_by_role("alert")).to_have_text("There is no picture in it.")


def test_a_second_picture_waits_until_the_first_has_arrived(
    form: Open, photo: Path, here: Deployment, ada: SignIn
) -> None:
    page = form()
    throttle(page, 30_000)
    choose(page, photo)
    use(page)
    page.get_by_role("progressbar").wait_for()
    page.evaluate(_CANVAS, "paste")
    arrived(page, here, ada, "ada")
    assert original(here, ada).size == (900, 600)


# The other components


def test_a_picture_is_removed_once_that_is_confirmed(
    form: Open, here: Deployment, grace: SignIn, photo: Path
) -> None:
    page = form("grace")
    choose(page, photo)
    use(page)
    arrived(page, here, grace, "grace")
    page.locator(".ao-of-avatar").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    assert violations(page) == []
    page.get_by_role("group", name="Remove your picture?").get_by_role(
        "button", name="Remove"
    ).click()
    expect(page.get_by_text("Your picture is removed.")).to_be_visible()
    expect(avatar(page)).to_have_attribute("data-state", "broken")
    wait_until(
        lambda: profiles.read(here, "grace").avatar_url.endswith(f"avatars/{grace.sub}.jpg"),
        "the removal",
    )


def test_a_banner_is_cropped_sent_cropped_again_and_removed(
    form: Open, here: Deployment, ada: SignIn, tmp_path: Path
) -> None:
    (tmp_path / "landscape.jpg").write_bytes(picture(uuid.uuid4().int % 2**32, (2400, 1600)))
    page = form()
    group = page.get_by_role("group", name="Banner")
    others = avatar(page).get_attribute("data-state")
    choose(page, tmp_path / "landscape.jpg", "Choose a banner")
    said = page.locator(".ao-dialog .ao-unseen")
    expect(said).to_have_text(
        "Shown: 100 % of the picture, 0 % from its left and 25 % from its top."
    )
    assert violations(page) == []
    use(page)
    expect(page.get_by_text("This is your new banner.")).to_be_visible(timeout=90_000)
    shown = page.locator(".ao-heading .ao-banner img")
    expect(shown).to_have_attribute("src", re.compile(f"/variants/banners/{ada.sub}/"))
    assert shown.evaluate(
        "image => image.decode().then(() => [image.naturalWidth / image.naturalHeight])"
    ) == [3]
    wait_until(
        lambda: profiles.read(here, "ada").banner_url == shown.get_attribute("src"),
        "the profile naming the banner",
    )
    sent = here.s3.get_object(Bucket=here.uploads_bucket, Key=f"banners/{ada.sub}")["Body"].read()
    assert Image.open(io.BytesIO(sent)).size == (2048, 1365)
    before = str(shown.get_attribute("src"))
    group.get_by_role("button", name="Crop again").click()
    page.get_by_role("slider", name="Zoom").fill("2")
    use(page)
    expect(group.get_by_role("button", name="Crop again")).to_be_visible(timeout=90_000)
    expect(shown).not_to_have_attribute("src", before)
    assert avatar(page).get_attribute("data-state") == others
    assert violations(page) == []
    group.get_by_role("button", name="Remove").click()
    group.get_by_role("group", name="Remove your banner?").get_by_role(
        "button", name="Remove"
    ).click()
    expect(page.get_by_text("Your banner is removed.")).to_be_visible()
    expect(shown).to_have_attribute("src", f"{here.assets_url}/banners/banner.jpg")
    wait_until(
        lambda: profiles.read(here, "ada").banner_url.endswith("/banners/banner.jpg"), "the removal"
    )


def test_a_picture_is_pasted_where_the_focus_is(form: Open) -> None:
    page = form()
    page.get_by_role("button", name="Choose a banner").focus()
    page.evaluate(_CANVAS, "paste")
    expect(page.locator(".ao-of-banner")).to_have_attribute("data-state", "cropping")
    expect(page.locator(".ao-of-avatar")).to_have_attribute("data-state", "idle")


def of_profile(change: dict[str, Any]) -> Any:
    """Return what lets a page see another profile than the API gives."""

    def changed(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["profile"] |= change
        route.fulfill(response=answer, json=body)

    return lambda page: page.route("**/api/activities/**", changed)


def test_without_a_picture_there_are_initials_and_no_request(profile_page: Open) -> None:
    asked: list[str] = []

    def prepare(page: Page) -> None:
        of_profile({"avatar_variants": {}})(page)
        page.on("request", lambda request: asked.append(request.url))

    page = profile_page("alan", prepare)
    shown = page.locator(".ao-heading .ao-avatar")
    expect(shown).to_have_attribute("data-state", "broken")
    expect(shown.locator("text")).to_have_text("AT")
    assert not [url for url in asked if "/avatars/" in url or "/variants/" in url]


@pytest.mark.parametrize("placeholder", ["LKO2?U%2Tw=w]~RBVZRi};RPxuwH", None])
def test_a_picture_that_comes_late_moves_nothing_and_one_that_is_broken_leaves_the_initials(
    profile_page: Open, here: Deployment, placeholder: str | None
) -> None:
    late = f"{here.assets_url}/late"
    variants = {f"{side}.webp": f"{late}/{side}.webp" for side in (64, 512)}
    held: list[Route] = []

    def prepare(page: Page) -> None:
        page.route(f"{late}/**", lambda route: held.append(route))
        change = {"avatar_variants": variants, "avatar_url": f"{late}/512.webp"}
        of_profile(change | {"avatar_placeholder": placeholder})(page)
        page.add_init_script("""
          globalThis.shift = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) shift += entry.value;
          }).observe({type: "layout-shift", buffered: true});""")

    page = profile_page("alan", prepare)
    shown = page.locator(".ao-heading .ao-avatar")
    expect(shown).to_have_attribute("data-state", "loading")
    if placeholder:
        red, green, blue, opacity = shown.locator("canvas").evaluate(
            "canvas => [...canvas.getContext('2d').getImageData(16, 16, 1, 1).data]"
        )
        assert opacity == 255
        assert len({red, green, blue}) > 1, "it has the picture's colours"
    else:
        expect(shown.locator("text")).to_be_visible()
    box = shown.bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (128, 128)
    srcset = shown.locator("img").get_attribute("srcset")
    assert srcset == f"{late}/64.webp 64w, {late}/512.webp 512w"
    page.wait_for_timeout(300)
    assert page.evaluate("shift") < 0.01
    for route in held:
        route.abort()
    expect(shown).to_have_attribute("data-state", "broken")
    expect(shown.locator("text")).to_have_text("AT")
    expect(shown.get_by_role("img")).to_have_count(0)  # the name stands beside it
    assert shown.bounding_box() == box


def test_the_profiles_banner_is_shown(profile_page: Open, here: Deployment) -> None:
    assert profile_page("alan", of_profile({"banner_url": ""})).locator(".ao-banner").count() == 0
    page = profile_page("alan")
    shown = page.locator(".ao-banner img")
    expect(shown).to_have_attribute("src", f"{here.assets_url}/banners/banner.jpg")
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert violations(page) == []


def test_name_and_bio_are_saved(form: Open, here: Deployment) -> None:
    page = form("emilie")
    before = profiles.read(here, "emilie")
    bio = f"Physicist 👩‍🔬 {uuid.uuid4().hex[:4]}"
    page.get_by_label("Bio").fill(bio)
    expect(page.get_by_text("16 of 1000 characters")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.locator(".ao-bio")).to_have_text(bio)
    assert profiles.read(here, "emilie").bio == bio
    assert profiles.read(here, "emilie").display_name == before.display_name


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("Display name", " ", "The display name must not be blank."),
        ("Display name", "x" * 65, "64"),
        ("Bio", "x" * 1001, "1000"),
    ],
    ids=["blank", "long name", "long bio"],
)
def test_what_the_server_says_against_a_field_stands_at_the_field(
    form: Open, field: str, value: str, sentence: str
) -> None:
    page = form("emilie")
    at = page.get_by_label(field)
    at.fill(value)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    expect(at).to_be_focused()
    expect(at).to_have_attribute("aria-invalid", "true")
    assert violations(page) == []
    at.press_sequentially("y")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_saving_offline_loses_nothing(form: Open) -> None:
    page = form("emilie")
    page.get_by_label("Bio").fill("written on a train")
    page.context.set_offline(True)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Saving …")).to_be_disabled()
    expect(page.get_by_role("alert")).to_contain_text("The connection broke off.", timeout=30_000)
    expect(page.get_by_label("Bio")).to_have_value("written on a train")
    page.context.set_offline(False)


# Looks and accessibility


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_each_view_is_accessible_and_looks_as_in_the_documentation(
    form: Open, look: str, tmp_path: Path
) -> None:
    (tmp_path / "portrait.jpg").write_bytes(portrait(1))

    def prepare(page: Page) -> None:
        page.emulate_media(color_scheme="light" if look == "light" else "dark")
        if look == "phone":
            page.set_viewport_size(PHONE)  # type: ignore[arg-type]

    page = form("ada", prepare)
    folder = SHOTS if os.environ.get("RENEW_SCREENSHOTS") else tmp_path
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    choose(page, tmp_path / "portrait.jpg")
    page.get_by_text("Choose the part to show").wait_for()
    expect(page.locator(".ao-dialog .ao-unseen")).to_contain_text("Shown")
    assert violations(page) == []
    page.screenshot(path=folder / f"front-end-crop-{look}.png")
    use(page)
    expect(page.get_by_text(NEW)).to_be_visible(timeout=60_000)
    expect(avatar(page)).to_have_attribute("data-state", "shown")
    page.wait_for_timeout(300)  # the picture fades in
    assert violations(page) == []
    page.screenshot(path=folder / f"front-end-form-{look}.png")
    page.get_by_role("button", name="Close").click()
    assert violations(page) == []
    page.screenshot(path=folder / f"front-end-profile-{look}.png")


def test_initials_can_be_read_on_every_colour(profile_page: Open) -> None:
    page = profile_page("alan", of_profile({"avatar_variants": {}}))
    contrasts: list[float] = page.evaluate("""() => {
      const avatar = document.querySelector(".ao-avatar");
      const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
      return Array.from({length: 36}, (_, step) => {
        avatar.style.setProperty("--ao-hue", step * 10);
        context.fillStyle = getComputedStyle(avatar).backgroundColor;
        context.fillRect(0, 0, 1, 1);
        const [r, g, b] = Array.from(context.getImageData(0, 0, 1, 1).data, (level) =>
          level <= 10 ? level / 3294.6 : ((level / 255 + 0.055) / 1.055) ** 2.4);
        return 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05);
      });
    }""")
    assert min(contrasts) > 4.5, min(contrasts)
