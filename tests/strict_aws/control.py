"""What tests ask of the stricter AWS while it runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from console.operations import web
from console.operations.environments.deployment import Deployment
from tests.strict_aws.fault import Fault

Choose = Callable[[str, str], Fault]
"""Say what happens to a request, from its method and its path with the query."""


@contextmanager
def resize_meets(here: Deployment, choose: Choose) -> Iterator[None]:
    """Let `choose` decide what becomes of each request of the resize function to S3."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            method, path = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = choose(method, path).name.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        _tell(here, "PUT", "faults", role=here.function_names["resize"], address=address)
        yield
    finally:
        _tell(here, "DELETE", "faults")
        server.shutdown()
        server.server_close()


@contextmanager
def versioning_just_enabled(here: Deployment, bucket: str) -> Iterator[None]:
    """Let S3 not find each new version of the bucket when it is first read."""
    _tell(here, "PUT", "young", bucket=bucket)
    try:
        yield
    finally:
        _tell(here, "DELETE", "young")


def _tell(here: Deployment, method: str, subject: str, **values: str) -> None:
    address = f"{here.access['AWS_ENDPOINT_URL']}/_strict/{subject}"
    answer = web.request(method, address, body=json.dumps(values).encode())
    assert answer.status == 200, answer.body
