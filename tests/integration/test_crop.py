"""A user chooses what the avatar shows: with the upload, and again without one."""

from __future__ import annotations

import io
import json
from typing import Any

from PIL import Image

from console.operations import progress, web
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import reconcile
from console.operations.uploads import outcomes, profiles, send
from console.operations.uploads.test_users import SignIn
from tests.integration.system import wait_for_version, wait_until
from tests.integration.test_removal import remove

CROP = [0.5, 0, 1]


def halves() -> bytes:
    """Return a picture that is red on the left and blue on the right."""
    picture = Image.new("RGB", (400, 200), "red")
    picture.paste("blue", (200, 0, 400, 200))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def shown(here: Deployment, sub: str, version: str) -> str:
    answer = web.request("GET", f"{here.assets_url}/variants/{sub}/{version}/512.jpg")
    assert answer.status == 200
    picture = Image.open(io.BytesIO(answer.body)).resize((1, 1))
    red, _, blue = picture.getpixel((0, 0))  # type: ignore[misc]
    return "red" if red > 200 else "blue" if blue > 200 else "both"


def crop(here: Deployment, user: SignIn, **members: Any) -> web.Response:
    headers = {"Authorization": f"Bearer {user.token}", "Content-Type": "application/json"}
    body = json.dumps(members).encode()
    return web.request("POST", f"{here.api_url}/avatars/crop", headers, body)


def test_a_user_crops_a_picture_and_crops_it_again(here: Deployment, grace: SignIn) -> None:
    sent = send.send_as_user(here, halves(), "png", "grace", progress.ignore, CROP)
    assert shown(here, grace.sub, sent.version) == "blue"
    answer = crop(here, grace, crop=[0, 0, 1], version=sent.version)
    assert answer.status == 202, answer.body
    version = answer.json()["version"]
    wait_for_version(here, grace.sub, version)
    assert shown(here, grace.sub, version) == "red"
    wait_until(
        lambda: profiles.read(here, "grace").crop == (0, 0, 1),
        "the profile",
        profiles.RECORD_SECONDS,
    )
    register = outcomes.register(here, grace.sub)
    assert register
    assert register["Metadata"]["version-id"] == answer.json()["version_id"]

    # what was lost is made again, the same
    made = [f"avatars/{grace.sub}.jpg", f"variants/{grace.sub}/{version}/512.jpg"]
    for key in made:
        here.s3.delete_object(Bucket=here.assets_bucket, Key=key)
    for _ in reconcile.reconcile(here, progress.ignore, dry_run=False):
        pass
    wait_for_version(here, grace.sub, version)
    assert shown(here, grace.sub, version) == "red"

    assert crop(here, grace, crop=[0, 0, 1], version="0" * 32).status == 409
    assert remove(here, grace).status == 202
    answer = crop(here, grace, crop=[0, 0, 1])
    assert (answer.status, answer.json()["error"]["code"]) == (404, "no_picture")


def test_what_no_address_was_given_for_is_not_cropped(here: Deployment, ada: SignIn) -> None:
    assert web.request("POST", f"{here.api_url}/avatars/crop").status == 401
    assert crop(here, ada, crop=[0, 0]).status == 400
