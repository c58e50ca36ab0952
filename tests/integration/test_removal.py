"""A user's avatar from the first picture to its removal: what each address answers, and when."""

from __future__ import annotations

import time

from console.operations import web
from console.operations.environments.deployment import Deployment
from console.operations.uploads import outcomes
from console.operations.uploads.test_users import SignIn
from tests.integration.system import picture, wait_for_version, wait_until
from tests.integration.test_uploads import send

CLEANED = 120
"""Seconds: 40 of delay, the queue's polling, and patience with a busy machine."""


def remove(here: Deployment, user: SignIn) -> web.Response:
    headers = {"Authorization": f"Bearer {user.token}"}
    return web.request("DELETE", f"{here.api_url}/avatars", headers)


def status(here: Deployment, path: str) -> int:
    return web.request("GET", f"{here.assets_url}/{path}").status


def test_a_user_removes_the_avatar_and_sends_another(here: Deployment, grace: SignIn) -> None:
    avatar = f"avatars/{grace.sub}.jpg"
    default = web.request("GET", f"{here.assets_url}/avatars/_default.jpg").body
    first, second = (send(here, grace, picture(seed)) for seed in (201, 202))
    wait_for_version(here, grace.sub, second)
    old, new = (f"variants/{grace.sub}/{version}/512.jpg" for version in (first, second))
    assert status(here, new) == 200

    answer = remove(here, grace)
    assert (answer.status, answer.json()) == (202, {"key": grace.sub})
    register = wait_until(
        lambda: (
            (found := outcomes.register(here, grace.sub))
            and "removed" in found["Metadata"]
            and found
        ),
        "the removal",
    )
    assert "sequencer" in register["Metadata"]
    shown = web.request("GET", f"{here.assets_url}/{avatar}")
    assert shown.status == 200
    assert shown.body.startswith(default[:20])
    assert status(here, new) == 200  # for pages that show it still
    begun = time.monotonic()
    wait_until(lambda: status(here, new) == status(here, old) == 404, "the cleanup", CLEANED)
    assert time.monotonic() - begun > 5
    assert status(here, avatar) == 200
    originals = here.s3.list_object_versions(Bucket=here.uploads_bucket, Prefix=grace.sub)
    assert originals["DeleteMarkers"][0]["IsLatest"]
    assert len(originals["Versions"]) >= 2  # they go by the bucket's lifecycle

    assert remove(here, grace).status == 202  # again, of nothing
    again = send(here, grace, picture(202))
    assert again == second
    wait_for_version(here, grace.sub, second)
    assert status(here, new) == 200


def test_without_a_good_token_nothing_is_removed(here: Deployment) -> None:
    assert web.request("DELETE", f"{here.api_url}/avatars").status == 401
    headers = {"Authorization": "Bearer not.a.token"}
    assert web.request("DELETE", f"{here.api_url}/avatars", headers).status == 403
