"""Serve the front end's demo beside the running local system (`make demo`)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from console import terminal
from console.operations.environments import deployment, target
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import refusals, test_users
from local.settings import ROOT, LocalSettings, is_listening
from local.stack import DEMO_USERS

BUILT = ROOT / "front-end/demo/dist"
_MOST_BYTES = 1000


class DemoServer(ThreadingHTTPServer):
    """Serves the built page, what it must know, and a sign-in as a test user.

    It answers under its own name only, and signs in for its own pages only: no other page of the
    browser gets a token, whatever name it gives this address.
    """

    daemon_threads = True

    def __init__(self, here: Deployment, port: int, folder: Path = BUILT) -> None:
        self.here = here
        super().__init__(("127.0.0.1", port), partial(_Handler, directory=str(folder)))
        self.hosts = {f"{name}:{self.server_port}" for name in ("localhost", "127.0.0.1")}


class _Handler(SimpleHTTPRequestHandler):
    server: DemoServer

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        if self.path == "/settings.json":
            here = self.server.here
            self._answer(
                200,
                {
                    "api_url": here.api_url,
                    "assets_url": here.assets_url,
                    "users": list(DEMO_USERS),
                },
            )
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        if self._is_ours():
            super().do_HEAD()

    def do_POST(self) -> None:
        if not self._is_ours():
            return
        origin = urlsplit(self.headers.get("Origin", ""))
        if self.path != "/sign-in" or origin.netloc not in self.server.hosts:
            self._answer(403, {"error": "Only the demo's own page may sign in."})
            return
        length = self.headers.get("Content-Length", "")
        body = self.rfile.read(min(int(length), _MOST_BYTES)) if length.isdecimal() else b""
        try:
            user = json.loads(body)["user"]
        except (ValueError, KeyError, TypeError):
            user = None
        if user not in DEMO_USERS:
            self._answer(400, {"error": f"Choose one of {', '.join(DEMO_USERS)}."})
            return
        try:
            token = test_users.sign_in(self.server.here, user).token
        except OperationError as error:
            self._answer(503, {"error": f"{error.message} {error.remedy}"})
        else:
            self._answer(200, {"token": token})

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", _policy(self.server.here))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass

    def _is_ours(self) -> bool:
        if self.headers.get("Host") in self.server.hosts:
            return True
        self._answer(403, {"error": "This address is not the demo's."})
        return False

    def _answer(self, status: int, body: Mapping[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _policy(here: Deployment) -> str:
    """Return what the page may load: as strict as an application's may be with these packages."""
    api, assets, uploads = (
        f"{place.scheme}://{place.netloc}"
        for place in map(urlsplit, (here.api_url, here.assets_url, refusals.bucket_address(here)))
    )
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",  # the HEIC decoder is WebAssembly
            "worker-src blob:",
            "style-src 'self'",
            f"img-src 'self' blob: data: {assets}",
            f"connect-src 'self' {api} {assets} {uploads}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def main() -> None:
    """Serve until Ctrl-C."""
    if target.chosen_env() != "local":
        raise OperationError("`make demo` is for the local system.", "Leave ENV out.")
    port = LocalSettings.from_environment().demo_port
    here = deployment.load("local")
    if not (BUILT / "index.html").exists():
        raise OperationError(f"{BUILT} is empty: the demo isn't built.", "Run `make demo`.")
    origin = f"http://localhost:{port}"
    if not refusals.is_admitted(refusals.ask_address(here), "ask", origin):
        raise OperationError(
            f"The local system does not admit pages from {origin}.",
            f"Run `make up DEMO_PORT={port}`, then `make demo DEMO_PORT={port}`.",
        )
    if is_listening(port):
        raise OperationError(
            f"Port {port} is taken by another program.",
            "Stop it, or choose another: `make up demo DEMO_PORT=3001`.",
        )
    with DemoServer(here, port) as server:
        terminal.out.print(f"[bold]{origin}[/]   Stop: Ctrl-C")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.exit(0)


if __name__ == "__main__":
    with terminal.exit_on_error():
        main()
