"""Profiles through the API, and what a failure in the browser is said to mean."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from moto import mock_aws

from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import profiles, refusals
from console.operations.uploads.refusals import Refusal, Step
from console.operations.uploads.test_users import SignIn

ORIGIN = "http://127.0.0.1:8501"
ADA = {
    "uuid": "1",
    "cognito_user_uuid": "sub-1",
    "handle": "ada",
    "display_name": "Ada",
    "bio": None,
    "cruds_count": 1,
    "avatar_url": "http://cdn/avatars/sub-1.jpg",
    "banner_url": "http://cdn/banners/banner.jpg",
}
ACTIVITY = {
    "message": "Note G",
    "created_at": "2026-01-02T03:04:05+00:00",
    "replies_count": 1,
    "reposts_count": 2,
    "likes_count": 3,
}


class Api:
    """An HTTP server that gives the answers it was given, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                api.asked.append((self.command, self.path, headers, self.rfile.read(length)))
                status, sent, body = api.answers.get(self.command, (404, {}, b"{}"))
                self.send_response(status)
                for name, value in {**sent, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_OPTIONS = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, method: str, status: int, body: Any) -> None:
        self.answers[method] = (status, {}, json.dumps(body).encode())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def api() -> Iterator[Api]:
    running = Api()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def here(api: Api) -> Deployment:
    return Deployment(
        name="local", region="eu-central-1", api_url=api.url, assets_url=api.url,
        uploads_bucket="uploads", assets_bucket="assets", distribution_id="E1",
        user_pool_id="eu-central-1_1", user_pool_client_id="client", queue_url="q",
        dead_letter_queue_url="d", topic_arn="t", function_names={},
        access={"AWS_ENDPOINT_URL": api.url, "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test"},
        database_url_parameter="/url",
    )  # fmt: skip


@pytest.fixture
def ada() -> SignIn:
    return SignIn("sub-1", "ada", "the-token", 0)


def test_a_profile_is_read_with_its_activities(api: Api, here: Deployment) -> None:
    api.answer("GET", 200, {"profile": ADA, "activities": [ACTIVITY]})
    found = profiles.read(here, "@ada")
    assert api.asked[0][1] == "/api/activities/ada"
    assert (found.display_name, found.bio, found.activities[0].likes) == ("Ada", "", 3)


def test_a_profile_has_what_stands_for_its_avatar(api: Api, here: Deployment) -> None:
    found = {"avatar_placeholder": "LEHV6n", "default": {"initials": "A", "hue": 212}}
    api.answer("GET", 200, {"profile": ADA | found, "activities": []})
    ada = profiles.read(here, "ada")
    assert (ada.placeholder, ada.initials, ada.hue) == ("LEHV6n", "A", 212)


def test_a_handle_can_not_leave_its_place_in_the_address(api: Api, here: Deployment) -> None:
    with pytest.raises(OperationError, match=r"no user @\.\./x"):
        profiles.read(here, "../x")
    assert api.asked[0][1] == "/api/activities/..%2Fx"


def test_an_avatar_address_that_is_no_web_address_is_not_shown(api: Api, here: Deployment) -> None:
    profile = {**ADA, "avatar_url": "javascript:alert(1)"}
    api.answer("GET", 200, {"profile": profile, "activities": []})
    assert profiles.read(here, "ada").avatar_url == ""


def test_a_bio_is_changed_with_the_users_token(api: Api, here: Deployment, ada: SignIn) -> None:
    api.answer("POST", 200, {**ADA, "bio": "New."})
    assert profiles.update(here, ada, "Ada", "New.").bio == "New."
    _, path, headers, body = api.asked[0]
    assert (path, headers["authorization"]) == ("/api/profile/update", "Bearer the-token")
    assert json.loads(body) == {"display_name": "Ada", "bio": "New."}


def test_the_apis_own_words_say_what_is_wrong(api: Api, here: Deployment, ada: SignIn) -> None:
    error = {"code": "display_name_blank", "message": "The display name must not be blank."}
    api.answer("POST", 422, {"error": error})
    with pytest.raises(OperationError, match="display name must not be blank"):
        profiles.update(here, ada, "", "")


def test_without_a_database_there_are_no_profiles(here: Deployment) -> None:
    with pytest.raises(OperationError, match="no database"):
        profiles.read(replace(here, database_url_parameter=""), "ada")


def failure(step: Step, status: int, text: str = "") -> Refusal:
    return Refusal(step=step, status=status, text=text, origin=ORIGIN)


@pytest.mark.parametrize(
    ("step", "status", "text", "says"),
    [
        ("ask", 403, '{"message": "Forbidden"}', "sign in again"),
        ("ask", 400, '{"error": {"code": "unsupported_extension", "message": "m"}}', "ending"),
        ("ask", 413, '{"error": {"code": "too_large", "message": "m"}}', "smaller"),
        ("put", 403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", "length are signed"),
        ("put", 403, "<Error><Code>AccessDenied</Code></Error>", "expired"),
        (
            "put",
            400,
            "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism</Message></Error>",
            "Authorization",
        ),
        ("put", 400, "<Error><Code>ExpiredToken</Code></Error>", "have ended"),
        ("put", 503, "<Error><Code>SlowDown</Code></Error>", "slow down"),
        ("ask", 500, "oops", "make logs"),
    ],
)
def test_each_refusal_has_its_remedy(
    here: Deployment, step: Step, status: int, text: str, says: str
) -> None:
    assert says in refusals.explain(here, failure(step, status, text)).remedy


@pytest.mark.parametrize(("step", "place"), [("ask", "the API"), ("put", "the uploads bucket")])
def test_a_missing_cors_rule_is_named(api: Api, here: Deployment, step: Step, place: str) -> None:
    api.answers["OPTIONS"] = (403, {}, b"")
    assert refusals.explain(here, failure(step, 0)).message == (
        f"CORS: {place} does not admit pages from {ORIGIN}."
    )
    assert api.asked[0][2]["origin"] == ORIGIN
    path = {"ask": "/avatars/key_upload", "put": "/uploads/preflight"}[step]
    assert api.asked[0][1] == path


def test_a_broken_connection_is_not_blamed_on_cors(api: Api, here: Deployment) -> None:
    api.answers["OPTIONS"] = (200, {"Access-Control-Allow-Origin": ORIGIN}, b"")
    assert "broke off" in refusals.explain(here, failure("put", 0)).message


def test_a_refusal_of_the_gateway_which_a_page_cannot_see_is_thought_of(
    api: Api, here: Deployment
) -> None:
    api.answers["OPTIONS"] = (200, {"Access-Control-Allow-Origin": ORIGIN}, b"")
    error = refusals.explain(here, failure("ask", 0))
    assert "The API refused, or the connection to it broke off" in error.message
    assert "Sign in again" in error.remedy


def test_an_api_that_is_away_is_said_to_be_away(here: Deployment) -> None:
    away = replace(here, api_url="http://127.0.0.1:9")
    assert "can't be reached" in refusals.explain(away, failure("ask", 0)).message


def test_an_etag_that_the_browser_could_not_read_is_named(here: Deployment, ada: SignIn) -> None:
    with pytest.raises(OperationError, match="ETag"):
        profiles.wait_until_shown(here, "ada", ada, "", lambda event: None)


def test_nobody_is_signed_in_as_who_is_not_a_test_user(here: Deployment) -> None:
    with mock_aws():
        on_aws = replace(here, access={"AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t"})
        pool = on_aws.cognito.create_user_pool(PoolName="pool")["UserPool"]["Id"]
        deployed = replace(on_aws, user_pool_id=pool)
        ada = profiles.Profile("ada", "Ada", "", "sub-1", "", "")
        with pytest.raises(OperationError, match="not a test user"):
            profiles.sign_in(deployed, ada)
        # none was made, and one of another sub is not taken for hers
        assert not deployed.cognito.list_users(UserPoolId=pool)["Users"]
        deployed.cognito.admin_create_user(UserPoolId=pool, Username="ada@test-users.invalid")
        with pytest.raises(OperationError, match="not a test user"):
            profiles.sign_in(deployed, ada)
