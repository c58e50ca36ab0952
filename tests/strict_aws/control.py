"""What tests ask of the stricter AWS while it runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from console.operations import web
from console.operations.environments.deployment import Deployment
from tests.strict_aws.fault import Fault

Choose = Callable[[str, str], Fault]
"""Say what happens to a request, from its method and its path with the query."""


@contextmanager
def requests_meet(endpoint: str, caller: str, choose: Choose) -> Iterator[None]:
    """Let `choose` decide what becomes of each request to S3 of callers with that in their ARN."""

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
        _tell(endpoint, "PUT", "faults", caller=caller, address=address)
        yield
    finally:
        _tell(endpoint, "DELETE", "faults")
        server.shutdown()
        server.server_close()


def resize_meets(here: Deployment, choose: Choose) -> AbstractContextManager[None]:
    """Let `choose` decide what becomes of each request of the resize function to S3."""
    role = f"/{here.function_names['resize']}"
    return requests_meet(here.access["AWS_ENDPOINT_URL"], role, choose)


@contextmanager
def versioning_just_enabled(here: Deployment, bucket: str) -> Iterator[None]:
    """Let S3 not find each new version of the bucket when it is first read."""
    _tell(here.access["AWS_ENDPOINT_URL"], "PUT", "young", bucket=bucket)
    try:
        yield
    finally:
        _tell(here.access["AWS_ENDPOINT_URL"], "DELETE", "young")


def _tell(endpoint: str, method: str, subject: str, **values: str) -> None:
    answer = web.request(method, f"{endpoint}/_strict/{subject}", body=json.dumps(values).encode())
    assert answer.status == 200, answer.body
