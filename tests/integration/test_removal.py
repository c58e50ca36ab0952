"""A user's avatar from the first picture to its removal: what each address answers, and when."""

from __future__ import annotations

import time
from dataclasses import dataclass

from console.operations import web
from console.operations.environments.deployment import Deployment
from console.operations.uploads import outcomes
from console.operations.uploads.test_users import SignIn
from tests.integration.system import picture, wait_for_version, wait_until
from tests.integration.test_uploads import send

CLEANED = 120
"""Seconds: 40 of delay, the queue's polling, and patience with a busy machine."""


def remove(here: Deployment, user: SignIn, kind: str = "avatar") -> web.Response:
    headers = {"Authorization": f"Bearer {user.token}"}
    query = "" if kind == "avatar" else f"?kind={kind}"
    return web.request("DELETE", f"{here.api_url}/avatars{query}", headers)


@dataclass(frozen=True)
class Addresses:
    """What the world may ask for of one user, who sends a first picture and a second."""

    here: Deployment
    user: SignIn
    first: str
    second: str

    def shown(self) -> tuple[str, str, str, str]:
        """Return what the avatar, both versions' images and the profile show."""
        avatar = web.request("GET", f"{self.here.assets_url}/avatars/{self.user.sub}.jpg")
        assert avatar.status == 200, "pages that show it are never without a picture"
        said = outcomes.register(self.here, self.user.sub)
        metadata = said["Metadata"] if said else {}
        return (
            self._named(metadata.get("version")),
            *(str(self._status(version)) for version in (self.first, self.second)),  # type: ignore[return-value]
            self._of_profile(),
        )

    def _named(self, version: str | None) -> str:
        return {self.first: "first", self.second: "second"}.get(version or "", "default")

    def _status(self, version: str) -> int:
        path = f"variants/{self.user.sub}/{version}/512.jpg"
        return web.request("GET", f"{self.here.assets_url}/{path}").status

    def _of_profile(self) -> str:
        answer = web.request("GET", f"{self.here.api_url}/api/activities/grace")
        shown = answer.json()["profile"]["avatar_url"]
        versions = [each for each in (self.first, self.second) if f"/{each}/" in shown]
        return self._named(versions[0] if versions else None)


def test_a_user_removes_the_avatar_and_sends_another(here: Deployment, grace: SignIn) -> None:
    default = web.request("GET", f"{here.assets_url}/avatars/_default.jpg").body
    first = send(here, grace, picture(201))
    wait_for_version(here, grace.sub, first)
    second = send(here, grace, picture(202))
    addresses = Addresses(here, grace, first, second)
    began = time.monotonic()

    def answers(step: str, *expected: str, seconds: float = 60) -> float:
        """Wait until each address answers so; return the seconds since the step before."""
        nonlocal began
        wait_until(lambda: addresses.shown() == expected, f"{step}: {expected}", seconds)
        took = time.monotonic() - began
        print(f"{step:24} {took:5.1f} s  " + "  ".join(f"{shown:8}" for shown in expected))
        began = time.monotonic()
        return took

    print(f"\n{'':33} avatar    first     second    profile")
    answers("replaced", "second", "200", "200", "second")  # the first for pages that show it still

    answer = remove(here, grace)
    assert (answer.status, answer.json()) == (202, {"key": grace.sub})
    answers("removed", "default", "200", "200", "default")
    register = outcomes.register(here, grace.sub)
    assert register
    assert {"removed", "sequencer"} <= set(register["Metadata"])
    shown = web.request("GET", f"{here.assets_url}/avatars/{grace.sub}.jpg")
    assert shown.body.startswith(default[:20])
    took = answers("replaced_image_seconds", "default", "404", "404", "default", seconds=CLEANED)
    assert took > 5
    originals = here.s3.list_object_versions(Bucket=here.uploads_bucket, Prefix=grace.sub)
    assert originals["DeleteMarkers"][0]["IsLatest"]
    assert len(originals["Versions"]) >= 2  # they go by the bucket's lifecycle

    assert remove(here, grace).status == 202  # again, of nothing
    assert send(here, grace, picture(202)) == second
    answers("sent again", "second", "404", "200", "second")


def test_without_a_good_token_nothing_is_removed(here: Deployment) -> None:
    assert web.request("DELETE", f"{here.api_url}/avatars").status == 401
    headers = {"Authorization": "Bearer not.a.token"}
    assert web.request("DELETE", f"{here.api_url}/avatars", headers).status == 403
