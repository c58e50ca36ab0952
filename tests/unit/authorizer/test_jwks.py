"""The pool's keys: which are used, when they are fetched, and what happens when they can't be."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from authorizer.jwks import (
    MAX_AGE,
    MAX_DOCUMENT_BYTES,
    REFETCH_INTERVAL,
    JwksCache,
    JwksError,
    JwksUnavailableError,
    fetch_document,
    read_jwk,
    read_jwks,
)
from tests.unit.authorizer.pool import Pool, b64, jwk

Logged = Callable[[], list[dict[str, Any]]]


class Source:
    """A JWKS address that a test rotates and breaks, with a clock it moves."""

    def __init__(self, *pools: Pool) -> None:
        self.fetches = 0
        self.failures = 0
        self.time = 1000.0
        self.publish(*pools)

    def publish(self, *pools: Pool) -> None:
        self.document = json.dumps({"keys": [jwk(pool.key, pool.kid) for pool in pools]}).encode()

    def fetch(self) -> bytes:
        self.fetches += 1
        if self.failures:
            self.failures -= 1
            raise TimeoutError("timed out")
        return self.document

    def cache(self) -> JwksCache:
        return JwksCache(self.fetch, lambda: self.time)


@pytest.fixture(scope="module")
def old() -> Pool:
    return Pool(kid="old")


@pytest.fixture(scope="module")
def new() -> Pool:
    return Pool(kid="new")


def test_fetches_once_for_many_requests(old: Pool) -> None:
    source = Source(old)
    cache = source.cache()
    assert all(cache.get("old") for _ in range(50))
    assert source.fetches == 1


def test_a_rotation_drops_no_request_even_right_after_the_first_fetch(old: Pool, new: Pool) -> None:
    source = Source(old)
    cache = source.cache()
    assert cache.get("old")
    source.publish(old, new)
    source.time += 0.5
    for kid in ("old", "new", "old", "new"):
        assert cache.get(kid), kid
    assert source.fetches == 2


def test_no_request_is_dropped_over_a_rotation_while_others_guess_ids(
    old: Pool, new: Pool, function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(old)
    monkeypatch.setattr(function, "KEYS", source.cache())

    def lets_in(token: str) -> bool:
        event = {"headers": {"authorization": f"Bearer {token}"}}
        return bool(function.handler(event, SimpleNamespace(aws_request_id="r"))["isAuthorized"])

    of_old, of_new, guess = old.token(), new.token(), Pool(kid="guess", key=old.key).token()
    published, signs = 1600, 1600 + REFETCH_INTERVAL
    withdrawn = signs + 3600  # an hour, and the last token of the old key has expired
    served = 0
    for source.time in range(1000, 7000, 5):
        if source.time == published:
            source.publish(old, new)
        if source.time == withdrawn:
            source.publish(new)
        assert not lets_in(guess)
        if source.time < withdrawn:
            assert lets_in(of_old), source.time
            served += 1
        if source.time >= signs:
            assert lets_in(of_new), source.time
            served += 1
    assert served > 1500
    assert source.fetches <= 1 + 6000 / REFETCH_INTERVAL


def test_unknown_ids_cause_one_refetch_in_ten_seconds(old: Pool, new: Pool) -> None:
    source = Source(old)
    cache = source.cache()
    assert cache.get("old")
    for second in range(10):
        source.time = 1000.0 + second
        assert [cache.get(f"guess-{second}-{i}") for i in range(20)] == [None] * 20
    assert source.fetches == 2
    source.publish(old, new)
    source.time = 1010.0
    assert cache.get("new")
    assert source.fetches == 3


def test_one_failed_try_is_made_good_by_the_retry(old: Pool, logged: Logged) -> None:
    source = Source(old)
    source.failures = 1
    assert source.cache().get("old")
    assert [line["message"] for line in logged()] == ["jwks_fetch_failed"]


def test_keys_at_hand_are_used_while_the_address_is_down(old: Pool, logged: Logged) -> None:
    source = Source(old)
    cache = source.cache()
    assert cache.get("old")
    source.failures = 1000
    source.time += MAX_AGE
    for _second in range(10):
        assert cache.get("old")
        assert cache.get("new") is None
        source.time += 1
    assert source.fetches == 1 + 2, "one refetch with its retry in ten seconds"
    assert logged()[-1]["message"] == "jwks_stale"


def test_a_withdrawn_key_is_dropped_when_the_keys_are_old(old: Pool, new: Pool) -> None:
    source = Source(old)
    cache = source.cache()
    assert cache.get("old")
    source.publish(new)
    source.time += MAX_AGE - 1
    assert cache.get("old")
    source.time += 1
    assert cache.get("old") is None


def test_a_document_without_a_usable_key_does_not_replace_good_keys(old: Pool) -> None:
    source = Source(old)
    cache = source.cache()
    assert cache.get("old")
    source.document = b'{"keys": []}'
    source.time += MAX_AGE
    assert cache.get("old")


def test_without_any_keys_the_request_fails_as_ours_and_the_next_one_tries_again(
    old: Pool, function: Any, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(old)
    source.failures = 2
    monkeypatch.setattr(function, "KEYS", source.cache())
    token = old.token()
    event = {"headers": {"authorization": f"Bearer {token}"}}
    context = SimpleNamespace(aws_request_id="r-1")
    with pytest.raises(JwksUnavailableError) as caught:
        function.handler(event, context)
    assert not any(part in f"{caught.value}{log.getvalue()}" for part in token.split("."))
    assert function.handler(event, context)["isAuthorized"] is True


def test_tokens_that_need_no_key_to_be_refused_cause_no_fetch(
    old: Pool, function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(old)
    monkeypatch.setattr(function, "KEYS", source.cache())
    for token in ("a.b.c", old.token(old.header(alg="none")), old.token(old.header(jku="x"))):
        event = {"headers": {"authorization": f"Bearer {token}"}}
        answer = function.handler(event, SimpleNamespace(aws_request_id="r-1"))
        assert answer["isAuthorized"] is False
    assert source.fetches == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kty": "EC"}, "kty is not RSA"),
        ({"kty": "oct"}, "kty is not RSA"),
        ({"kty": None}, "kty is not RSA"),
        ({"use": "enc"}, "use is not sig"),
        ({"use": None}, "use is not sig"),
        ({"alg": "RS512"}, "alg is not RS256"),
        ({"alg": "none"}, "alg is not RS256"),
        ({"alg": None}, "alg is not RS256"),
        ({"kid": None}, "kid is missing"),
        ({"kid": ""}, "kid is missing"),
        ({"kid": 5}, "kid is missing"),
        ({"e": None}, "e is not AQAB"),
        ({"e": "AQ"}, "e is not AQAB"),
        ({"n": None}, "n is not base64url"),
        ({"n": 5}, "n is not base64url"),
        ({"n": "+/+/"}, "n is not base64url"),
        ({"n": ""}, "n has 0 bits; 2048 to 4096 are allowed"),
        ({"n": b64(b"\xff" * 128)}, "n has 1024 bits; 2048 to 4096 are allowed"),
        ({"n": b64(b"\xff" * 1024)}, "n has 8192 bits; 2048 to 4096 are allowed"),
    ],
)
def test_a_key_of_another_kind_is_not_used(
    changes: dict[str, Any], message: str, old: Pool
) -> None:
    with pytest.raises(JwksError) as caught:
        read_jwk(jwk(old.key, old.kid) | changes)
    assert str(caught.value) == message


def test_one_bad_key_does_not_spoil_the_others(old: Pool, new: Pool, logged: Logged) -> None:
    keys = [jwk(old.key, "old") | {"use": "enc"}, "text", jwk(new.key, "new")]
    assert set(read_jwks(json.dumps({"keys": keys}).encode())) == {"new"}
    assert [line["cause"] for line in logged()] == ["use is not sig", "not an object"]


def test_two_keys_of_one_id_are_both_left_out(old: Pool, new: Pool, logged: Logged) -> None:
    keys = [jwk(old.key, "same"), jwk(new.key, "same"), jwk(new.key, "new")]
    assert set(read_jwks(json.dumps({"keys": keys}).encode())) == {"new"}
    assert logged()[0]["cause"] == "several keys share one kid"


@pytest.mark.parametrize(
    "document",
    [b"", b"<html>", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [], "keys": []}', b"\xff"],
)
def test_a_document_that_is_no_jwks_is_refused(document: bytes) -> None:
    with pytest.raises(JwksError, match="JWKS"):
        read_jwks(document)


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """An HTTP server that answers each GET so; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/pool/.well-known/jwks.json"
        finally:
            server.shutdown()
            thread.join()


def send(request: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def test_fetches_over_http(old: Pool) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        found = request.path == "/pool/.well-known/jwks.json"
        send(request, 200 if found else 404, old.jwks())

    with serving(answer) as url:
        assert set(read_jwks(fetch_document(url))) == {"old"}


@pytest.mark.parametrize("status", [301, 302, 403, 404, 500, 503])
def test_any_answer_but_200_is_a_failure_and_redirects_are_not_followed(status: int) -> None:
    with (
        serving(lambda request: send(request, status, b"", location="/other")) as url,
        pytest.raises(JwksError, match=f"answered {status}"),
    ):
        fetch_document(url)


def test_a_huge_document_is_not_read_to_its_end() -> None:
    with (
        serving(lambda request: send(request, 200, b" " * (MAX_DOCUMENT_BYTES + 1))) as url,
        pytest.raises(JwksError, match="larger than"),
    ):
        fetch_document(url)


def test_a_silent_address_times_out() -> None:
    done = threading.Event()

    def wait(_request: BaseHTTPRequestHandler) -> None:
        done.wait(10)

    with serving(wait) as url:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            fetch_document(url, timeout=0.1)
        assert time.monotonic() - started < 2
        done.set()


def test_an_address_that_drips_times_out() -> None:
    done = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        send(request, 200, b"")
        for _byte in range(100):
            if not done.wait(0.02):
                request.wfile.write(b" ")

    with serving(drip) as url:
        with pytest.raises(JwksError, match="took longer than"):
            fetch_document(url, timeout=0.2)
        done.set()


def test_a_closed_port_is_a_failure() -> None:
    with serving(lambda _request: None) as url:
        pass
    with pytest.raises(OSError, match="refused"):
        fetch_document(url)
