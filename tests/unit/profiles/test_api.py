"""Reading a profile and changing one's own."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
import pytest

from profiles import database, handler
from tests.unit.profiles.calls import ADA, ASSETS, GRACE, Call, column

READ = "/api/activities/@ada"
UPDATE = "/api/profile/update"


@pytest.mark.parametrize("handle", ["@ada", "ada", "%40ada"])
def test_a_profile_comes_with_its_activities_newest_first(call: Call, handle: str) -> None:
    status, body = call("GET", f"/api/activities/{handle}")
    assert status == 200
    assert set(body) == {"profile", "activities"}
    profile = body["profile"]
    assert set(profile) == {
        "uuid",
        "cognito_user_uuid",
        "handle",
        "display_name",
        "bio",
        "cruds_count",
        "avatar_url",
        "avatar_variants",
    }
    assert profile["cognito_user_uuid"] == ADA
    assert (profile["handle"], profile["display_name"]) == ("ada", "Ada Lovelace")
    assert profile["cruds_count"] == len(body["activities"]) == 3
    times = [activity["created_at"] for activity in body["activities"]]
    assert times == sorted(times, reverse=True)
    assert body["activities"][-1]["message"] == "The engine weaves algebraic patterns."


def test_at_most_40_activities_come_and_all_are_counted(call: Call, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO activities (user_uuid, message, created_at)"
            " SELECT uuid, 'old ' || n, now() - make_interval(days => n) FROM users,"
            " generate_series(1, 50) n WHERE handle = 'ada'"
        )
    _, body = call("GET", READ)
    assert len(body["activities"]) == 40
    assert body["profile"]["cruds_count"] == 53
    assert body["activities"][-1]["message"] == "old 37"


def test_the_avatar_is_a_variant_once_its_version_is_known(call: Call, url: str) -> None:
    _, body = call("GET", READ)
    assert body["profile"]["avatar_url"] == f"{ASSETS}/avatars/{ADA}.jpg"
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE users SET avatar_version = %s", ("ab" * 16,))
    _, body = call("GET", READ)
    folder = f"{ASSETS}/variants/{ADA}/{'ab' * 16}"
    assert body["profile"]["avatar_url"] == f"{folder}/512.jpg"
    assert body["profile"]["avatar_variants"] == {
        name: f"{folder}/{name}" for name in ("512.jpg", "128.webp")
    }


def test_the_avatar_is_the_largest_variant_where_no_512_jpg_is_made(
    call: Call, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVATAR_VARIANTS", "128.webp,256.webp")
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE users SET avatar_version = %s", ("ab" * 16,))
    _, body = call("GET", READ)
    assert body["profile"]["avatar_url"] == f"{ASSETS}/variants/{ADA}/{'ab' * 16}/256.webp"
    assert len(body["profile"]["avatar_variants"]) == 2


def test_a_read_is_one_query(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    call("GET", READ)
    seen: list[Any] = []
    connection = database._connection
    assert connection is not None
    execute = connection.execute

    def spy(query: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(query)
        return execute(query, *arguments, **options)

    monkeypatch.setattr(connection, "execute", spy)
    call("GET", READ)
    assert len(seen) == 1


def test_an_unknown_handle_is_not_found(call: Call) -> None:
    for handle in ("nobody", "", "@", "@@ada", "ADA", "a%00b", "ada'--", "%25", "x" * 5000, "%ff"):
        status, body = call("GET", f"/api/activities/{handle}")
        assert (status, body["error"]["code"]) == (404, "not_found"), handle


def test_only_the_callers_own_row_changes(call: Call, url: str) -> None:
    status, body = call("POST", UPDATE, body={"display_name": "  Ada K.  ", "bio": "Notes."})
    assert status == 200
    assert (body["display_name"], body["bio"]) == ("Ada K.", "Notes.")
    assert (body["handle"], body["cruds_count"]) == ("ada", 3)
    assert call("GET", READ)[1]["profile"] == body
    assert column(url, "display_name", GRACE) == "Grace Hopper"


def test_any_text_comes_back_as_it_was_sent(call: Call) -> None:
    for text in (
        "Ἀδριανός 李小龍 🧑‍🚀 é",
        "'; DROP TABLE users; --",
        '%s %(x)s $1 \\ " {} :name',
        "<script>alert(1)</script>",
        "x" * 64,
        "🧑" * 64,
    ):
        status, body = call("POST", UPDATE, body={"display_name": text, "bio": text * 3})
        assert (status, body.get("display_name"), body.get("bio")) == (200, text, text * 3)
        assert call("GET", READ)[1]["profile"]["display_name"] == text


WRONG_FIELDS: list[tuple[dict[str, object], str]] = [
    ({"display_name": ""}, "display_name_blank"),
    ({"display_name": " \t\n\u00a0\u2003"}, "display_name_blank"),
    ({"display_name": "\u200b\u2060"}, "display_name_blank"),
    ({"display_name": None}, "display_name_blank"),
    ({"bio": "only a bio"}, "display_name_blank"),
    ({"display_name": "x" * 65}, "display_name_too_long"),
    ({"display_name": "a\0b"}, "display_name_invalid"),
    ({"display_name": "a\ud800b"}, "display_name_invalid"),
    ({"display_name": ["Ada"]}, "display_name_invalid"),
    ({"display_name": "Ada", "bio": "x" * 1001}, "bio_too_long"),
    ({"display_name": "Ada", "bio": "a\0"}, "bio_invalid"),
    ({"display_name": "Ada", "bio": 5}, "bio_invalid"),
]


def test_a_field_that_is_wrong_has_its_own_code_and_changes_nothing(call: Call, url: str) -> None:
    for fields, code in WRONG_FIELDS:
        status, body = call("POST", UPDATE, body=fields)
        assert (status, body["error"]["code"]) == (422, code), fields
        assert body["error"]["message"].endswith(".")
        assert column(url, "display_name") == "Ada Lovelace"


def test_a_bio_that_is_left_out_stays_and_an_empty_one_goes(call: Call) -> None:
    assert call("POST", UPDATE, body={"display_name": "Ada"})[1]["bio"] == "Analyst of engines."
    assert call("POST", UPDATE, body={"display_name": "Ada", "bio": ""})[1]["bio"] == ""


def test_a_body_that_is_no_json_object_is_an_invalid_request(call: Call) -> None:
    for raw in ("", "no json", "[]", '"x"', "null", "{", "[" * 100_000):
        status, body = call("POST", UPDATE, raw=raw)
        assert (status, body["error"]["code"]) == (400, "invalid_request"), raw


def test_a_caller_without_a_row_is_not_found(call: Call) -> None:
    status, body = call("POST", UPDATE, body={"display_name": "X"}, sub="someone-else")
    assert (status, body["error"]["code"]) == (404, "not_found")


def test_a_base64_body_is_understood(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    event = {
        "routeKey": "POST /api/profile/update",
        "requestContext": {"authorizer": {"lambda": {"sub": ADA}}},
        "isBase64Encoded": True,
        "body": "eyJkaXNwbGF5X25hbWUiOiAiQmFzZSJ9",
    }

    class Context:
        aws_request_id = "r"

    answer = handler.handler(event, Context())
    assert answer is not None
    assert answer["statusCode"] == 200


def test_no_personal_text_is_logged(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("profiles").addHandler(caplog.handler)
    call("POST", UPDATE, body={"display_name": "\0secret"})
    logging.getLogger("profiles").removeHandler(caplog.handler)
    assert [record.message for record in caplog.records] == ["refused"]
    assert "secret" not in str(vars(caplog.records[0]))
