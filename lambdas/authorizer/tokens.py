"""Whether a token is one of ours: structure, then signature, then claims."""

from __future__ import annotations

import functools
from enum import StrEnum
from typing import Any, Protocol

from authorizer.encoding import decode_base64url, parse_object
from authorizer.settings import Settings

MAX_TOKEN_LENGTH = 10_240
"""Characters; API Gateway lets no more than this through in all headers together."""

MAX_HEADER_LENGTH = 1_024
"""Characters of the token's first part; Cognito's has about 110."""

_KEYS_IN_HEADER = frozenset({"jwk", "jku", "x5c", "x5u"})


class Reason(StrEnum):
    """Why a request was refused; these stand in the log and are kept stable."""

    MISSING_TOKEN = "missing_token"  # noqa: S105
    NOT_BEARER = "not_bearer"
    NOT_ONE_TOKEN = "not_one_token"  # noqa: S105
    TOKEN_TOO_LONG = "token_too_long"  # noqa: S105
    NOT_THREE_PARTS = "not_three_parts"
    HEADER_TOO_LONG = "header_too_long"
    BAD_BASE64 = "bad_base64"
    BAD_HEADER = "bad_header"
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    KEY_IN_HEADER = "key_in_header"
    CRITICAL_EXTENSION = "critical_extension"
    KID_MISSING = "kid_missing"
    KID_UNKNOWN = "kid_unknown"
    BAD_SIGNATURE = "bad_signature"
    BAD_PAYLOAD = "bad_payload"
    EXP_MISSING = "exp_missing"
    EXP_NOT_INTEGER = "exp_not_integer"
    EXPIRED = "expired"
    NBF_NOT_INTEGER = "nbf_not_integer"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_TOKEN_USE = "wrong_token_use"  # noqa: S105
    WRONG_CLIENT = "wrong_client"
    SUB_MISSING = "sub_missing"
    USERNAME_MISSING = "username_missing"
    GROUP_MISSING = "group_missing"
    SCOPE_MISSING = "scope_missing"


class TokenRefusedError(Exception):
    """The request has no token that authorizes it; holds the reason, and nothing of the token."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class VerificationKey(Protocol):
    """A public key bound to one algorithm."""

    def verify(self, msg: bytes, sig: bytes) -> bool:
        """Whether `sig` is this key's signature of `msg`."""


class Keys(Protocol):
    """The issuer's public keys."""

    def get(self, kid: str, /) -> VerificationKey | None:
        """Return the key of that id, or None."""


def bearer_token(authorization: str | None) -> str:
    """Return the token of an ``Authorization: Bearer …`` header.

    Raises
    ------
    TokenRefusedError
        If there is no header, another scheme, or anything but one token after one space.
    """
    if not authorization:
        raise TokenRefusedError(Reason.MISSING_TOKEN)
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise TokenRefusedError(Reason.NOT_BEARER)
    if not token:
        raise TokenRefusedError(Reason.MISSING_TOKEN)
    if "," in token or len(token.split()) != 1 or token != token.strip():
        raise TokenRefusedError(Reason.NOT_ONE_TOKEN)
    return token


def verify(token: str, keys: Keys, settings: Settings, now: float) -> dict[str, Any]:
    """Return the claims of an access token that the pool issued to one of our clients.

    Parameters
    ----------
    token
        A JWS in compact form.
    keys
        The pool's keys, each good for RS256 alone.
    now
        Seconds since the epoch.

    Raises
    ------
    TokenRefusedError
        With the first reason found. Nothing of the payload is parsed, or compared, before the
        signature holds.
    """
    payload = _signed_payload(token, keys)
    try:
        claims = parse_object(payload)
    except ValueError:
        raise TokenRefusedError(Reason.BAD_PAYLOAD) from None
    reason = _objection(claims, settings, now)
    if reason:
        raise TokenRefusedError(reason)
    return claims


def _signed_payload(token: str, keys: Keys) -> bytes:
    if len(token) > MAX_TOKEN_LENGTH:
        raise TokenRefusedError(Reason.TOKEN_TOO_LONG)
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenRefusedError(Reason.NOT_THREE_PARTS)
    try:
        payload, signature = decode_base64url(parts[1]), decode_base64url(parts[2])
    except ValueError:
        raise TokenRefusedError(Reason.BAD_BASE64) from None
    key = keys.get(_key_id(parts[0]))
    if key is None:
        raise TokenRefusedError(Reason.KID_UNKNOWN)
    signing_input = token[: token.rindex(".")].encode("ascii")
    if not key.verify(signing_input, signature):
        raise TokenRefusedError(Reason.BAD_SIGNATURE)
    return payload


@functools.lru_cache(maxsize=16)  # all tokens of one key have the same header
def _key_id(encoded_header: str) -> str:
    if len(encoded_header) > MAX_HEADER_LENGTH:
        raise TokenRefusedError(Reason.HEADER_TOO_LONG)
    try:
        header_json = decode_base64url(encoded_header)
    except ValueError:
        raise TokenRefusedError(Reason.BAD_BASE64) from None
    try:
        header = parse_object(header_json)
    except ValueError:
        raise TokenRefusedError(Reason.BAD_HEADER) from None
    if header.get("alg") != "RS256":
        raise TokenRefusedError(Reason.ALGORITHM_NOT_ALLOWED)
    if not _KEYS_IN_HEADER.isdisjoint(header):
        raise TokenRefusedError(Reason.KEY_IN_HEADER)
    if "crit" in header:  # RFC 7515: refuse what isn't understood, and none is
        raise TokenRefusedError(Reason.CRITICAL_EXTENSION)
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise TokenRefusedError(Reason.KID_MISSING)
    return kid


def _objection(claims: dict[str, Any], settings: Settings, now: float) -> Reason | None:
    if "exp" not in claims:
        return Reason.EXP_MISSING
    # Whole numbers only, as Cognito writes them: a float may be infinite, a bool is no time.
    if type(claims["exp"]) is not int:
        return Reason.EXP_NOT_INTEGER
    if now >= claims["exp"] + settings.clock_tolerance:
        return Reason.EXPIRED
    if "nbf" in claims:
        if type(claims["nbf"]) is not int:
            return Reason.NBF_NOT_INTEGER
        if now < claims["nbf"] - settings.clock_tolerance:
            return Reason.NOT_YET_VALID
    if claims.get("iss") not in settings.issuers:
        return Reason.WRONG_ISSUER
    if claims.get("token_use") != "access":
        return Reason.WRONG_TOKEN_USE
    if claims.get("client_id") not in settings.client_ids:
        return Reason.WRONG_CLIENT
    if not _is_text(claims.get("sub")):
        return Reason.SUB_MISSING
    if not _is_text(claims.get("username")):  # a machine's token: nobody's avatar
        return Reason.USERNAME_MISSING
    groups = claims.get("cognito:groups")
    if settings.required_group and not (
        isinstance(groups, list) and settings.required_group in groups
    ):
        return Reason.GROUP_MISSING
    scope = claims.get("scope")
    if settings.required_scope and not (
        isinstance(scope, str) and settings.required_scope in scope.split(" ")
    ):
        return Reason.SCOPE_MISSING
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
