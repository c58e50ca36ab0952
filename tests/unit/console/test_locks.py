"""A locked user is one to the functions' eyes, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.progress import ignore
from console.operations.uploads import locks
from tests.integration.system import NOWHERE
from tests.unit.console import deployments


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    with mock_aws():
        yield deployments.make(tmp_path)


def item(here: Deployment) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = here.dynamodb.get_item(
        TableName="limits", Key={"user": {"S": "ada"}}
    )["Item"]
    return found


def test_a_lock_stays_until_it_is_taken_away(here: Deployment) -> None:
    here.dynamodb.put_item(
        TableName="limits", Item={"user": {"S": "ada"}, "expires": {"N": "1767323045"}}
    )
    assert locks.locked_since(here, "ada") is None
    lock = locks.set_lock(NOWHERE, here, "ada", locked=True)
    assert lock.execute(ignore) == "ada is locked"
    assert locks.locked_since(here, "ada")
    assert "expires" not in item(here)
    locks.set_lock(NOWHERE, here, "ada", locked=False).execute(ignore)
    assert locks.locked_since(here, "ada") is None
    assert "expires" in item(here)


def test_a_user_who_never_sent_anything_can_be_locked(here: Deployment) -> None:
    locks.set_lock(NOWHERE, here, "ada", locked=True).execute(ignore)
    assert "locked" in item(here)


def test_what_it_does_is_said_before(here: Deployment) -> None:
    change = locks.set_lock(NOWHERE, here, "ada", locked=True)
    assert list(change.lines()) == ["ada may send no pictures (limits)"]
    assert (change.action, change.subject) == ("lock", "ada")


@pytest.mark.parametrize("user", ["", "_default", "people/"])
def test_what_can_be_no_user_is_refused(here: Deployment, user: str) -> None:
    with pytest.raises(OperationError, match="not a valid avatar name"):
        locks.set_lock(NOWHERE, here, user, locked=True)
