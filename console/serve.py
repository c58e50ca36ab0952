"""Run the console (`make console`): here only, or elsewhere behind a sign-in."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import sys
import threading
import time
from urllib.parse import urlsplit

from console import terminal
from console.operations import web
from console.operations.audit import access
from console.operations.audit.access import Actor
from console.operations.audit.audit import Audit
from console.operations.environments import deployment, target
from console.operations.environments.deployment import ROOT
from console.operations.errors import OperationError

READY_SECONDS = 60
_PORTS = {"http": 80, "https": 443}
_FLAGS = (
    "--server.headless=true",
    "--server.fileWatcherType=none",
    "--browser.gatherUsageStats=false",
)


def where() -> tuple[str, int]:
    """Return the address and port to listen on (``CONSOLE_ADDRESS``, ``CONSOLE_PORT``).

    Raises
    ------
    OperationError
        If the port is not one or taken, others could reach the console without a sign-in, or
        the file that would say so can't be read.
    """
    from console import session  # loads Streamlit

    address = os.environ.get("CONSOLE_ADDRESS") or "127.0.0.1"
    port = os.environ.get("CONSOLE_PORT") or "8501"
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise OperationError(
            f"CONSOLE_PORT is {port!r}, which is not a valid port.",
            "Set CONSOLE_PORT to a number from 1 to 65535.",
        )
    if not session.sign_in_is_configured() and not access.is_loopback(address):
        raise OperationError(
            f"CONSOLE_ADDRESS is {address}: others could reach the console without signing in.",
            "Set up OIDC in .streamlit/secrets.toml (docs/console.md), or don't set it.",
        )
    _check_free(address, int(port))
    return address, int(port)


def public_address() -> tuple[list[str], str]:
    """Return Streamlit's flags for ``CONSOLE_URL``, and the path that stands before all others.

    Streamlit refuses the WebSocket of a page whose address it doesn't know.

    Raises
    ------
    OperationError
        If it is not a valid address.
    """
    url = os.environ.get("CONSOLE_URL", "").strip()
    if not url:
        return [], ""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        parts, port = urlsplit(""), 0
    if not parts.hostname or parts.query or parts.fragment or parts.username:
        raise OperationError(
            f"CONSOLE_URL is {url!r}, which is not the address of a page.",
            "Set it to what the browser shows: CONSOLE_URL=https://ops.example.com/console",
        )
    path = parts.path.strip("/")
    flags = [f"--browser.serverAddress={parts.hostname}", f"--browser.serverPort={port}"]
    return [*flags, f"--server.baseUrlPath={path}"], f"/{path}" if path else ""


def is_ready(port: int, address: str = "127.0.0.1") -> bool:
    """Say whether a console answers there."""
    _, path = public_address()
    try:
        answer = web.request("GET", f"http://{_reachable(address)}:{port}{path}/_stcore/health")
    except OperationError:
        return False
    return answer.status == 200


def main() -> None:
    """Check the place, then run the console until it is stopped."""
    os.chdir(ROOT)  # Streamlit looks for .streamlit/ here
    address, port = where()
    flags, _ = public_address()
    env = target.chosen_env()
    deployment.check_name(env)
    threading.Thread(target=_announce, args=(env, address, port), daemon=True).start()
    # Pages that import these in several threads at once could find one half-made
    import altair  # noqa: F401
    import numpy  # noqa: F401
    import pandas  # noqa: F401
    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.web import cli

    threading.Thread(target=_prepare, args=(env,), daemon=True).start()
    # Else Streamlit takes console/pages/ for its older kind of pages until the first visit
    PagesManager.uses_pages_directory = False
    place = [f"--server.address={address}", f"--server.port={port}"]
    sys.argv = ["streamlit", "run", str(ROOT / "console/app.py"), *place, *flags, *_FLAGS]
    cli.main()


def _prepare(env: str) -> None:
    """Make what pages need, and close what a console before this one was killed at."""
    with contextlib.suppress(OperationError):  # the pages say what is missing
        deployment.make_clients(deployment.load(env))
        on = target.resolve(env)
        who = Actor(f"{access.os_user()}, starting the console", may_operate=True)
        Audit(env, on.database_url, on.state / "audit").deliver(who)
    # Streamlit collects garbage after each run of a page or fragment, holding up all others: what
    # the process has loaded until now is none
    gc.freeze()


def _announce(env: str, address: str, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not is_ready(port, address):
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)
    here = os.environ.get("CONSOLE_URL", "").strip() or f"http://{_reachable(address)}:{port}"
    terminal.out.print(f"The console of [bold]{env}[/] is at [bold]{here}[/]     Stop: Ctrl-C")


def _reachable(address: str) -> str:
    if address in {"0.0.0.0", "::"}:  # noqa: S104  # nosec B104 - not listened on
        return "127.0.0.1"
    return f"[{address}]" if ":" in address else address


def _check_free(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise OperationError(
                f"The console can't listen on {address}:{port}: {error.strerror}.",
                "Stop what listens there (`make down` stops the local console), or choose another "
                "port: CONSOLE_PORT=8502.",
            ) from error


if __name__ == "__main__":
    with terminal.exit_on_error():
        main()
