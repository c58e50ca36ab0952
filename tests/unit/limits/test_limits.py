"""What a user may send, by the table's own answers, and what happens without them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from moto import mock_aws

import dynamodb
import json_log
import limits
from dynamodb import ConditionFailedError, Table, TableError
from limits import Limits, Refusal
from sigv4 import Credentials

NOW = datetime(2026, 1, 31, 12, 3, 20, tzinfo=UTC).timestamp()
"""200 s after the beginning of ten minutes."""


class MotoTable:
    """The table's calls, answered by moto."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb", region_name="eu-central-1")
        self.client.create_table(
            TableName="limits",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "user", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "user", "KeyType": "HASH"}],
        )

    def call(self, operation: str, **request: Any) -> Any:
        method = {"GetItem": self.client.get_item, "UpdateItem": self.client.update_item}
        try:
            return method[operation](TableName="limits", **request)  # type: ignore[operator]
        except self.client.exceptions.ConditionalCheckFailedException as error:
            raise ConditionFailedError(error.response.get("Item", {})) from error

    def item(self, user: str = "ada") -> dict[str, Any]:
        found: dict[str, Any] = self.client.get_item(
            TableName="limits", Key={"user": {"S": user}}
        ).get("Item", {})
        return found


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[MotoTable]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(limits.time, "time", lambda: NOW)
    with mock_aws():
        yield MotoTable()


@pytest.fixture
def three(table: MotoTable) -> Limits:
    """Three in ten minutes, five in a day."""
    return Limits(table, 3, 5, logging.getLogger("limits"))  # type: ignore[arg-type]


def test_as_many_as_allowed_are_sent_and_the_next_later(three: Limits) -> None:
    for number in range(3):
        assert three.look("ada") is None
        assert three.count("ada", str(number), NOW) is None
    assert three.look("ada") == Refusal("too_many_uploads", 400)
    assert three.count("ada", "3", NOW) == Refusal("too_many_uploads")
    assert three.count("grace", "3", NOW) is None
    assert three.count("ada", "4", NOW + 400) is None


def test_a_message_that_comes_again_counts_once_and_passes_as_before(three: Limits) -> None:
    for _ in range(2):
        for number in range(3):
            assert three.count("ada", str(number), NOW) is None


def test_a_day_has_its_limit_too(three: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        assert three.count("ada", str(number), NOW + 600 * number) is None
    later = NOW + 3600
    assert three.count("ada", "5", later) == Refusal("too_many_uploads")
    monkeypatch.setattr(limits.time, "time", lambda: later)
    midnight = datetime(2026, 2, 1, tzinfo=UTC).timestamp()
    assert three.look("ada") == Refusal("too_many_uploads", int(midnight - later))
    assert three.count("ada", "6", midnight) is None


def test_uploads_that_waited_in_the_queue_count_for_the_time_when_they_were_sent(
    three: Limits,
) -> None:
    for number in range(5):
        assert three.count("ada", str(number), NOW - 86_400 * 2 + 600 * number) is None
    assert three.look("ada") is None


def test_of_a_flood_only_as_many_refusals_are_told_as_might_have_been_sent(
    three: Limits,
) -> None:
    said = [three.count("ada", str(number), NOW) for number in range(8)]
    assert (
        said
        == [None] * 3
        + [Refusal("too_many_uploads")] * 3
        + [Refusal("too_many_uploads", is_flood=True)] * 2
    )


def test_a_locked_user_sends_nothing_until_unlocked(three: Limits, table: MotoTable) -> None:
    key = {"user": {"S": "ada"}}
    table.client.put_item(TableName="limits", Item=key | {"locked": {"N": "1"}})
    assert three.look("ada") == Refusal("locked")
    assert three.count("ada", "1", NOW) == Refusal("locked")
    assert "expires" not in table.item()  # or the lock would go with the item
    table.client.update_item(TableName="limits", Key=key, UpdateExpression="REMOVE locked")
    assert three.look("ada") is None
    assert three.count("ada", "1", NOW) is None


def test_removals_have_the_same_limits_of_their_own(three: Limits, table: MotoTable) -> None:
    table.client.put_item(TableName="limits", Item={"user": {"S": "ada"}, "locked": {"N": "1"}})
    for number in (0, 1, 2, 2):  # the last request comes twice
        assert three.count_removal("ada", str(number)) is None
    assert three.count_removal("ada", "3") == Refusal("too_many_removals", 400)
    assert three.count_removal("grace", "3") is None
    assert three.count("grace", "1", NOW) is None
    assert set(table.item()) == {"user", "locked"}  # what the lock is in has not changed
    assert "expires" in table.item("removals/ada")


def test_what_came_late_takes_no_later_count_away(table: MotoTable) -> None:
    many = Limits(table, 3, 100, logging.getLogger("limits"))  # type: ignore[arg-type]
    for number in range(30):
        assert many.count("ada", f"before {number}", NOW - 600 * (number + 1)) is None
    for number in range(3):
        assert many.count("ada", str(number), NOW) is None
    for number in range(30):
        assert many.count("ada", f"late {number}", NOW - 600 * (number + 1)) is None
    assert many.count("ada", "3", NOW) == Refusal("too_many_uploads")


def test_an_item_expires_and_does_not_grow_for_ever(table: MotoTable) -> None:
    many = Limits(table, 3, 5, logging.getLogger("limits"))  # type: ignore[arg-type]
    for number in range(100):
        assert many.count("ada", str(number), NOW + 86_400 * number) is None
    item = table.item()
    assert len(item) < 2 * limits._OLD_COUNTS
    assert int(item["expires"]["N"]) == int(NOW) + 86_400 * 99 + 3 * 86_400


def test_without_the_table_everybody_passes_and_the_log_says_so() -> None:
    def away(*_: object, **__: object) -> None:
        raise TableError("GetItem: timed out")

    logged = io.StringIO()
    log = logging.getLogger("limits of this test")
    handler = logging.StreamHandler(logged)
    handler.setFormatter(json_log.JsonFormatter())
    log.addHandler(handler)
    away_table: Any = SimpleNamespace(call=away)
    broken = Limits(away_table, 3, 5, log)
    assert broken.look("ada") is None
    assert broken.count("ada", "1", NOW) is None
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert [line["message"] for line in lines] == ["limits not asked"] * 2
    assert lines[0]["reason"] == "GetItem: timed out"


def test_no_table_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIMITS_TABLE_NAME", raising=False)
    assert Limits.from_environment(logging.getLogger("limits"), seconds=1) is None


# The table's own protocol


@pytest.mark.parametrize("token", [None, "a+b/c=="])
def test_a_request_is_signed_as_botocore_signs_it(
    monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    url = "https://dynamodb.eu-central-1.amazonaws.com"
    body = b'{"TableName": "limits"}'
    theirs = AWSRequest(
        "POST",
        url,
        data=body,
        headers={
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": "DynamoDB_20120810.GetItem",
        },
    )
    signer = SigV4Auth(BotocoreCredentials("AKID", "se/cret+", token), "dynamodb", "eu-central-1")
    signer.add_auth(theirs)
    moment = datetime.strptime(theirs.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    monkeypatch.setattr(dynamodb, "datetime", SimpleNamespace(now=lambda _: moment))
    table = Table(
        "limits",
        region="eu-central-1",
        endpoint=url,
        credentials=Credentials("AKID", "se/cret+", token),
    )
    assert table._headers("GetItem", body)["authorization"] == theirs.headers["Authorization"]


class Answers:
    """A connection that gives these answers, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.closed = 0

    def request(self, *_: Any) -> None:
        if isinstance(self.answers[0], Exception):
            raise self.answers.pop(0)

    def getresponse(self) -> Any:
        status, body = self.answers.pop(0)
        return SimpleNamespace(status=status, read=lambda: json.dumps(body).encode())

    def close(self) -> None:
        self.closed += 1


def connected(*answers: Any) -> Table:
    table = Table(
        "limits",
        region="eu-central-1",
        endpoint="http://127.0.0.1:9",
        credentials=Credentials("AKID", "secret", None),
    )
    table._connection = Answers(*answers)  # type: ignore[assignment]
    return table


def test_a_connection_that_was_closed_meanwhile_is_made_again() -> None:
    table = connected(ConnectionResetError(), (200, {"Item": {}}))
    assert table.call("GetItem", Key={}) == {"Item": {}}


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([TimeoutError("timed out")] * 2, "TimeoutError: timed out"),
        ([(400, {"__type": "a#AccessDeniedException", "message": "no"})], "AccessDeniedException"),
        ([(500, {})], "500"),
    ],
)
def test_a_table_that_can_not_be_asked_is_one_error(answers: list[Any], reason: str) -> None:
    with pytest.raises(TableError, match=reason):
        connected(*answers).call("GetItem", Key={})


def test_a_failed_condition_tells_the_item() -> None:
    body = {"__type": "x#ConditionalCheckFailedException", "Item": {"locked": {"N": "1"}}}
    with pytest.raises(ConditionFailedError) as failed:
        connected((400, body)).call("UpdateItem", Key={})
    assert failed.value.item == {"locked": {"N": "1"}}


def test_nobody_waits_longer_for_a_table_than_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "eu-central-1")
    table = dynamodb.Table.from_environment("limits", seconds=1)
    assert table._connection.timeout == 1
    assert dynamodb._ATTEMPTS <= 2


def test_an_erased_account_is_told_from_a_locked_one(three: Limits, table: MotoTable) -> None:
    erased = {"user": {"S": "ada"}, "locked": {"N": "1"}, "erased": {"N": "1"}}
    table.client.put_item(TableName="limits", Item=erased)
    assert three.look("ada") == Refusal("locked")  # the user is told no more
    for number in range(10):
        assert three.count("ada", str(number), NOW) == Refusal("erased")
    assert three.look_for_lock("ada") == Refusal("erased")
    assert table.item() == erased  # nothing more is kept of them


def test_operators_messages_are_held_to_a_lock(three: Limits, table: MotoTable) -> None:
    locked = {"user": {"S": "ada"}, "locked": {"N": "1"}}
    table.client.put_item(TableName="limits", Item=locked)
    assert three.look_for_lock("ada") == Refusal("locked")
    assert table.item() == locked


def test_to_look_for_a_lock_leaves_nothing(three: Limits, table: MotoTable) -> None:
    assert three.look_for_lock("ada") is None
    assert table.item() == {}
    three.count("ada", "1", NOW)
    before = table.item()
    assert three.look_for_lock("ada") is None
    assert table.item() == before
