"""A user's banner beside the avatar: sent, cropped, removed, from the API to the CDN."""

from __future__ import annotations

from typing import Any

from console.operations import web
from console.operations.environments.deployment import Deployment
from console.operations.uploads import outcomes
from console.operations.uploads.test_users import SignIn
from tests.integration.system import picture, wait_for_version, wait_until
from tests.integration.test_crop import crop
from tests.integration.test_removal import remove
from tests.integration.test_uploads import ask, opened, send


def profile(here: Deployment) -> dict[str, Any]:
    answer = web.request("GET", f"{here.api_url}/api/activities/grace")
    found: dict[str, Any] = answer.json()["profile"]
    return found


def test_a_banner_is_shown_cropped_and_removed_and_the_avatar_stays(
    here: Deployment, grace: SignIn
) -> None:
    of_all = f"{here.assets_url}/banners/banner.jpg"
    avatar = send(here, grace, picture(301))
    wait_for_version(here, grace.sub, avatar)
    name = f"banners/{grace.sub}"
    sent = send(here, grace, picture(302, (1200, 900)), kind="banner")
    wait_for_version(here, name, sent)
    wait_until(lambda: sent in profile(here)["banner_url"], "the banner in the profile")
    said = profile(here)
    assert opened(said["banner_url"])[1].size == (1500, 500)
    assert opened(said["banner_variants"]["600x200.webp"])[1].size == (600, 200)
    assert (said["banner_crop"], len(said["banner_placeholder"])) == (None, 28)
    assert avatar in said["avatar_url"]

    answer = crop(here, grace, crop=[0.25, 0, 0.5], version=sent, kind="banner")
    assert (answer.status, answer.json()["key"]) == (202, name)
    version = answer.json()["version"]
    wait_for_version(here, name, version)
    wait_until(lambda: profile(here)["banner_crop"] == [0.25, 0, 0.5], "the crop in the profile")
    assert opened(profile(here)["banner_url"])[1].size == (1500, 500)
    assert profile(here)["avatar_crop"] is None
    # it was chosen for the other picture
    assert crop(here, grace, crop=[0, 0, 1], version=avatar, kind="banner").status == 409

    answer = remove(here, grace, "banner")
    assert (answer.status, answer.json()) == (202, {"key": name})
    wait_until(lambda: profile(here)["banner_url"] == of_all, "the banner of all in the profile")
    assert profile(here)["banner_variants"] == {}
    shown = web.request("GET", f"{here.assets_url}/avatars/{name}.jpg")
    assert (shown.status, shown.body[:20]) == (200, web.request("GET", of_all).body[:20])
    assert outcomes.shown_version(here, grace.sub) == avatar
    assert avatar in profile(here)["avatar_url"]


def test_a_kind_that_there_is_not_is_refused(here: Deployment, grace: SignIn) -> None:
    for answer in (
        ask(here, grace.token, {"extension": "jpg", "size": 10, "kind": "portrait"}),
        crop(here, grace, crop=[0, 0, 1], kind="portrait"),
        remove(here, grace, "portrait"),
    ):
        assert answer.status == 400
        assert "avatar, banner" in answer.json()["error"]["message"]
