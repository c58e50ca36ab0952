"""A user who sends too much, and one who is locked, on the running system."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from console.operations import web
from console.operations.environments.deployment import Deployment
from console.operations.progress import ignore
from console.operations.uploads import locks, outcomes
from console.operations.uploads.test_users import SignIn
from tests.integration.system import NOWHERE, picture, wait_for_version, wait_until
from tests.integration.test_removal import remove
from tests.integration.test_uploads import ask, grant

LIMIT = 20


def forget(here: Deployment, user: SignIn) -> None:
    """Let the user begin again."""
    for item in (user.sub, f"removals/{user.sub}"):
        here.dynamodb.delete_item(TableName=here.limits_table, Key={"user": {"S": item}})


def has_sent(here: Deployment, user: SignIn, uploads: int) -> None:
    """Have the user sent so many pictures within these ten minutes, and the next."""
    ids: Any = {"SS": [f"{number:012x}" for number in range(uploads)]}
    now = int(time.time()) // 600  # a test may span two of them
    here.dynamodb.put_item(
        TableName=here.limits_table,
        Item={"user": {"S": user.sub}, f"s{now}": ids, f"s{now + 1}": ids},
    )


@pytest.fixture
def newcomer(here: Deployment, grace: SignIn) -> Iterator[SignIn]:
    forget(here, grace)
    yield grace
    forget(here, grace)


def put(granted: dict[str, Any], data: bytes) -> str:
    stored = web.request("PUT", granted["url"], granted["headers"], data)
    assert stored.status == 200, stored.body
    return stored.headers["etag"].strip('"')


def at_a_beginning() -> None:
    """Wait if ten minutes are about to end: a test must not span two of them."""
    left = 600 - time.time() % 600
    if left < 20:
        time.sleep(left + 1)


def test_an_address_used_again_and_again_makes_no_more_pictures_than_allowed(
    here: Deployment, newcomer: SignIn
) -> None:
    at_a_beginning()
    has_sent(here, newcomer, LIMIT - 2)
    pictures = [picture(seed, (64, 64)) for seed in range(300, 305)]
    longest = max(map(len, pictures))
    pictures = [data + bytes(longest - len(data)) for data in pictures]
    granted = grant(here, newcomer, pictures[0])
    # one after the other: what a later picture has superseded is passed over, not refused
    for data in pictures[:2]:
        wait_for_version(here, newcomer.sub, put(granted, data))
    for data in pictures[2:]:
        version = put(granted, data)
        refused = wait_until(
            partial(outcomes.rejection, here, newcomer.sub, version), "a rejection"
        )
        assert refused
        assert refused.code == "too_many_uploads"
    answer = ask(here, newcomer.token, {"extension": "jpg", "size": 1000})
    assert answer.status == 429
    error = (answer.json() or {})["error"]
    assert error["code"] == "too_many_uploads"
    assert 0 < error["retry_after"] <= 600
    assert answer.headers["retry-after"] == str(error["retry_after"])


def test_a_user_who_sends_too_much_is_told_when_to_go_on(
    here: Deployment, newcomer: SignIn, ada: SignIn
) -> None:
    has_sent(here, newcomer, LIMIT)
    answer = ask(here, newcomer.token, {"extension": "jpg", "size": 1000})
    assert answer.status == 429
    assert "retry-after" in answer.headers
    assert ask(here, ada.token, {"extension": "jpg", "size": 1000}).status == 200


def test_who_removes_without_end_is_told_when_to_go_on(here: Deployment, newcomer: SignIn) -> None:
    at_a_beginning()
    answers = [remove(here, newcomer) for _ in range(LIMIT + 1)]
    assert [answer.status for answer in answers] == [202] * LIMIT + [429]
    error = (answers[-1].json() or {})["error"]
    assert error["code"] == "too_many_removals"
    assert answers[-1].headers["retry-after"] == str(error["retry_after"])
    assert ask(here, newcomer.token, {"extension": "jpg", "size": 1000}).status == 200


def test_a_locked_user_sends_nothing(here: Deployment, newcomer: SignIn) -> None:
    data = picture(401, (64, 64))
    granted = grant(here, newcomer, data)
    locks.set_lock(NOWHERE, here, newcomer.sub, locked=True).execute(ignore)
    answer = ask(here, newcomer.token, {"extension": "jpg", "size": 1000})
    assert (answer.status, (answer.json() or {})["error"]["code"]) == (403, "locked")
    version = put(granted, data)  # by the address from before
    rejection = wait_until(lambda: outcomes.rejection(here, newcomer.sub, version), "the rejection")
    assert rejection
    assert rejection.code == "locked"
    locks.set_lock(NOWHERE, here, newcomer.sub, locked=False).execute(ignore)
    again = put(grant(here, newcomer, picture(402, (64, 64))), picture(402, (64, 64)))
    wait_for_version(here, newcomer.sub, again)
