"""The probe fails where the CDN doesn't serve what must be there, and says what."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType, SimpleNamespace

import pytest

from env_settings import SettingsError
from json_log import JsonFormatter

CONTEXT = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 10_000)
DEFAULT = b"the default avatar"
SERVED = {
    "/avatars/_default.jpg": (200, DEFAULT),
    "/banners/_probe.txt": (200, b"banners/ is served.\n"),
    "/variants/_probe.txt": (200, b"variants/ is served.\n"),
}


class Cdn:
    """A distribution, under the label that the emulator gives one."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.answers = dict(SERVED)
        self.hosts: set[str | None] = set()
        self.url = f"http://d1.cloudfront.localhost:{server.server_address[1]}"


@pytest.fixture
def cdn() -> Iterator[Cdn]:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cdn.hosts.add(self.headers["Host"])
            status, body = cdn.answers[self.path]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        cdn = Cdn(server)
        Thread(target=server.serve_forever, daemon=True).start()
        yield cdn
        server.shutdown()


@pytest.fixture
def probe(cdn: Cdn, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("ASSETS_URL", cdn.url)
    monkeypatch.setenv("PROBED_KEYS", ",".join(key.removeprefix("/") for key in SERVED))
    return importlib.reload(importlib.import_module("probe.handler"))


def test_what_is_served_is_logged(cdn: Cdn, probe: ModuleType) -> None:
    logged = io.StringIO()
    for handler in probe.LOG.handlers:
        if isinstance(handler.formatter, JsonFormatter):
            handler.setStream(logged)
    probe.handler({}, CONTEXT)
    line = json.loads(logged.getvalue())
    assert (line["objects"], line["not_served"]) == (3, {})
    assert cdn.hosts == {cdn.url.removeprefix("http://")}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, DEFAULT), "variants/_probe.txt: status 404"),
        ((403, b"AccessDenied"), "variants/_probe.txt: status 403"),
        ((503, b""), "variants/_probe.txt: status 503"),
        ((301, b""), "variants/_probe.txt: status 301"),
        ((200, DEFAULT), "variants/_probe.txt: another picture in its place"),
    ],
)
def test_what_is_not_served_as_itself_is_an_error(
    cdn: Cdn, probe: ModuleType, answer: tuple[int, bytes], said: str
) -> None:
    cdn.answers["/variants/_probe.txt"] = answer
    with pytest.raises(probe.NotServedError) as error:
        probe.handler({}, CONTEXT)
    assert str(error.value) == said


def test_each_object_is_asked_for_whatever_became_of_the_others(
    cdn: Cdn, probe: ModuleType
) -> None:
    cdn.answers |= dict.fromkeys(SERVED, (404, DEFAULT))
    with pytest.raises(probe.NotServedError) as error:
        probe.handler({}, CONTEXT)
    assert str(error.value).count("status 404") == 3


def test_a_cdn_that_does_not_answer_is_an_error(
    probe: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSETS_URL", "http://127.0.0.1:1")
    closed = importlib.reload(probe)
    with pytest.raises(closed.NotServedError, match="ConnectionRefusedError"):
        closed.handler({}, CONTEXT)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ASSETS_URL", "assets.example.com"), ("ASSETS_URL", ""), ("PROBED_KEYS", "")],
)
def test_a_wrong_setting_stops_the_start_and_is_named(
    probe: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        importlib.reload(probe)
