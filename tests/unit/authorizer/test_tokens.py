"""Which tokens are authorized."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from authorizer.jwks import read_jwks
from authorizer.tokens import Reason, TokenRefusedError, verify
from tests.unit.authorizer.conftest import Authorize
from tests.unit.authorizer.pool import SETTINGS, SUB, Pool

NOW = 1_800_000_000


def judge(
    pool: Pool, now: float = NOW, settings: dict[str, Any] | None = None, **claims: Any
) -> str:
    """Return ``"accepted"`` or the reason, at a time of the test's choosing."""
    token = pool.token(claims=pool.claims(**{"exp": NOW + 60} | claims))
    rules = dataclasses.replace(SETTINGS, **settings or {})
    try:
        assert verify(token, read_jwks(pool.jwks()), rules, now)["sub"] == SUB
    except TokenRefusedError as refusal:
        return refusal.reason
    return "accepted"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_authorizes_a_user_as_themselves_whatever_the_case_of_bearer(
    scheme: str, pool: Pool, authorize: Authorize
) -> None:
    answer = authorize(f"{scheme} {pool.token()}")
    assert answer == {"isAuthorized": True, "context": {"sub": SUB, "username": "ada"}}


def test_a_token_holds_until_the_second_of_its_expiry(pool: Pool) -> None:
    assert judge(pool, now=NOW + 59.9) == "accepted"
    assert judge(pool, now=NOW + 60) == Reason.EXPIRED


def test_the_clock_tolerance_counts_on_both_ends(pool: Pool) -> None:
    tolerant = {"clock_tolerance": 5}
    assert judge(pool, now=NOW + 64.9, settings=tolerant) == "accepted"
    assert judge(pool, now=NOW + 65, settings=tolerant) == Reason.EXPIRED
    assert judge(pool, nbf=NOW + 5, settings=tolerant) == "accepted"
    assert judge(pool, nbf=NOW + 6, settings=tolerant) == Reason.NOT_YET_VALID


@pytest.mark.parametrize("tolerance", [0, 300])
def test_a_clock_that_is_off_by_more_than_the_tolerance_lets_nobody_in(
    pool: Pool, tolerance: int
) -> None:
    settings = {"clock_tolerance": tolerance}
    fast, slow = NOW + 60 + tolerance, NOW - 1 - tolerance
    assert judge(pool, now=fast, settings=settings) == Reason.EXPIRED
    assert judge(pool, now=fast + 3600, settings=settings) == Reason.EXPIRED
    assert judge(pool, now=slow, nbf=NOW, settings=settings) == Reason.NOT_YET_VALID
    assert judge(pool, now=slow - 3600, nbf=NOW, settings=settings) == Reason.NOT_YET_VALID


def test_a_token_holds_from_the_second_of_its_nbf(pool: Pool) -> None:
    assert judge(pool, nbf=NOW) == "accepted"
    assert judge(pool, nbf=NOW + 1) == Reason.NOT_YET_VALID


@pytest.mark.parametrize(
    ("groups", "result"),
    [
        (["users", "staff"], "accepted"),
        (["users"], Reason.GROUP_MISSING),
        ([], Reason.GROUP_MISSING),
        (None, Reason.GROUP_MISSING),
        ("staff", Reason.GROUP_MISSING),
        ("my staff group", Reason.GROUP_MISSING),
        ({"staff": 1}, Reason.GROUP_MISSING),
    ],
)
def test_a_required_group_must_be_one_of_the_tokens_groups(
    groups: Any, result: str, pool: Pool
) -> None:
    settings = {"required_group": "staff"}
    assert judge(pool, settings=settings, cognito__groups=groups) == result


@pytest.mark.parametrize(
    ("scope", "result"),
    [
        ("openid avatars/write", "accepted"),
        ("openid avatars/writer", Reason.SCOPE_MISSING),
        ("", Reason.SCOPE_MISSING),
        (None, Reason.SCOPE_MISSING),
        (["avatars/write"], Reason.SCOPE_MISSING),
    ],
)
def test_a_required_scope_must_be_one_of_the_tokens_scopes(
    scope: Any, result: str, pool: Pool
) -> None:
    settings = {"required_scope": "avatars/write"}
    assert judge(pool, settings=settings, scope=scope) == result
