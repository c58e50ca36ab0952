"""The API: each route and refusal of the contract, with and without a token and an origin."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from console.operations import progress, web
from console.operations.acceptance.subject import (
    SIGN_IN,
    Answer,
    Subject,
    function_answers,
    read_by_page,
    reason_for,
)
from console.operations.environments.doctor.buckets import FOREIGN, preflight
from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.finding import Finding, compare
from console.operations.errors import OperationError
from console.operations.migrations.seed import add_user
from console.operations.uploads import locks, outcomes, refusals, test_users
from console.operations.uploads.names import BANNERS

AREA = "API"
GRANT = "POST /avatars/key_upload with a token"
LOCKED = "POST /avatars/key_upload of a locked user"
UNKNOWN, ROW = "a profile that isn't there", "a profile for the test user"
REMOVE = "/avatars"
CROP = "/avatars/crop"
_UPLOAD = "/avatars/key_upload"
_UPDATE = "/api/profile/update"
_UNSIGNED = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
_MOST_BYTES = 32 * 2**20

# What is asked with a good token, and what the contract has for it
_REFUSED: dict[str, tuple[bytes, str]] = {
    "a body that is not JSON": (b"jpg", "400 invalid_request"),
    "a body that is no object": (b'["jpg", 10]', "400 invalid_request"),
    "a member twice": (b'{"extension": "jpg", "size": 1, "size": 2}', "400 invalid_request"),
    "a body of 1,025 characters": (
        json.dumps({"extension": "jpg", "size": 10}).ljust(1025).encode(),
        "400 invalid_request",
    ),
    "no size": (b'{"extension": "jpg"}', "400 invalid_request"),
    "a size as text": (b'{"extension": "jpg", "size": "10"}', "400 invalid_request"),
    "neither extension nor type": (b'{"size": 10}', "400 invalid_request"),
    "extension heic": (b'{"extension": "heic", "size": 10}', "400 unsupported_extension"),
    "type image/svg+xml": (b'{"type": "image/svg+xml", "size": 10}', "400 unsupported_type"),
    "a crop of two numbers": (
        b'{"extension": "jpg", "size": 10, "crop": [0, 0]}',
        "400 invalid_request",
    ),
    "a crop outside the picture": (
        b'{"extension": "jpg", "size": 10, "crop": [0, 0, 1.5]}',
        "400 invalid_request",
    ),
    "a kind that there isn't": (
        b'{"extension": "jpg", "size": 10, "kind": "portrait"}',
        "400 invalid_request",
    ),
    "a picture that is too large": (
        json.dumps({"extension": "jpg", "size": _MOST_BYTES + 1}).encode(),
        "413 too_large",
    ),
}
_TAKEN: dict[str, tuple[dict[str, Any], str]] = {
    "extension .PNG": ({"extension": ".PNG", "size": 10}, "image/png"),
    "type alone": ({"type": "image/webp; q=1", "size": 10}, "image/webp"),
    "an unknown extension with a known type": (
        {"extension": "1000034", "type": "image/jpg", "size": 10},
        "image/jpeg",
    ),
    "kind banner": ({"extension": "jpg", "size": 10, "kind": "banner"}, "image/jpeg"),
}
_UPDATES: dict[str, tuple[object, str]] = {
    "a body that is no object": (["Ada"], "400 invalid_request"),
    "a blank name": ({"display_name": "\u2800"}, "422 display_name_blank"),
    "a name with a line break": ({"display_name": "Ada\nLovelace"}, "422 display_name_invalid"),
    "a name of 65 characters": ({"display_name": "a" * 65}, "422 display_name_too_long"),
    "a bio that is a number": ({"display_name": "Ada", "bio": 1}, "422 bio_invalid"),
    "a bio of 1,001 characters": ({"display_name": "Ada", "bio": "a" * 1001}, "422 bio_too_long"),
}


def checks(subject: Subject) -> Iterator[Check]:
    """Yield the attempts; those with a token need the test user's sign-in."""
    yield Check("Users", SIGN_IN, partial(_sign_in, subject))
    yield Check(AREA, GRANT, partial(_grant, subject), (SIGN_IN,))
    yield Check(AREA, f"{GRANT}: its answer", partial(_granted, subject), (GRANT,))
    profiles = "profiles" in subject.here.function_names
    closed = [("POST", _UPLOAD), *([("POST", _UPDATE)] if profiles else [])]
    if "remove" in subject.here.function_names:
        closed.append(("DELETE", REMOVE))
    if "crop" in subject.here.function_names:
        closed.append(("POST", CROP))
    for method, path in closed:
        yield _check(f"{method} {path} without a token", _gateway, subject, method, path, "", 401)
        # later, so that the authorizer's log has the reason for a refused token alone
        name = f"{method} {path} with a wrong token"
        wrong = partial(_gateway, subject, method, path, "Bearer not-a-token", 403)
        yield Check(AREA, name, wrong, after=(GRANT,))
    yield _check("a route that isn't there", _gateway, subject, "GET", "/acceptance", "", 404)
    yield _check("a method that isn't there", _gateway, subject, "PUT", _UPLOAD, "", 404)
    yield _check("the API's own refusals", _readable, subject)
    routes = [*closed, *([("GET", "/api/activities/acceptance")] if profiles else [])]
    for origin in [*subject.origins, FOREIGN]:
        for method, path in routes:
            name = f"preflight of {method} {path} from {origin}"
            yield _check(name, _preflight, subject, name, origin, method, path)
    for name in ("Basic authorization", "an ID token", "a changed signature", "no signature"):
        yield Check(
            AREA, f"{_UPLOAD} with {name}", partial(_refused_token, subject, name), (GRANT,)
        )
    for name, (body, wanted) in _REFUSED.items():
        yield Check(AREA, f"{_UPLOAD} with {name}", partial(_refused, subject, name, body, wanted),
                    (GRANT,))  # fmt: skip
    for name, (wish, kind) in _TAKEN.items():
        yield Check(AREA, f"{_UPLOAD} with {name}", partial(_taken, subject, name, wish, kind),
                    (GRANT,))  # fmt: skip
    if profiles:
        yield from _profile_checks(subject)


def last_checks(subject: Subject, others: tuple[str, ...]) -> Iterator[Check]:
    """Yield the attempts after which the test user may send nothing for a while."""
    if subject.here.limits_table:
        yield Check(AREA, LOCKED, partial(_locked, subject), (GRANT,), others)


def _profile_checks(subject: Subject) -> Iterator[Check]:
    yield _check(UNKNOWN, _unknown_profile, subject)
    cursor = "a cursor that is none"
    yield Check(AREA, cursor, partial(_wrong_cursor, subject, cursor), (UNKNOWN,))
    for name, (body, wanted) in _UPDATES.items():
        name = f"{_UPDATE} with {name}"
        refused = partial(_refused_update, subject, name, body, wanted)
        yield Check(AREA, name, refused, (UNKNOWN, GRANT))
    none = f"{_UPDATE} of an account without a profile"
    yield Check(AREA, none, partial(_no_profile, subject, none), (UNKNOWN, GRANT))
    yield Check(AREA, ROW, partial(_row, subject), (UNKNOWN, SIGN_IN), (none,))
    yield Check(AREA, f"{_UPDATE} with a token", partial(_update, subject), (ROW, GRANT))
    for handle in (subject.user, f"@{subject.user}", quote(f"@{subject.user}", safe="")):
        name = f"GET /api/activities/{handle}"
        yield Check(AREA, name, partial(_profile, subject, name, handle), (ROW,))


def _check(name: str, run: Any, *arguments: Any) -> Check:
    return Check(AREA, name, partial(run, *arguments))


def _sign_in(subject: Subject) -> Iterator[Finding]:
    subject.touched.add("user")
    try:
        signed_in = test_users.sign_in(subject.here, subject.user)
    except OperationError as error:
        yield Finding("Users", SIGN_IN, "error", "a token", error.message, error.remedy)
        return
    subject.token, subject.id_token = signed_in.token, signed_in.id_token
    subject.sub = signed_in.sub
    yield Finding("Users", SIGN_IN, "ok", "a token", "a token")


def _gateway(
    subject: Subject, method: str, path: str, header: str, wanted: int
) -> Iterator[Finding]:
    """Ask for what the API itself refuses."""
    answer = subject.asks(
        method,
        path,
        headers={"Authorization": header} if header else {},
        body=_wish() if method == "POST" else None,
    )
    said = answer.json()
    by = "by the API itself"
    if not isinstance(said, dict) or "message" not in said:
        by = f"by a function ({refusals.code_and_message(answer.body.decode())[0]})"
    name = {401: "without a token", 403: "with a wrong token"}.get(wanted, "")
    yield compare(
        AREA, f"{method} {path} {name}".strip(), f"{wanted} by the API itself",
        f"{answer.status} {by}", f"Is the authorizer on this route? {subject.fix_by_apply}",
    )  # fmt: skip


def _wish(extension: str = "jpg", size: int = 10) -> bytes:
    return json.dumps({"extension": extension, "size": size}).encode()


def _readable(subject: Subject) -> Iterator[Finding]:
    for status, method, path in ((401, "POST", _UPLOAD), (404, "GET", "/acceptance")):
        answer = subject.asks(method, path, body=_wish() if method == "POST" else None)
        found = read_by_page(answer, subject.origin)
        yield Answer(
            AREA, f"the API's own {status}", "ok", "", found, embedded="not readable by a page"
        )


def _preflight(
    subject: Subject, name: str, origin: str, method: str, path: str
) -> Iterator[Finding]:
    wanted = subject.page_headers
    if method == "GET":  # nobody signs in to look, but libraries add their headers there too
        wanted = [header for header in wanted if header != "authorization"]
    yield preflight(
        AREA, name, f"{subject.here.api_url}{path}", origin, method, wanted, subject.fix_by_apply
    )


def _grant(subject: Subject) -> Iterator[Finding]:
    since = time.time()
    answer = subject.asks("POST", _UPLOAD, token=subject.token or "", body=_wish())
    granted = answer.json()
    if answer.status != 200 or not isinstance(granted, dict):
        why, remedy = reason_for(subject, answer, ("authorizer", "presign"), since)
        yield Finding(AREA, GRANT, "error", "200", f"{answer.status}{why}", remedy)
        return
    yield Finding(AREA, GRANT, "ok", "200", "200")


def _granted(subject: Subject) -> Iterator[Finding]:
    answer = subject.asks("POST", _UPLOAD, token=subject.token or "", body=_wish())
    granted = answer.json() or {}
    yield function_answers(subject, AREA, f"{GRANT}: for a page", "200", answer, "presign")
    members = {"url", "method", "headers", "key", "expires_in", "variants", "version_suffix"}
    yield compare(
        AREA, f"{GRANT}: members", ", ".join(sorted(members)),
        ", ".join(sorted(members & granted.keys())), "Deploy the functions again: `make apply`.",
    )  # fmt: skip
    own = "the caller's sub, 300 s"
    yield compare(
        AREA, f"{GRANT}: key and time", own,
        own if granted.get("key") == subject.sub and granted.get("expires_in") == 300
        else f"{'another' if granted.get('key') != subject.sub else own.split(',')[0]}, "
             f"{granted.get('expires_in')} s",
        "Deploy the functions again: `make apply`.",
    )  # fmt: skip
    here = subject.here
    own_host = f"https://{here.uploads_bucket}.s3.{here.region}.amazonaws.com/"
    if endpoint := here.access.get("AWS_ENDPOINT_URL"):
        own_host = f"{endpoint}/{here.uploads_bucket}/"
    url = str(granted.get("url", ""))
    yield compare(
        AREA, f"{GRANT}: address", own_host,
        own_host if url.startswith(own_host) else url.partition("?")[0],
        f"The global host redirects from a young bucket. {subject.fix_by_apply}",
    )  # fmt: skip
    if subject.state:
        yield compare(
            AREA, f"{GRANT}: variants", ", ".join(subject.state.outputs["avatar_variants"]),
            ", ".join(granted.get("variants", [])), subject.fix_by_apply,
        )  # fmt: skip
    answer = subject.asks("POST", _UPLOAD, token=subject.token or "", body=_wish(), origin=FOREIGN)
    yield compare(
        AREA, f"{GRANT}, from {FOREIGN}", "not readable by a page", read_by_page(answer, FOREIGN),
        subject.fix_by_apply,
    )  # fmt: skip


def _refused_token(subject: Subject, name: str) -> Iterator[Finding]:
    token = subject.token or ""
    head, payload, signature = token.split(".")
    middle = len(signature) // 2
    changed = "A" if signature[middle] != "A" else "B"
    header = {
        "Basic authorization": f"Basic {base64.b64encode(b'acceptance:none').decode()}",
        "an ID token": f"Bearer {subject.id_token}",
        "a changed signature": f"Bearer {head}.{payload}."
        f"{signature[:middle]}{changed}{signature[middle + 1 :]}",
        "no signature": f"Bearer {_UNSIGNED}.{payload}.",
    }[name]
    answer = subject.asks("POST", _UPLOAD, headers={"Authorization": header}, body=_wish())
    yield compare(
        AREA, f"{_UPLOAD} with {name}", "403", str(answer.status),
        f"The authorizer must refuse it: {subject.fix_by_apply}",
    )  # fmt: skip


def _refused(subject: Subject, name: str, body: bytes, wanted: str) -> Iterator[Finding]:
    answer = subject.asks("POST", _UPLOAD, token=subject.token or "", body=body)
    yield function_answers(subject, AREA, f"{_UPLOAD} with {name}", wanted, answer, "presign")
    if answer.status == 413 and subject.state:
        told = (answer.json() or {}).get("error", {}).get("max_size")
        yield compare(
            AREA, f"{_UPLOAD}: max_size",
            str(int(subject.state.outputs["max_upload_bytes"])), str(told),
            subject.fix_by_apply,
        )  # fmt: skip


def _taken(subject: Subject, name: str, wish: dict[str, Any], kind: str) -> Iterator[Finding]:
    answer = subject.asks(
        "POST", _UPLOAD, token=subject.token or "", body=json.dumps(wish).encode()
    )
    said = answer.json() or {}
    key = BANNERS + subject.sub if wish.get("kind") == "banner" else subject.sub
    yield compare(
        AREA, f"{_UPLOAD} with {name}", f"200, {kind}, {key}",
        f"{answer.status}, {(said.get('headers') or {}).get('Content-Type')}, {said.get('key')}",
        "Deploy the functions again: `make apply`.",
    )  # fmt: skip


def _locked(subject: Subject) -> Iterator[Finding]:
    """Lock the test user out for one request."""
    subject.touched.add("limits")
    locks.set_lock(subject.target, subject.here, subject.sub, locked=True).execute(progress.ignore)
    answer = subject.asks("POST", _UPLOAD, token=subject.token or "", body=_wish())
    locks.set_lock(subject.target, subject.here, subject.sub, locked=False).execute(progress.ignore)
    yield function_answers(subject, AREA, LOCKED, "403 locked", answer, "presign")


def _unknown_profile(subject: Subject) -> Iterator[Finding]:
    answer = subject.asks("GET", f"/api/activities/acceptance-{secrets.token_hex(6)}")
    yield function_answers(subject, AREA, UNKNOWN, "404 not_found", answer, "profiles")


def _wrong_cursor(subject: Subject, name: str) -> Iterator[Finding]:
    answer = subject.asks("GET", "/api/activities/acceptance?cursor=none")
    yield function_answers(subject, AREA, name, "400 invalid_request", answer, "profiles")


def _refused_update(subject: Subject, name: str, body: object, wanted: str) -> Iterator[Finding]:
    answer = subject.asks(
        "POST", _UPDATE, token=subject.token or "", body=json.dumps(body).encode()
    )
    yield function_answers(subject, AREA, name, wanted, answer, "profiles")


def _no_profile(subject: Subject, name: str) -> Iterator[Finding]:
    answer = _send_update(subject)
    yield function_answers(subject, AREA, name, "404 not_found", answer, "profiles")


def _row(subject: Subject) -> Iterator[Finding]:
    """Add the row that the application adds for each of its users."""
    try:
        url = subject.target.database_url()
        subject.touched.add("row")
        add_user(url, subject.user, subject.sub)
        subject.handle = subject.user
    except OperationError as error:
        yield Finding(AREA, ROW, "unknown", "a row of its own", error.message, error.remedy)
        return
    yield Finding(AREA, ROW, "ok", "a row of its own", "a row of its own")


def _send_update(subject: Subject) -> web.Response:
    body = {"display_name": f" {subject.user} ", "bio": "Made by make accept."}
    return subject.asks("POST", _UPDATE, token=subject.token or "", body=json.dumps(body).encode())


def _update(subject: Subject) -> Iterator[Finding]:
    name = f"{_UPDATE} with a token"
    if not subject.handle:
        return
    answer = _send_update(subject)
    yield function_answers(subject, AREA, name, "200", answer, "authorizer", "profiles")
    yield compare(
        AREA, f"{name}: the name", subject.user,
        (answer.json() or {}).get("display_name"), "`make logs FUNCTION=profiles` says why.",
    )  # fmt: skip


def _profile(subject: Subject, name: str, handle: str) -> Iterator[Finding]:
    if not subject.handle:
        return
    answer = subject.asks("GET", f"/api/activities/{handle}")
    yield function_answers(subject, AREA, name, "200", answer, "profiles")
    found = (answer.json() or {}).get("profile", {})
    if answer.status == 200 and not found.get("avatar_variants"):
        default = f"{subject.here.assets_url}/{outcomes.register_key(subject.sub)}"
        yield compare(
            AREA, f"{name}: avatar_url without an avatar", default, found.get("avatar_url"),
            "`make logs FUNCTION=profiles` says why.",
        )  # fmt: skip
