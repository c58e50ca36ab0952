"""Reading a profile and changing one's own."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
import pytest

from avatar_crop import Crop
from profiles import database, handler
from tests.unit.profiles.calls import ADA, ASSETS, BLURHASH, GRACE, Call, Context, column

READ = "/api/activities/@ada"
UPDATE = "/api/profile/update"


@pytest.mark.parametrize("handle", ["@ada", "ada", "%40ada"])
def test_a_profile_comes_with_its_activities_newest_first(call: Call, handle: str) -> None:
    status, body = call("GET", f"/api/activities/{handle}")
    assert status == 200
    assert set(body) == {"profile", "activities", "next_cursor"}
    assert body["next_cursor"] is None
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
        "avatar_crop",
        "avatar_placeholder",
        "banner_url",
        "banner_variants",
        "banner_crop",
        "banner_placeholder",
        "default",
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
    _, rest = call("GET", f"{READ}?cursor={body['next_cursor']}")
    assert [a["message"] for a in rest["activities"]] == [f"old {n}" for n in range(38, 51)]
    assert rest["next_cursor"] is None
    assert rest["profile"] == body["profile"]


def test_pages_lose_and_repeat_nothing_among_activities_of_one_moment(call: Call, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SET timezone = 'Asia/Kathmandu'")
        connection.execute(
            "INSERT INTO activities (user_uuid, message, created_at)"
            " SELECT uuid, 'm' || n, date_trunc('day', now()) - make_interval(days => n / 50)"
            " FROM users, generate_series(0, 149) n WHERE handle = 'ada'"
        )
    seen: list[str] = []
    address = READ
    while True:
        body = call("GET", address)[1]
        seen += [activity["uuid"] for activity in body["activities"]]
        with psycopg.connect(url) as connection:  # what comes meanwhile belongs to no later page
            connection.execute(
                "INSERT INTO activities (user_uuid, message)"
                " SELECT uuid, 'new' FROM users WHERE handle = 'ada'"
            )
        if body["next_cursor"] is None:
            break
        address = f"{READ}?cursor={body['next_cursor']}"
    assert len(seen) == len(set(seen)) == 153


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "MjAyNi0wMS0wMQ", "é", "%00", "a" * 9000])
def test_a_cursor_of_no_answer_is_an_invalid_request(call: Call, cursor: str) -> None:
    status, body = call("GET", f"{READ}?cursor={cursor}")
    assert (status, body["error"]["code"]) == (400, "invalid_request")
    assert "next_cursor" in body["error"]["message"]


def test_times_are_utc_whatever_the_role_s_time_zone(call: Call, url: str) -> None:
    before = call("GET", READ)[1]
    with psycopg.connect(url, autocommit=True) as connection:
        role = psycopg.sql.Identifier(login(url))
        connection.execute(
            psycopg.sql.SQL("ALTER ROLE {} SET timezone = 'Asia/Kathmandu'").format(role)
        )
    database.keeper.close()
    assert call("GET", READ)[1] == before
    assert before["activities"][0]["created_at"].endswith("+00:00")


def test_a_handle_is_decoded_once(call: Call, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE users SET handle = 'a%41b' WHERE handle = 'ada'")
        connection.execute("UPDATE users SET handle = 'aAb' WHERE handle = 'grace'")
    assert call("GET", "/api/activities/a%2541b")[1]["profile"]["cognito_user_uuid"] == ADA
    assert call("GET", "/api/activities/aAb")[1]["profile"]["cognito_user_uuid"] == GRACE


def test_the_count_follows_activities_and_is_not_counted_at_each_read(call: Call, url: str) -> None:
    def count() -> int:
        found: int = call("GET", READ)[1]["profile"]["cruds_count"]
        return found

    def execute(statement: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(statement.encode())

    execute("INSERT INTO activities (user_uuid, message) SELECT uuid, 'x' FROM users")
    assert count() == 4
    execute("DELETE FROM activities WHERE message = 'x'")
    assert count() == 3
    execute(
        "UPDATE activities SET user_uuid = (SELECT uuid FROM users WHERE handle = 'grace')"
        " WHERE message LIKE 'Note%'"
    )
    assert count() == 2
    execute("UPDATE users SET activities_count = activities_count + 1000 WHERE handle = 'ada'")
    assert count() == 1002
    execute("UPDATE users SET activities_count = NULL")  # as in a database not counted yet
    assert count() == 2
    execute("INSERT INTO activities (user_uuid, message) SELECT uuid, 'x' FROM users")
    assert count() == 3
    execute("UPDATE users SET activities_count = 3 WHERE handle = 'ada'")
    execute("TRUNCATE activities")
    assert count() == 0


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


def test_an_avatar_that_was_cropped_says_how(call: Call, url: str) -> None:
    assert call("GET", READ)[1]["profile"]["avatar_crop"] is None
    crop = [0.25, 0.333333, 1]
    version = "ab" * 16 + Crop.from_request(crop).suffix
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE users SET avatar_version = %s", (version,))
    profile = call("GET", READ)[1]["profile"]
    assert profile["avatar_crop"] == crop
    assert profile["avatar_url"] == f"{ASSETS}/variants/{ADA}/{version}/512.jpg"


def test_a_profile_has_its_placeholder_and_its_default(call: Call, url: str) -> None:
    profile = call("GET", READ)[1]["profile"]
    assert profile["avatar_placeholder"] is None
    assert profile["default"] == {"initials": "AL", "hue": 25}
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE users SET avatar_placeholder = %s", (BLURHASH,))
    changed = call("POST", UPDATE, body={"display_name": "李 小龍"})[1]
    assert changed["avatar_placeholder"] == BLURHASH
    assert changed["default"] == {"initials": "李小", "hue": 25}
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE users SET display_name = ''")
    assert call("GET", READ)[1]["profile"]["default"]["initials"] == "A"


def test_a_read_is_one_query(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    call("GET", READ)
    seen: list[Any] = []
    connection = database.keeper.connection
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


def login(url: str) -> str:
    """Return the role that the function logs in as."""
    return f"profiles_{url.rpartition('/')[2]}"


def test_any_text_comes_back_as_it_was_sent(call: Call) -> None:
    for text in (
        "Ἀδριανός 李小龍 🧑‍🚀 é",
        "'; DROP TABLE users; --",
        '%s %(x)s $1 \\ " {} :name',
        "<script>alert(1)</script>",
        "x" * 64,
        "🧑" * 64,
        "👨‍👩‍👧‍👦" * 64,
        "e\u0301" * 64,
        "👩🏽‍❤️‍💋‍👨🏿" * 20,
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿🇩🇪" * 32,
        "각" * 64,
        "هَذَا اِسْمٌ",
        "ẹ̀ṣọ́ שָׁלוֹם",
        "می‌خواهم",
    ):
        status, body = call("POST", UPDATE, body={"display_name": text, "bio": text * 3})
        assert (status, body.get("display_name"), body.get("bio")) == (200, text, text * 3)
        assert call("GET", READ)[1]["profile"]["display_name"] == text


WRONG_FIELDS: list[tuple[dict[str, object], str]] = [
    ({"display_name": ""}, "display_name_blank"),
    ({"display_name": " \t\n\u00a0\u2003"}, "display_name_blank"),
    ({"display_name": "\u200b\u2060"}, "display_name_blank"),
    ({"display_name": None}, "display_name_blank"),
    *(
        (dict[str, object](display_name=text * times), "display_name_blank")
        for text in (
            *("\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\ufffc", "\u00ad", "\u034f"),
            *("\u180e", "\u200b", "\u200d", "\u2060", "\ufeff", "\ufe0f", "\U000e0101"),
            *("\U000e0041", "\u0301", "\u20dd", "\u0903", "\ue000", "\U0010fffd", "\uffff"),
            *("\u0378", "\u200f", "\U0001d159", "\u17b4", "\u3164 \u2800"),
        )
        for times in (1, 3)
    ),
    ({"display_name": "\u202eabc"}, "display_name_invalid"),
    ({"display_name": "a\u2066b"}, "display_name_invalid"),
    ({"display_name": "Ada\nLovelace"}, "display_name_invalid"),
    ({"display_name": "Ada\u2028Lovelace"}, "display_name_invalid"),
    ({"display_name": "Z" + "\u0335" * 9}, "display_name_invalid"),
    ({"display_name": "🧑" * 65}, "display_name_too_long"),
    ({"display_name": "é" * 65}, "display_name_too_long"),
    ({"display_name": "e\u0301" * 65}, "display_name_too_long"),
    ({"display_name": "x" + "\u200b" * 1024}, "display_name_too_long"),
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

    answer = handler.handler(event, Context())
    assert answer is not None
    assert answer["statusCode"] == 200


def test_no_personal_text_is_logged(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("profiles").addHandler(caplog.handler)
    call("POST", UPDATE, body={"display_name": "\0secret"})
    logging.getLogger("profiles").removeHandler(caplog.handler)
    assert [record.message for record in caplog.records] == ["refused"]
    assert "secret" not in str(vars(caplog.records[0]))


def test_a_banner_is_named_by_its_version_and_without_one_all_have_the_same(
    call: Call, url: str
) -> None:
    profile = call("GET", READ)[1]["profile"]
    assert profile["banner_url"] == f"{ASSETS}/banners/banner.jpg"
    assert profile["banner_variants"] == {}
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE users SET banner_version = %s WHERE handle = 'ada'", ("b" * 32,))
    profile = call("GET", READ)[1]["profile"]
    folder = f"{ASSETS}/variants/banners/{ADA}/{'b' * 32}"
    assert profile["banner_url"] == f"{folder}/1500x500.jpg"
    assert profile["banner_variants"] == {
        name: f"{folder}/{name}" for name in ("1500x500.jpg", "600x200.webp")
    }
    assert profile["avatar_url"] == f"{ASSETS}/avatars/{ADA}.jpg"
