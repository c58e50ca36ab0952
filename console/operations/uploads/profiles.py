"""A user's page as the application's API gives it, and a test user's changes to it."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from console import units
from console.operations import progress, web
from console.operations.environments.aws_errors import aws_errors, suppressed
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import outcomes, refusals, test_users
from console.operations.uploads.test_users import SignIn

RECORD_SECONDS = 20
_VERSION = r"[0-9a-f]{32}(-[0-9a-f]{15})?"


@dataclass(frozen=True)
class Activity:
    """One message of a user; `created_at` is in seconds since 1970."""

    message: str
    created_at: float
    replies: int
    reposts: int
    likes: int


@dataclass(frozen=True)
class Profile:
    """A user as others see them, with the newest activities first.

    Attributes
    ----------
    crop
        What the avatar shows of its original: left edge, top and size, in parts of it.
    placeholder
        The BlurHash that is drawn while the avatar loads, if it has one.
    initials, hue
        What stands for a user without a picture.
    """

    handle: str
    display_name: str
    bio: str
    sub: str
    avatar_url: str
    banner_url: str
    crop: tuple[float, float, float] | None = None
    placeholder: str | None = None
    initials: str = "?"
    hue: int = 0
    activities: tuple[Activity, ...] = ()


def read(deployment: Deployment, handle: str) -> Profile:
    """Return a user's page.

    Raises
    ------
    OperationError
        If there is no such user, or the API does not answer.
    """
    _require_database(deployment)
    path = quote(handle.removeprefix("@"), safe="")
    answer = web.request("GET", f"{deployment.api_url}/api/activities/{path}")
    if answer.status == 404:
        raise OperationError(
            f"There is no user @{handle.removeprefix('@')}.",
            "Check the handle. `make up` makes the demo users.",
        )
    found = _successful(answer, "give the profile")
    return _profile(found["profile"], found["activities"])


def sign_in(deployment: Deployment, profile: Profile) -> SignIn:
    """Sign in as the test user of this profile.

    Raises
    ------
    OperationError
        If it is not a test user's: nobody else's account is touched, and none is made.
    """
    attributes: Any = ()
    with (
        aws_errors(f"look for the test user {profile.handle}"),
        suppressed({"UserNotFoundException"}),
    ):
        attributes = deployment.cognito.admin_get_user(
            UserPoolId=deployment.user_pool_id, Username=test_users.email(profile.handle)
        )["UserAttributes"]
    if {"Name": "sub", "Value": profile.sub} not in attributes:
        raise OperationError(
            f"@{profile.handle} is not a test user.",
            "Choose a demo user; accounts of real users can't be signed in to.",
        )
    return test_users.sign_in(deployment, profile.handle)


def update(deployment: Deployment, user: SignIn, display_name: str, bio: str) -> Profile:
    """Change a signed-in user's name and bio.

    Raises
    ------
    OperationError
        With the API's own words if it refuses.
    """
    _require_database(deployment)
    answer = web.request(
        "POST",
        f"{deployment.api_url}/api/profile/update",
        {"Authorization": f"Bearer {user.token}", "Content-Type": "application/json"},
        json.dumps({"display_name": display_name, "bio": bio}).encode(),
    )
    return _profile(_successful(answer, "change the profile"))


def wait_until_shown(
    deployment: Deployment, handle: str, user: SignIn, version: str, report: progress.Report
) -> str:
    """Wait until an upload is the user's avatar, served, and named by their profile.

    Parameters
    ----------
    version
        The upload's version, as the browser was told.

    Returns
    -------
    str
        The new picture's address.

    Raises
    ------
    OperationError
        Naming the step that failed and why.
    """
    if not re.fullmatch(_VERSION, version):
        raise OperationError(
            "S3 took the picture, but the browser could not read its ETag.",
            "The uploads bucket's CORS must expose the header ETag: `make plan` shows drift.",
        )
    with progress.timed(report, "Resize"):
        outcomes.wait_for_resize(deployment, user.sub, user.sub, version)
    with progress.timed(report, "Profile names the new picture") as detail:
        deadline = time.monotonic() + RECORD_SECONDS
        while version not in (url := read(deployment, handle).avatar_url):
            if time.monotonic() > deadline:
                raise OperationError(
                    "The picture is served, but the profile does not name it yet.",
                    "See the profiles function's log: the topic tells it of each new avatar.",
                )
            time.sleep(0.2)
        detail.append(f"@{handle}")
    with progress.timed(report, "Serve") as detail:
        served = web.request("GET", url)
        if served.status != 200:
            raise OperationError(
                f"The CDN answered {served.status} for the new picture.",
                "Check the distribution and the assets bucket's policy on the page Environment.",
            )
        detail.append(units.size(len(served.body)))
    return url


def _require_database(deployment: Deployment) -> None:
    if not deployment.database_url_parameter:
        raise OperationError(
            "This environment has no database, and so no profiles.",
            "Set `database` in the environment's tfvars, then run `make apply`.",
        )


def _successful(answer: web.Response, action: str) -> Any:
    if answer.status == 200:
        return answer.json()
    code, message = refusals.code_and_message(answer.body.decode(errors="replace"))
    remedy = {
        401: "Sign in again.",
        403: "Sign in again.",
        422: "Change what it names, then save again.",
        404: "This account has no profile: `make up` makes those of the demo users.",
        503: "Check the database: `make status`.",
    }.get(answer.status, "Look at the profiles function's log: `make logs FUNCTION=profiles`.")
    raise OperationError(
        f"The API did not {action} ({answer.status} {code}): {message.rstrip('.')}.", remedy
    )


def _profile(found: dict[str, Any], activities: list[dict[str, Any]] | None = None) -> Profile:
    return Profile(
        handle=found["handle"],
        display_name=found["display_name"],
        bio=found["bio"] or "",
        sub=found["cognito_user_uuid"],
        avatar_url=_checked_url(found["avatar_url"]),
        banner_url=_checked_url(found["banner_url"]),
        crop=tuple(found["avatar_crop"]) if found.get("avatar_crop") else None,
        placeholder=found.get("avatar_placeholder"),
        **found.get("default", {}),  # an API that isn't applied yet has neither
        activities=tuple(
            Activity(
                message=item["message"],
                created_at=datetime.fromisoformat(item["created_at"]).timestamp(),
                replies=item["replies_count"],
                reposts=item["reposts_count"],
                likes=item["likes_count"],
            )
            for item in activities or []
        ),
    )


def _checked_url(url: str) -> str:
    return url if urlsplit(url).scheme in {"http", "https"} else ""
