"""The API: its authorizer and routes, and what it answers to whom."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from functools import partial
from urllib.parse import urlsplit

from console.operations import web
from console.operations.environments.doctor import database, dns, functions, permissions, users
from console.operations.environments.doctor.buckets import FOREIGN, preflight
from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import Finding, compare

AREA = "API"
_PATH = "/avatars/key_upload"
_AUTHORIZER, _ROUTES, _CLOSED = "the authorizer", "the routes", "the API without a token"


def checks(subject: Examined, who: str | None) -> Iterator[Check]:
    """Yield the checks; without a test user's name those that need a token are left out."""
    names = subject.here.function_names
    if subject.state:
        api = subject.state.outputs["api_id"]
        yield Check(AREA, _AUTHORIZER, partial(_authorizer, subject, api))
        yield Check(AREA, _ROUTES, partial(_routes, subject, api))
    host = urlsplit(subject.here.api_url).hostname
    yield Check(
        AREA,
        _CLOSED,
        partial(_without_token, subject),
        (_AUTHORIZER, _ROUTES, *dns.keys(subject, host)),
    )
    for origin in [*subject.origins, FOREIGN]:
        yield Check(AREA, f"CORS for {origin}", partial(_preflight, subject, origin), (_CLOSED,))
    authorizer, presign = (
        (functions.key(name), permissions.invocation_key(names[name]))
        for name in ("authorizer", "presign")
    )
    yield Check(
        AREA,
        "the API with a wrong token",
        partial(_with_wrong_token, subject),
        (_CLOSED, *authorizer),
    )
    if who:
        yield Check(
            AREA,
            "the API with a token",
            partial(_with_token, subject),
            (_CLOSED, *authorizer, *presign, users.SIGN_IN, users.KEYS),
        )
    if "profiles" in names:
        profiles = (functions.key("profiles"), permissions.invocation_key(names["profiles"]))
        yield Check(
            AREA,
            "reading a profile",
            partial(_profile, subject),
            (_CLOSED, *profiles, database.PARAMETER, database.SCHEMA, database.LOGIN),
        )


def _authorizer(subject: Examined, api: str) -> Iterator[Finding]:
    (made,) = subject.managed("aws_apigatewayv2_authorizer")
    live = subject.here.apis.get_authorizer(ApiId=api, AuthorizerId=made["id"])
    yield compare(
        AREA,
        "authorizer reads",
        ", ".join(made["identity_sources"]),
        ", ".join(live.get("IdentitySource", [])),
        subject.fix_by_apply,
    )
    yield compare(
        AREA,
        "authorizer asks",
        f"{_function(made['authorizer_uri'])}, simple answers kept for "
        f"{made['authorizer_result_ttl_in_seconds']} s",
        f"{_function(live.get('AuthorizerUri', ''))}, "
        f"{'simple ' if live.get('EnableSimpleResponses') else ''}answers kept for "
        f"{live.get('AuthorizerResultTtlInSeconds')} s",
        subject.fix_by_apply,
    )


def _routes(subject: Examined, api: str) -> Iterator[Finding]:
    apis = subject.here.apis
    uris = {
        f"integrations/{item['IntegrationId']}": item.get("IntegrationUri", "")
        for page in apis.get_paginator("get_integrations").paginate(ApiId=api)
        for item in page["Items"]
    }
    live = {
        item["RouteKey"]: item
        for page in apis.get_paginator("get_routes").paginate(ApiId=api)
        for item in page["Items"]
    }
    made_uris = {
        f"integrations/{item['id']}": item["integration_uri"]
        for item in subject.managed("aws_apigatewayv2_integration")
    }
    for made in subject.managed("aws_apigatewayv2_route"):
        name = made["route_key"]
        route = live.pop(name, None)
        yield compare(
            AREA,
            f"route {name}",
            _described(made["authorization_type"], made_uris[made["target"]]),
            _described(route.get("AuthorizationType"), uris.get(route.get("Target"), ""))
            if route
            else "none",
            subject.fix_by_apply,
        )
    for name in live:
        yield Finding(
            AREA, f"route {name}", "warning", "no such route", "there is one",
            "Delete it, or add it to Terraform.",
        )  # fmt: skip


def _described(authorization: str | None, uri: str) -> str:
    guarded = "authorized" if authorization == "CUSTOM" else "open to all"
    return f"{_function(uri)}, {guarded}"


def _function(uri: str) -> str:
    """Return the function's name in an invocation's ARN."""
    return uri.partition(":function:")[2].partition("/")[0] or uri or "none"


def _ask(subject: Examined, token: str | None) -> web.Response:
    headers: Mapping[str, str] = {"Authorization": f"Bearer {token}"} if token else {}
    body = json.dumps({"extension": "jpg", "size": 1024}).encode()
    return web.request("POST", f"{subject.here.api_url}{_PATH}", headers, body)


def _answered(name: str, wanted: int, answer: web.Response, remedy: str) -> Finding:
    said = answer.json()
    told = said.get("error", said) if isinstance(said, dict) else None
    words = told.get("code") or told.get("message") if isinstance(told, dict) else None
    explained = f"{answer.status} {words}" if words and answer.status != wanted else answer.status
    return compare(AREA, name, str(wanted), str(explained), remedy)


def _without_token(subject: Examined) -> Iterator[Finding]:
    yield _answered(
        "without a token", 401, _ask(subject, None), f"Is API_URL right? {subject.fix_by_apply}"
    )


def _with_wrong_token(subject: Examined) -> Iterator[Finding]:
    yield _answered(
        "with a wrong token",
        403,
        _ask(subject, "not-a-token"),
        "`make logs FUNCTION=authorizer` says why.",
    )


def _with_token(subject: Examined) -> Iterator[Finding]:
    if subject.token is None:
        yield Finding(
            AREA, "with a right token", "unknown", "200", "nobody could sign in",
            "See the test user's sign-in.",
        )  # fmt: skip
        return
    answer = _ask(subject, subject.token)
    remedy = "`make logs FUNCTION=authorizer` and `FUNCTION=presign` say why."
    yield _answered("with a right token", 200, answer, remedy)
    if answer.status == 200:
        address = (answer.json() or {}).get("url", "")
        yield compare(
            AREA,
            "upload address is for",
            subject.here.uploads_bucket,
            subject.here.uploads_bucket if subject.here.uploads_bucket in address else "another",
            subject.fix_by_apply,
        )


def _profile(subject: Examined) -> Iterator[Finding]:
    # A handle that nobody has: the function must have asked the database to know
    handle = f"doctor-{secrets.token_hex(6)}"
    answer = web.request("GET", f"{subject.here.api_url}/api/activities/{handle}")
    remedy = "`make logs FUNCTION=profiles` says why."
    yield _answered("a profile that isn't there", 404, answer, remedy)


def _preflight(subject: Examined, origin: str) -> Iterator[Finding]:
    yield preflight(
        AREA, f"CORS for {origin}", f"{subject.here.api_url}{_PATH}", origin, "POST",
        ["authorization"], subject.fix_by_apply,
    )  # fmt: skip
