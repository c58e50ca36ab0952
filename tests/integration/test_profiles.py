"""Profiles through the API, with real tokens on a real database."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from console.operations import web
from console.operations.avatars import takedown
from console.operations.environments import databases
from console.operations.environments.deployment import Deployment
from console.operations.progress import ignore
from console.operations.uploads.test_users import SignIn
from tests.integration.system import NOWHERE, picture, wait_until
from tests.integration.test_uploads import send


def read(here: Deployment, handle: str) -> web.Response:
    return web.request("GET", f"{here.api_url}/api/activities/{handle}")


def update(here: Deployment, user: SignIn | None, body: bytes | dict[str, Any]) -> web.Response:
    headers = {"Content-Type": "application/json"}
    if user:
        headers["Authorization"] = f"Bearer {user.token}"
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return web.request("POST", f"{here.api_url}/api/profile/update", headers, data)


def test_a_profile_is_read_by_handle_with_and_without_at(here: Deployment, ada: SignIn) -> None:
    answer = read(here, "ada")
    assert answer.status == 200
    assert answer.json()["profile"] == read(here, "@ada").json()["profile"]
    assert answer.json()["profile"]["cognito_user_uuid"] == ada.sub
    created = [activity["created_at"] for activity in answer.json()["activities"]]
    assert created == sorted(created, reverse=True)
    assert len(created) == answer.json()["profile"]["cruds_count"] == 3


@pytest.mark.parametrize("handle", ["nobody", "%27%20OR%201%3D1--", "%F0%9F%A6%8A", "ad%00a"])
def test_an_unknown_handle_is_not_found(here: Deployment, handle: str) -> None:
    answer = read(here, handle)
    assert (answer.status, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_handle_is_decoded_once(here: Deployment, ada: SignIn) -> None:
    with psycopg.connect(databases.operator_url(here), autocommit=True) as connection:
        connection.execute("UPDATE users SET handle = 'a%41' WHERE handle = 'ada'")
        try:
            found = read(here, "a%2541").json()
            assert found["profile"]["cognito_user_uuid"] == ada.sub
            assert read(here, "a%41").status == 404, "another's"
        finally:
            connection.execute("UPDATE users SET handle = 'ada' WHERE handle = 'a%41'")


def test_users_change_their_own_row_and_no_other(
    here: Deployment, ada: SignIn, grace: SignIn
) -> None:
    before = read(here, "ada").json()["profile"]
    tricky = 'Robert\'); DROP TABLE users;-- 🦊 \\ "%s"'
    answer = update(
        here, grace, {"display_name": tricky, "bio": "née Murray", "sub": ada.sub, "handle": "ada"}
    )
    assert answer.status == 200
    assert answer.json()["display_name"] == tricky
    assert read(here, "grace").json()["profile"]["bio"] == "née Murray"
    assert read(here, "ada").json()["profile"] == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"display_name": " \t ", "bio": "x"}, 422, "display_name_blank"),
        ({"display_name": "x" * 1000, "bio": "x"}, 422, "display_name_too_long"),
        ({"display_name": "x", "bio": "x" * 100_000}, 422, "bio_too_long"),
        (b"no json", 400, "invalid_request"),
    ],
)
def test_bad_profiles_are_refused_with_their_code(
    here: Deployment, grace: SignIn, body: Any, status: int, code: str
) -> None:
    answer = update(here, grace, body)
    assert (answer.status, answer.json()["error"]["code"]) == (status, code)


def test_without_a_token_nothing_is_changed(here: Deployment) -> None:
    assert update(here, None, {"display_name": "x", "bio": "x"}).status == 401


def test_a_new_avatar_shows_in_the_profile_with_no_invalidation(
    here: Deployment, ada: SignIn
) -> None:
    for seed in (71, 72):
        version = send(here, ada, picture(seed))
        url = wait_until(
            lambda version=version: (  # type: ignore[misc]
                found
                if version in (found := read(here, "ada").json()["profile"]["avatar_url"])
                else None
            ),
            "the profile naming the new avatar",
        )
        assert url == f"{here.assets_url}/variants/{ada.sub}/{version}/512.jpg"
        assert web.request("GET", url).status == 200


def test_a_removed_avatar_leaves_the_profile_with_the_default(
    here: Deployment, grace: SignIn
) -> None:
    version = send(here, grace, picture(73))
    wait_until(lambda: version in read(here, "grace").json()["profile"]["avatar_url"], "the avatar")
    takedown.take_down(NOWHERE, here, grace.sub).execute(ignore)
    wait_until(
        lambda: (
            read(here, "grace").json()["profile"]["avatar_url"]
            == f"{here.assets_url}/avatars/{grace.sub}.jpg"
        ),
        "the default avatar",
    )
    assert web.request("GET", f"{here.assets_url}/avatars/{grace.sub}.jpg").status == 200


def test_the_function_may_do_no_more_in_the_database_than_it_must(here: Deployment) -> None:
    url = here.parameters.get_parameter(Name=here.database_url_parameter, WithDecryption=True)[
        "Parameter"
    ]["Value"]
    for statement in (
        "SELECT email FROM users",
        "UPDATE users SET handle = 'x'",
        "DELETE FROM activities",
        "CREATE TABLE mine ()",
    ):
        with (
            psycopg.connect(url) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)  # type: ignore[call-overload]
    assert databases.operator_url(here) != url
