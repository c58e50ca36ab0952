"""A proxy before the emulator's S3 that answers with errors, slowly, or not at all."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from console.operations.environments.deployment import Deployment
from tests.integration.system import wait_until

SLOW_SECONDS = 1
_ERROR = "<Error><Code>{}</Code><Message>injected</Message></Error>"


class Fault(Enum):
    """What happens to a request."""

    NONE = "passed on"
    INTERNAL_ERROR = "500 InternalError"
    SLOW_DOWN = "503 SlowDown"
    SLOW = "answered late"
    CUT = "cut off before S3 had it"
    ANSWER_LOST = "done, and its answer lost"
    HALF = "cut off in the middle of the answer"


Choose = Callable[[str, str], Fault]
"""Say what happens to a request, from its method and path."""


@contextmanager
def resize_through(here: Deployment, choose: Choose) -> Iterator[None]:
    """Lead all that the resize function says to S3 through a proxy, and put it back afterwards."""
    target = here.access["AWS_ENDPOINT_URL"].removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = choose(self.command, self.path)
            if fault is Fault.SLOW:
                time.sleep(SLOW_SECONDS)
            if fault is Fault.CUT:
                return self._cut()
            if fault in {Fault.INTERNAL_ERROR, Fault.SLOW_DOWN}:
                status, code = fault.value.split()
                return self._answer(int(status), [], _ERROR.format(code).encode())
            upstream = http.client.HTTPConnection(target, timeout=60)
            # the signature covers the name that the function called: it stays
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"expect", "connection"}:
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            if fault is Fault.ANSWER_LOST:
                return self._cut()
            if fault is Fault.HALF:
                self._answer(answer.status, answer.getheaders(), content, len(content) // 2)
                return self._cut()
            return self._answer(answer.status, answer.getheaders(), content)

        def _answer(
            self, status: int, headers: list[tuple[str, str]], body: bytes, sent: int | None = None
        ) -> None:
            self.send_response_only(status)
            length = str(len(body))
            for name, value in headers:
                if name.lower() == "content-length" and self.command == "HEAD":
                    length = value
                elif name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[:sent])

        def _cut(self) -> None:
            self.wfile.flush()
            self.close_connection = True

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Say nothing: a function that is killed leaves its connections."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    name = here.function_names["resize"]
    before = here.functions.get_function_configuration(FunctionName=name)["Environment"]
    address = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_address[1]}"}
    try:
        _set_variables(here, name, before["Variables"] | address)
        yield
    finally:
        _set_variables(here, name, before["Variables"])
        server.shutdown()
        server.server_close()


def _set_variables(here: Deployment, name: str, variables: dict[str, str]) -> None:
    here.functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": variables}
    )
    wait_until(
        lambda: (
            here.functions.get_function_configuration(FunctionName=name)["LastUpdateStatus"]
            == "Successful"
        ),
        "the function's update",
    )
