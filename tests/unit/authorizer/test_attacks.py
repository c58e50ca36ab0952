"""Every way in that was thought of, and the reason each is refused for."""

from __future__ import annotations

import base64
import functools
import io
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authorizer.tokens import Reason
from tests.unit.authorizer.conftest import Authorize
from tests.unit.authorizer.pool import ISSUER, Pool, b64, jwk, new_key, segment

PAGE = Path(__file__).parents[3] / "docs/attacks.md"
OTHER_KEY = new_key()
MEGABYTE = 1_000_000


def forged(pool: Pool, **header: Any) -> str:
    """A token with the pool's claims, signed by the attacker's own key."""
    return Pool(kid=pool.kid, key=OTHER_KEY).token(pool.header(**header), pool.claims())


def with_claims(**changes: Any) -> Callable[[Pool], str]:
    """A token that the pool did sign, with other claims."""
    return lambda pool: pool.token(claims=pool.claims(**changes))


def signed_text(text: str) -> Callable[[Pool], str]:
    """A token that the pool did sign, over a payload that is not what it should be."""
    return lambda pool: pool.token(claims=text.encode())


def swapped(pool: Pool) -> str:
    header, _payload, signature = pool.token().split(".")
    return f"{header}.{segment(pool.claims(sub='another-user'))}.{signature}"


def spare_bits(pool: Pool) -> str:
    """The same signature bytes, spelled with another last letter."""
    token = pool.token()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + letters[letters.index(token[-1]) + 1]


def claims_text(pool: Pool, old: str, new: str) -> str:
    """A signed payload with a piece of its JSON text replaced."""
    text = json.dumps(pool.claims(exp=1111111111))
    assert old in text
    return pool.token(claims=text.replace(old, new).encode())


def jwe(pool: Pool) -> str:
    header = {"alg": "RSA-OAEP", "enc": "A256GCM", "kid": pool.kid}
    return f"{segment(header)}.a2V5.aXY.dGV4dA.dGFn"


def part(pool: Pool, index: int, change: Callable[[str], str]) -> str:
    parts = pool.token().split(".")
    parts[index] = change(parts[index])
    return ".".join(parts)


# name: (reason, token) — sent as "Bearer <token>"
TOKENS: dict[str, tuple[Reason, Callable[[Pool], str]]] = {
    # algorithm
    "alg none": (
        Reason.ALGORITHM_NOT_ALLOWED,
        lambda p: f"{segment(p.header(alg='none'))}.{segment(p.claims())}.",
    ),
    "alg nOnE": (
        Reason.ALGORITHM_NOT_ALLOWED,
        lambda p: f"{segment(p.header(alg='nOnE'))}.{segment(p.claims())}.",
    ),
    "alg none, signed all the same": (
        Reason.ALGORITHM_NOT_ALLOWED,
        lambda p: p.token(p.header(alg="none")),
    ),
    "alg empty": (Reason.ALGORITHM_NOT_ALLOWED, lambda p: p.token(p.header(alg=""))),
    "alg missing": (Reason.ALGORITHM_NOT_ALLOWED, lambda p: p.token(p.header(alg=None))),
    "alg a list": (Reason.ALGORITHM_NOT_ALLOWED, lambda p: p.token(p.header(alg=["RS256"]))),
    "alg a part of RS256": (Reason.ALGORITHM_NOT_ALLOWED, lambda p: p.token(p.header(alg="RS"))),
    "alg in lower case": (Reason.ALGORITHM_NOT_ALLOWED, lambda p: p.token(p.header(alg="rs256"))),
    "alg RS512": (Reason.ALGORITHM_NOT_ALLOWED, lambda p: p.token(p.header(alg="RS512"))),
    "alg ES256": (Reason.ALGORITHM_NOT_ALLOWED, lambda p: p.token(p.header(alg="ES256"))),
    "alg PS256": (Reason.ALGORITHM_NOT_ALLOWED, lambda p: p.token(p.header(alg="PS256"))),
    "HS256 with the public key as PEM": (
        Reason.ALGORITHM_NOT_ALLOWED,
        lambda p: p.hmac_token("HS256", p.public_key(Encoding.PEM)),
    ),
    "HS256 with the public key as DER": (
        Reason.ALGORITHM_NOT_ALLOWED,
        lambda p: p.hmac_token("HS256", p.public_key(Encoding.DER)),
    ),
    "HS256 with the modulus": (
        Reason.ALGORITHM_NOT_ALLOWED,
        lambda p: p.hmac_token("HS256", jwk(p.key, p.kid)["n"].encode()),
    ),
    "HS256 with an empty secret": (
        Reason.ALGORITHM_NOT_ALLOWED,
        lambda p: p.hmac_token("HS256", b""),
    ),
    "an HMAC with the PEM that says RS256": (
        Reason.BAD_SIGNATURE,
        lambda p: p.hmac_token("RS256", p.public_key(Encoding.PEM)),
    ),
    "an HMAC with the DER that says RS256": (
        Reason.BAD_SIGNATURE,
        lambda p: p.hmac_token("RS256", p.public_key(Encoding.DER)),
    ),
    # a key of the attacker's
    "JWE": (Reason.NOT_THREE_PARTS, jwe),
    "embedded jwk": (Reason.KEY_IN_HEADER, lambda p: forged(p, jwk=jwk(OTHER_KEY, p.kid))),
    "embedded jku": (Reason.KEY_IN_HEADER, lambda p: forged(p, jku="https://evil.example/jwks")),
    "embedded x5u": (Reason.KEY_IN_HEADER, lambda p: forged(p, x5u="https://evil.example/x5u")),
    "embedded x5c": (Reason.KEY_IN_HEADER, lambda p: forged(p, x5c=["MIIB"])),
    "crit": (
        Reason.CRITICAL_EXTENSION,
        lambda p: p.token(p.header(crit=["b64"], b64=False)),
    ),
    "kid unknown": (Reason.KID_UNKNOWN, lambda p: forged(p, kid="another")),
    "kid empty": (Reason.KID_UNKNOWN, lambda p: forged(p, kid="")),
    "kid a path": (Reason.KID_UNKNOWN, lambda p: forged(p, kid="../../dev/null")),
    "kid missing": (Reason.KID_MISSING, lambda p: p.token(p.header(kid=None))),
    "kid a number": (Reason.KID_MISSING, lambda p: p.token(p.header(kid=7))),
    "kid a list": (Reason.KID_MISSING, lambda p: p.token(p.header(kid=[p.kid]))),
    "kid twice": (
        Reason.BAD_HEADER,
        lambda p: p.token(f'{{"alg":"RS256","kid":"x","kid":"{p.kid}"}}'.encode()),
    ),
    "alg twice": (
        Reason.BAD_HEADER,
        lambda p: p.token(f'{{"alg":"none","kid":"{p.kid}","alg":"RS256"}}'.encode()),
    ),
    "another key's signature": (Reason.BAD_SIGNATURE, forged),
    # signature
    "payload swapped": (Reason.BAD_SIGNATURE, swapped),
    "signature empty": (Reason.BAD_SIGNATURE, lambda p: part(p, 2, lambda _: "")),
    "signature of zeros": (Reason.BAD_SIGNATURE, lambda p: part(p, 2, lambda _: b64(bytes(256)))),
    "signature one byte short": (
        Reason.BAD_SIGNATURE,
        lambda p: part(p, 2, lambda s: b64(base64.urlsafe_b64decode(s + "==")[:-1])),
    ),
    "signature one byte long": (
        Reason.BAD_SIGNATURE,
        lambda p: part(p, 2, lambda s: b64(base64.urlsafe_b64decode(s + "==") + b"\0")),
    ),
    "header and payload exchanged": (
        Reason.ALGORITHM_NOT_ALLOWED,
        lambda p: ".".join([p.token().split(".")[i] for i in (1, 0, 2)]),
    ),
    # encoding
    "empty parts": (Reason.BAD_HEADER, lambda _: ".."),
    "two parts": (Reason.NOT_THREE_PARTS, lambda p: p.token().rpartition(".")[0]),
    "four parts": (Reason.NOT_THREE_PARTS, lambda p: p.token() + ".AAAA"),
    "no parts": (Reason.NOT_THREE_PARTS, lambda _: "abc"),
    "base64 truncated by a letter": (
        Reason.BAD_BASE64,
        lambda p: part(p, 2, lambda s: s[: len(s) // 4 * 4 + 1]),
    ),
    "base64 padded": (Reason.BAD_BASE64, lambda p: p.token() + "=="),
    "base64 padded header": (Reason.BAD_BASE64, lambda p: part(p, 0, lambda s: s + "=")),
    "base64 with plus and slash": (Reason.BAD_BASE64, lambda p: part(p, 2, lambda s: "+/" + s[2:])),
    "base64 with a line break inside": (
        Reason.NOT_ONE_TOKEN,
        lambda p: part(p, 1, lambda s: s[:8] + "\n" + s[8:]),
    ),
    "base64 with a letter that decoders skip": (
        Reason.BAD_BASE64,
        lambda p: part(p, 1, lambda s: s[:8] + "!" + s[8:]),
    ),
    "base64 with other spare bits": (Reason.BAD_BASE64, spare_bits),
    "unicode digits": (
        Reason.BAD_BASE64,
        lambda p: part(p, 2, lambda s: "\u0661\uff12" + s[2:]),
    ),
    "a null character": (Reason.BAD_BASE64, lambda p: p.token() + "\0"),
    "a lone surrogate": (Reason.BAD_BASE64, lambda p: p.token() + "\ud800"),
    # size
    "1 MB token": (Reason.TOKEN_TOO_LONG, lambda p: p.token(claims=p.claims(pad="x" * MEGABYTE))),
    "1 MB of dots": (Reason.TOKEN_TOO_LONG, lambda _: "." * MEGABYTE),
    "huge header": (Reason.HEADER_TOO_LONG, lambda p: p.token(p.header(pad="x" * 2000))),
    # header's JSON
    "header not JSON": (Reason.BAD_HEADER, lambda p: p.token(b"{alg:RS256}")),
    "header a list": (Reason.BAD_HEADER, lambda p: p.token(b'["RS256"]')),
    "header not UTF-8": (Reason.BAD_HEADER, lambda p: p.token(b'{"alg":"\xff"}')),
    "header in UTF-16": (
        Reason.BAD_HEADER,
        lambda p: p.token(json.dumps(p.header()).encode("utf-16")),
    ),
    "header with NaN": (Reason.BAD_HEADER, lambda p: p.token(b'{"alg":"RS256","kid":NaN}')),
    "header nested deep": (Reason.BAD_HEADER, lambda p: p.token(b"[" * 700)),
    # payload's JSON, signed by the pool
    "payload not JSON": (Reason.BAD_PAYLOAD, signed_text("{sub:1}")),
    "payload a list": (Reason.BAD_PAYLOAD, signed_text("[]")),
    "payload null": (Reason.BAD_PAYLOAD, signed_text("null")),
    "payload a JSON nested deep": (Reason.BAD_PAYLOAD, signed_text("[" * 7000 + "]" * 7)),
    "payload with NaN": (
        Reason.BAD_PAYLOAD,
        lambda p: claims_text(p, "1111111111", "NaN"),
    ),
    "payload with Infinity": (
        Reason.BAD_PAYLOAD,
        lambda p: claims_text(p, "1111111111", "Infinity"),
    ),
    "payload with a number of 5,000 digits": (
        Reason.BAD_PAYLOAD,
        lambda p: claims_text(p, "1111111111", "9" * 5000),
    ),
    "payload with a claim twice": (
        Reason.BAD_PAYLOAD,
        lambda p: claims_text(p, '"exp"', '"sub": "x", "exp"'),
    ),
    "payload with a byte order mark": (
        Reason.BAD_PAYLOAD,
        lambda p: p.token(claims=b"\xef\xbb\xbf" + json.dumps(p.claims()).encode()),
    ),
    # time
    "expired": (Reason.EXPIRED, lambda p: p.token(claims=p.claims(exp=int(time.time()) - 1))),
    "expired this second": (
        Reason.EXPIRED,
        lambda p: p.token(claims=p.claims(exp=int(time.time()))),
    ),
    "expiry negative": (Reason.EXPIRED, with_claims(exp=-1)),
    "without exp": (Reason.EXP_MISSING, with_claims(exp=None)),
    "exp as text": (Reason.EXP_NOT_INTEGER, with_claims(exp="9999999999")),
    "exp in unicode digits": (Reason.EXP_NOT_INTEGER, with_claims(exp="\uff19" * 10)),
    "exp a boolean": (Reason.EXP_NOT_INTEGER, with_claims(exp=True)),
    "exp a list": (Reason.EXP_NOT_INTEGER, with_claims(exp=[9999999999])),
    "exp null": (
        Reason.EXP_NOT_INTEGER,
        lambda p: claims_text(p, "1111111111", "null"),
    ),
    "exp beyond every float": (
        Reason.EXP_NOT_INTEGER,
        lambda p: claims_text(p, "1111111111", "1e400"),
    ),
    "not yet valid": (
        Reason.NOT_YET_VALID,
        lambda p: p.token(claims=p.claims(nbf=int(time.time()) + 60)),
    ),
    "nbf as text": (Reason.NBF_NOT_INTEGER, with_claims(nbf="0")),
    # whose
    "other pool": (Reason.WRONG_ISSUER, with_claims(iss=ISSUER[:-1] + "2")),
    "other pool, prefix of ours": (Reason.WRONG_ISSUER, with_claims(iss=ISSUER[:-1])),
    "issuer with a slash": (Reason.WRONG_ISSUER, with_claims(iss=ISSUER + "/")),
    "issuer in a list": (Reason.WRONG_ISSUER, with_claims(iss=[ISSUER])),
    "without issuer": (Reason.WRONG_ISSUER, with_claims(iss=None)),
    "id token": (Reason.WRONG_TOKEN_USE, with_claims(token_use="id")),
    "refresh token": (Reason.WRONG_TOKEN_USE, with_claims(token_use="refresh")),
    "without token_use": (Reason.WRONG_TOKEN_USE, with_claims(token_use=None)),
    "other client": (Reason.WRONG_CLIENT, with_claims(client_id="another")),
    "without client": (Reason.WRONG_CLIENT, with_claims(client_id=None)),
    "our client only as audience": (
        Reason.WRONG_CLIENT,
        lambda p: p.token(claims=p.claims(client_id=None, aud=p.claims()["client_id"])),
    ),
    "without sub": (Reason.SUB_MISSING, with_claims(sub=None)),
    "sub empty": (Reason.SUB_MISSING, with_claims(sub="")),
    "sub a number": (Reason.SUB_MISSING, with_claims(sub=7)),
    "a machine's token": (Reason.USERNAME_MISSING, with_claims(username=None)),
}

# name: (reason, header) — the whole Authorization header
HEADERS: dict[str, tuple[Reason, Callable[[str], str | None]]] = {
    "no header": (Reason.MISSING_TOKEN, lambda _: None),
    "empty header": (Reason.MISSING_TOKEN, lambda _: ""),
    "scheme alone": (Reason.MISSING_TOKEN, lambda _: "Bearer"),
    "scheme and a space": (Reason.MISSING_TOKEN, lambda _: "Bearer "),
    "token alone": (Reason.NOT_BEARER, lambda t: t),
    "Basic": (Reason.NOT_BEARER, lambda t: f"Basic {t}"),
    "scheme twice": (Reason.NOT_ONE_TOKEN, lambda t: f"Bearer Bearer {t}"),
    "tab for a space": (Reason.NOT_BEARER, lambda t: f"Bearer\t{t}"),
    "space before": (Reason.NOT_BEARER, lambda t: f" Bearer {t}"),
    "two spaces": (Reason.NOT_ONE_TOKEN, lambda t: f"Bearer  {t}"),
    "many spaces": (Reason.NOT_ONE_TOKEN, lambda t: f"Bearer {' ' * 5000}{t}"),
    "only spaces": (Reason.NOT_ONE_TOKEN, lambda _: "Bearer    "),
    "space after": (Reason.NOT_ONE_TOKEN, lambda t: f"Bearer {t} "),
    "no-break space": (Reason.NOT_ONE_TOKEN, lambda t: f"Bearer \u00a0{t}"),
    "two tokens": (Reason.NOT_ONE_TOKEN, lambda t: f"Bearer {t} {t}"),
    "two headers joined": (Reason.NOT_ONE_TOKEN, lambda t: f"Bearer {t},Bearer {t}"),
    "comma after": (Reason.NOT_ONE_TOKEN, lambda t: f"Bearer {t},"),
    "several commas": (Reason.NOT_ONE_TOKEN, lambda t: f"Bearer ,,,{t},,"),
    "comma after the scheme": (Reason.NOT_BEARER, lambda t: f"Bearer, {t}"),
    "line break and another header": (Reason.NOT_ONE_TOKEN, lambda t: f"Bearer {t}\r\nX-A: b"),
    "in quotes": (Reason.BAD_BASE64, lambda t: f'Bearer "{t}"'),
}

ATTACKS = [
    *(
        pytest.param(reason, lambda p, make=make: f"Bearer {make(p)}", id=name)
        for name, (reason, make) in TOKENS.items()
    ),
    *(
        pytest.param(reason, lambda p, make=make: make(p.token()), id=name)
        for name, (reason, make) in HEADERS.items()
    ),
]


@pytest.mark.parametrize(("reason", "attack"), ATTACKS)
def test_refuses_for_its_own_reason_and_logs_nothing_of_the_token(
    reason: Reason,
    attack: Callable[[Pool], str | None],
    pool: Pool,
    authorize: Authorize,
    log: io.StringIO,
) -> None:
    authorization = attack(pool)
    assert authorize(authorization) == {"isAuthorized": False, "context": {}}
    (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
    expected = {"message": "refused", "reason": reason.value, "request_id": "r-1", "level": "INFO"}
    assert {name: line[name] for name in expected} == expected
    assert set(line) == {*expected, "time", "function"}


def test_every_reason_has_an_attack() -> None:
    tried = {reason for reason, _make in [*TOKENS.values(), *HEADERS.values()]}
    # Groups and scopes are asked for only where they are set; their tests are in test_tokens.
    assert set(Reason) - tried == {Reason.GROUP_MISSING, Reason.SCOPE_MISSING}


def test_the_documented_table_is_this_one() -> None:
    attacks = defaultdict(list)
    for name, (reason, _make) in [*TOKENS.items(), *HEADERS.items()]:
        attacks[reason].append(name)
    rows = [
        f"| `{reason.value}` | {len(attacks[reason])} | {'; '.join(attacks[reason])} |"
        for reason in Reason
        if reason in attacks
    ]
    table = "\n".join([*rows, f"| **in all** | **{len(ATTACKS)}** | |", ""])
    assert table in PAGE.read_text(), f"make docs/attacks.md hold these rows:\n{table}"
    fuzzed = f"**{3 * FUZZ.max_examples + FUZZ_OF_CLAIMS.max_examples:,}** fuzzed requests"
    assert fuzzed in PAGE.read_text(), f"make docs/attacks.md say: {fuzzed}"


@functools.cache
def good_token(pool: Pool) -> str:
    return pool.token()


FUZZ = settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

FUZZ_OF_CLAIMS = settings(FUZZ, max_examples=300)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@FUZZ
@given(header=st.text(max_size=60) | st.text(max_size=60).map(lambda text: f"Bearer {text}"))
def test_answers_false_to_any_header(header: str, authorize: Authorize) -> None:
    assert authorize(header)["isAuthorized"] is False


@FUZZ
@given(position=st.integers(0, 1200), junk=st.text(max_size=3), cut=st.integers(0, 3))
def test_answers_false_to_any_change_of_a_good_token(
    position: int, junk: str, cut: int, pool: Pool, authorize: Authorize
) -> None:
    token = good_token(pool)
    position %= len(token)
    changed = token[:position] + junk + token[position + cut :]
    assert authorize(f"Bearer {changed}")["isAuthorized"] is (changed == token)


@FUZZ
@given(
    header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk"]), JSON_VALUES),
    payload=st.binary(max_size=40) | JSON_VALUES.map(lambda value: json.dumps(value).encode()),
)
def test_answers_false_to_any_header_and_payload_that_the_pool_did_not_sign(
    header: dict[str, Any], payload: bytes, pool: Pool, authorize: Authorize
) -> None:
    token = f"{segment(pool.header(**header))}.{b64(payload)}.{b64(bytes(256))}"
    assert authorize(f"Bearer {token}")["isAuthorized"] is False


@FUZZ_OF_CLAIMS
@given(
    changes=st.dictionaries(
        st.sampled_from(["exp", "nbf", "iss", "token_use", "client_id", "sub", "username"]),
        JSON_VALUES,
        min_size=1,
    )
)
def test_signed_claims_of_any_type_are_judged_without_an_error(
    changes: dict[str, Any], pool: Pool, authorize: Authorize
) -> None:
    answer = authorize(f"Bearer {pool.token(claims=pool.claims(**changes))}")
    if answer["isAuthorized"]:
        assert all(isinstance(answer["context"][name], str) for name in ("sub", "username"))
