"""The user pool's public keys: fetched, checked, and kept."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from jose import jwk as jose_jwk

import json_log
from authorizer.encoding import decode_base64url, parse_object
from authorizer.tokens import VerificationKey

MAX_AGE = 3600.0
"""Seconds after which a key that the pool has withdrawn is no longer trusted."""

REFETCH_INTERVAL = 10.0
"""Seconds between two refetches, whatever unauthenticated users send as key ids."""

FETCH_TIMEOUT = 2.0
"""Seconds that one try waits for the address to connect, to answer, and to send all of it."""

MAX_DOCUMENT_BYTES = 65_536

LOG = json_log.logger("authorizer")


class JwksError(Exception):
    """A key, or the document of keys, can't be used; the message says why."""


class JwksUnavailableError(Exception):
    """There are no keys to verify with. The caller can do nothing about it."""


class JwksCache:
    """The keys by id, fetched when first needed, when old, and when an unknown id appears.

    Parameters
    ----------
    fetch
        Returns the JWKS document; raises `JwksError`, `OSError` or `HTTPException`.
    clock
        Seconds that only ever grow.
    """

    def __init__(
        self, fetch: Callable[[], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, VerificationKey] | None = None
        self._loaded_at = 0.0
        self._refetched_at = float("-inf")

    def get(self, kid: str, /) -> VerificationKey | None:
        """Return the key of that id, or None if the pool has none.

        Raises
        ------
        JwksUnavailableError
            If the keys can't be fetched and none were fetched before. Once there are keys, a
            fetch that fails leaves them in use.
        """
        now = self._clock()
        if self._keys is None:
            self._keys = self._load()
            self._loaded_at = now
        elif (
            kid not in self._keys or now - self._loaded_at >= MAX_AGE
        ) and now - self._refetched_at >= REFETCH_INTERVAL:
            self._refetched_at = now
            try:
                self._keys = self._load()
                self._loaded_at = now
            except JwksUnavailableError:
                LOG.warning("jwks_stale", extra={"fields": {"age_seconds": now - self._loaded_at}})
        return self._keys.get(kid)

    def _load(self) -> dict[str, VerificationKey]:
        for attempt in (1, 2):
            try:
                return read_jwks(self._fetch())
            except (OSError, HTTPException, JwksError) as error:
                fields = {"attempt": attempt, "cause": f"{type(error).__name__}: {error}"}
                LOG.error("jwks_fetch_failed", extra={"fields": fields})
        raise JwksUnavailableError("the user pool's keys could not be fetched")


def read_jwks(document: bytes) -> dict[str, VerificationKey]:
    """Return the usable keys of a JWKS document by id; the others are logged and left out.

    Raises
    ------
    JwksError
        If the document is no JWKS, or none of its keys can be used.
    """
    try:
        entries = parse_object(document).get("keys")
    except ValueError as error:
        raise JwksError(f"the JWKS can't be read: {error}") from None
    if not isinstance(entries, list):
        raise JwksError("the JWKS has no list of keys")
    usable: list[tuple[str, VerificationKey]] = []
    for index, entry in enumerate(entries):
        try:
            usable.append(read_jwk(entry))
        except JwksError as error:
            fields = {"index": index, "cause": str(error)}
            LOG.warning("jwk_refused", extra={"fields": fields})
    times = Counter(kid for kid, _key in usable)
    # Two keys of one id leave it open which is meant, so neither is.
    keys = {kid: key for kid, key in usable if times[kid] == 1}
    if len(keys) != len(usable):
        LOG.warning("jwk_refused", extra={"fields": {"cause": "several keys share one kid"}})
    if not keys:
        raise JwksError("the JWKS has no usable key")
    return keys


def read_jwk(entry: Any) -> tuple[str, VerificationKey]:
    """Return the id and the key object of an RSA public key for RS256 signatures.

    Raises
    ------
    JwksError
        If it is anything else.
    """
    if not isinstance(entry, dict):
        raise JwksError("not an object")
    for member, value in (("kty", "RSA"), ("use", "sig"), ("alg", "RS256"), ("e", "AQAB")):
        if entry.get(member) != value:
            raise JwksError(f"{member} is not {value}")
    if not isinstance(entry.get("kid"), str) or not entry["kid"]:
        raise JwksError("kid is missing")
    try:
        bits = int.from_bytes(decode_base64url(entry["n"]), "big").bit_length()
    except (KeyError, AttributeError, ValueError):
        raise JwksError("n is not base64url") from None
    if not 2048 <= bits <= 4096:
        raise JwksError(f"n has {bits} bits; 2048 to 4096 are allowed")
    public = {member: entry[member] for member in ("kty", "n", "e")}
    key: VerificationKey = jose_jwk.construct(public, "RS256")
    return entry["kid"], key


def fetch_document(url: str, timeout: float = FETCH_TIMEOUT) -> bytes:
    """GET the document, following no redirect.

    Parameters
    ----------
    timeout
        Seconds for each wait, and until the whole document must have arrived.

    Raises
    ------
    JwksError
        If the answer is not a 200, too large, or still arriving after `timeout`.
    OSError, HTTPException
        If the exchange fails.
    """
    deadline = time.monotonic() + timeout
    address = urlsplit(url)
    connect = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = connect(address.netloc, timeout=timeout)
    try:
        connection.request("GET", address.path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise JwksError(f"the JWKS address answered {response.status}")
        document = b""
        while chunk := response.read1(MAX_DOCUMENT_BYTES):
            document += chunk
            if len(document) > MAX_DOCUMENT_BYTES:
                raise JwksError(f"the JWKS is larger than {MAX_DOCUMENT_BYTES} bytes")
            if time.monotonic() > deadline:
                raise JwksError(f"the JWKS took longer than {timeout} s")
        return document
    finally:
        connection.close()
