"""Recording new avatars, whatever order and number of times the topic announces them."""

from __future__ import annotations

import json
import threading
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError

from profiles import avatar, database, handler
from profiles.errors import UnavailableError
from tests.unit.profiles.calls import ADA, BLURHASH, BUCKET, GRACE, Context, client, column

ONE, TWO = "1" * 32, "2" * 32 + "-7"


def s3_event(key: str, name: str = "ObjectCreated:Put") -> str:
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": key, "eTag": "x", "sequencer": "1"}},
    }
    return json.dumps({"Records": [record]})


def deliver(*messages: str) -> None:
    records = [
        {"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": {"Type": "N", "Message": message}}
        for message in messages
    ]
    assert handler.handler({"Records": records}, Context()) is None


def put(name: str, version: str | None, placeholder: str = "") -> None:
    metadata = {} if version is None else {"version": version}
    metadata |= {"placeholder": placeholder} if placeholder else {}
    client("s3").put_object(
        Bucket=BUCKET, Key=f"avatars/{name}.jpg", Body=b"jpeg", Metadata=metadata
    )


def test_a_new_avatar_is_recorded_and_the_newest_stays(url: str) -> None:
    put(ADA, ONE)
    deliver(s3_event(f"avatars/{ADA}.jpg"))
    assert column(url, "avatar_version") == ONE
    put(ADA, TWO)
    for _ in range(3):  # the second upload's message, the first's come late, and once more
        deliver(s3_event(f"avatars/{ADA}.jpg"))
        assert column(url, "avatar_version") == TWO
    assert column(url, "avatar_version", GRACE) is None


def test_an_avatar_taken_down_is_forgotten_even_by_a_late_message(url: str) -> None:
    put(ADA, ONE)
    deliver(s3_event(f"avatars/{ADA}.jpg"))
    client("s3").delete_object(Bucket=BUCKET, Key=f"avatars/{ADA}.jpg")
    deliver(s3_event(f"avatars/{ADA}.jpg", "ObjectRemoved:Delete"))
    assert column(url, "avatar_version") is None
    deliver(s3_event(f"avatars/{ADA}.jpg"))
    assert column(url, "avatar_version") is None


def test_an_avatar_without_a_version_is_shown_by_its_stable_address(url: str) -> None:
    for version in (None, "../../x", "G" * 32):
        put(ADA, version)
        deliver(s3_event(f"avatars/{ADA}.jpg"))
        assert column(url, "avatar_version") is None


def test_the_placeholder_is_that_of_the_version_and_goes_with_it(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = BLURHASH[:-1] + "~"
    for version, placeholder, recorded in (
        (ONE, BLURHASH, BLURHASH),
        (TWO, other, other),
        (TWO, BLURHASH, BLURHASH),  # the same upload, rendered by another engine
        (ONE, "", None),  # of before there were placeholders
        (ONE, BLURHASH, BLURHASH),
        (None, BLURHASH, None),  # an operator's own picture
    ):
        put(ADA, version, placeholder)
        deliver(s3_event(f"avatars/{ADA}.jpg"))
        shown = column(url, "avatar_version"), column(url, "avatar_placeholder")
        assert shown == (version, recorded)
    assert BLURHASH not in str([record.__dict__ for record in caplog.records])


@pytest.mark.parametrize("removal", ["deleted", "marked"])
def test_nothing_of_a_removed_picture_stays_in_the_row(url: str, removal: str) -> None:
    put(ADA, ONE, BLURHASH)
    deliver(s3_event(f"avatars/{ADA}.jpg"))
    assert column(url, "avatar_placeholder") == BLURHASH
    if removal == "deleted":
        client("s3").delete_object(Bucket=BUCKET, Key=f"avatars/{ADA}.jpg")
    else:
        put(ADA, None)
    deliver(s3_event(f"avatars/{ADA}.jpg"))
    assert column(url, "avatar_placeholder") is None


@pytest.mark.parametrize(
    "text", [BLURHASH[:-1], BLURHASH + "0", "M" + BLURHASH[1:], "<b>" + BLURHASH[3:], '"' * 28]
)
def test_what_is_no_placeholder_is_not_recorded(url: str, text: str) -> None:
    put(ADA, ONE, text)
    deliver(s3_event(f"avatars/{ADA}.jpg"))
    assert column(url, "avatar_version") == ONE
    assert column(url, "avatar_placeholder") is None


def test_a_banner_is_told_from_the_avatar_by_its_key(url: str) -> None:
    put(ADA, ONE, BLURHASH)
    put(f"banners/{ADA}", TWO)
    deliver(s3_event(f"avatars/banners/{ADA}.jpg"))
    assert (column(url, "banner_version"), column(url, "avatar_version")) == (TWO, None)
    deliver(s3_event(f"avatars/{ADA}.jpg"))
    assert (column(url, "banner_version"), column(url, "avatar_version")) == (TWO, ONE)
    assert column(url, "banner_placeholder") is None
    assert column(url, "avatar_placeholder") == BLURHASH
    put(f"banners/{ADA}", None)
    deliver(s3_event(f"avatars/banners/{ADA}.jpg"))
    assert (column(url, "banner_version"), column(url, "avatar_version")) == (None, ONE)
    assert column(url, "banner_version", GRACE) is None


OTHERS = [
    s3_event("avatars/banners/no-such-user.jpg"),
    s3_event(f"avatars/banners/x/{ADA}.jpg"),
    s3_event(f"banners/{ADA}.jpg"),
    s3_event("avatars/_default.jpg"),
    s3_event("avatars/no-such-user.jpg"),
    s3_event("avatars/a/b.jpg"),
    s3_event("banners/banner.jpg"),
    s3_event(f"avatars/{ADA}.png"),
    s3_event("avatars/%00.jpg"),
    s3_event("avatars/%27%3B+DROP+TABLE+users%3B--.jpg"),
    json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}),
]


def test_what_is_no_users_avatar_is_passed_over(url: str) -> None:
    deliver(*OTHERS, *OTHERS)
    assert column(url, "avatar_version") is None


def test_keys_are_url_decoded(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE users SET cognito_user_id = 'a b+ü' WHERE handle = 'ada'")
    put("a b+ü", ONE)
    deliver(s3_event("avatars/a+b%2B%C3%BC.jpg"))
    assert column(url, "avatar_version", "a b+ü") == ONE


def test_a_failure_is_raised_so_that_the_message_comes_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed:
        def head_object(self, **_: Any) -> None:
            response: Any = {
                "Error": {"Code": "403"},
                "ResponseMetadata": {"HTTPStatusCode": 403},
            }
            raise ClientError(response, "HeadObject")

    with monkeypatch.context() as patch:
        patch.setattr(handler, "_s3", Closed)
        with pytest.raises(ClientError):
            deliver(s3_event(f"avatars/{ADA}.jpg"))
    put(ADA, ONE)
    deliver(s3_event(f"avatars/{ADA}.jpg"))
    assert column(url, "avatar_version") == ONE
    database.keeper.close()
    with monkeypatch.context() as patch:
        patch.setenv("DATABASE_URL_PARAMETER", "/nowhere")
        with pytest.raises(UnavailableError):
            deliver(s3_event(f"avatars/{ADA}.jpg"))


def test_of_two_messages_at_once_the_later_look_wins(url: str) -> None:
    """The first looks, then the second upload and its message come; the first writes last."""
    looked, second_waits = threading.Event(), threading.Event()
    state = avatar.Shown(ONE)
    recorded: dict[str, str | None] = {}

    def slow(_name: str) -> avatar.Shown:
        found = state
        looked.set()
        assert second_waits.wait(10)
        return found

    def work(which: str, current: avatar.CurrentlyShown) -> None:
        with psycopg.connect(url, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
            recorded[which] = avatar.record(connection, ADA, current)

    first = threading.Thread(target=work, args=("first", slow))
    first.start()
    assert looked.wait(10)
    state = avatar.Shown(TWO)
    second = threading.Thread(target=work, args=("second", lambda _name: state))
    second.start()
    with psycopg.connect(url, autocommit=True) as watcher:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while watcher.execute(waiting).fetchone() == (0,) and second.is_alive():
            pass
    second_waits.set()
    first.join()
    second.join()
    assert recorded == {"first": ONE, "second": TWO}
    assert column(url, "avatar_version") == TWO
