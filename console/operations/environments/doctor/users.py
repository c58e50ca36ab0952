"""The user pool, its client, signing in, and the keys that tokens are checked with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from jose import jwt

from console.operations import web
from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import Finding, compare
from console.operations.uploads import test_users

AREA = "Users"
_POOL, _CLIENT = "the user pool", "the pool's client"
SIGN_IN, KEYS = "signing in", "the pool's keys"
_TEST_USERS = "ALLOW_ADMIN_USER_PASSWORD_AUTH"


def checks(subject: Examined, who: str | None) -> Iterator[Check]:
    """Yield the checks; without a test user's name nobody signs in."""
    yield Check(AREA, _POOL, partial(_pool, subject))
    yield Check(AREA, _CLIENT, partial(_client, subject), (_POOL,))
    if who:
        yield Check(AREA, SIGN_IN, partial(_sign_in, subject, who), (_CLIENT,))
    yield Check(AREA, KEYS, partial(_keys, subject), (_POOL,), (SIGN_IN,))


def _pool(subject: Examined) -> Iterator[Finding]:
    subject.here.cognito.describe_user_pool(UserPoolId=subject.here.user_pool_id)
    yield Finding(AREA, "user pool", "ok", "it exists", "it exists")


def _client(subject: Examined) -> Iterator[Finding]:
    here = subject.here
    client = here.cognito.describe_user_pool_client(
        UserPoolId=here.user_pool_id, ClientId=here.user_pool_client_id
    )["UserPoolClient"]
    made = subject.made("aws_cognito_user_pool_client", id=here.user_pool_client_id)
    flows = client.get("ExplicitAuthFlows", [])
    if made:
        yield compare(
            AREA,
            "client's flows",
            ", ".join(sorted(made["explicit_auth_flows"])),
            ", ".join(sorted(flows)),
            subject.fix_by_apply,
        )
    else:  # the application's own client: what else it may do is its affair
        yield Finding(
            AREA,
            "client's flows",
            "ok" if _TEST_USERS in flows else "warning",
            f"{_TEST_USERS} for test users",
            ", ".join(sorted(flows)) or "none",
            f"To upload as a test user, allow {_TEST_USERS} for this client in its own pool.",
        )
    yield compare(
        AREA,
        "client's secret",
        "none",
        "it has one" if client.get("ClientSecret") else "none",
        "A browser can keep no secret: use a client without one.",
    )


def _sign_in(subject: Examined, who: str) -> Iterator[Finding]:
    subject.token = test_users.sign_in(subject.here, who).token
    yield Finding(AREA, "sign in as a test user", "ok", "a token", "a token")


def _keys(subject: Examined) -> Iterator[Finding]:
    answer = web.request("GET", _keys_url(subject))
    keys = (answer.json() or {}).get("keys", []) if answer.status == 200 else []
    found = {str(key.get("kid")) for key in keys}
    if subject.token is None:
        state = "keys" if found else f"status {answer.status}, no keys"
        yield compare(AREA, "keys (JWKS)", "keys", state, "Check the pool and its address.")
        return
    kid = str(jwt.get_unverified_header(subject.token)["kid"])
    yield compare(
        AREA,
        "keys (JWKS)",
        f"the key of a fresh token, {kid}",
        f"the key of a fresh token, {kid}"
        if kid in found
        else f"status {answer.status}, keys: {', '.join(sorted(found)) or 'none'}",
        "Check that JWKS_URL and USER_POOL_ID of the authorizer name the same pool.",
    )


def _keys_url(subject: Examined) -> str:
    here = subject.here
    made = subject.made("aws_lambda_function", function_name=here.function_names["authorizer"])
    if made and (override := made["environment"][0]["variables"].get("JWKS_URL")):
        return str(override)
    place = here.access.get(
        "AWS_ENDPOINT_URL", f"https://cognito-idp.{here.user_pool_region}.amazonaws.com"
    )
    return f"{place}/{here.user_pool_id}/.well-known/jwks.json"
