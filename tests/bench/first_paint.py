"""The console's first paint beside that of an empty Streamlit app (`make up` first).

Both are served by the same Streamlit in the same run, and are opened in turns: by a browser that
has nothing in its cache, then by a reload. Painted means that the page's title is seen. The
console has been open once before, as it is for every operator but the first.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, sync_playwright

from console import serve
from console.operations.environments.deployment import ROOT
from tests.browser import chromium
from tests.integration.system import free_port, wait_until

ROUNDS = 7
EMPTY = 'import streamlit as st\n\nst.set_page_config(layout="wide")\nst.title("Empty")\n'


@contextmanager
def serving(command: list[str], port: int) -> Iterator[str]:
    """Run a server; yield its address."""
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: serve.is_ready(port), "its start")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(20)


def painted(browser: Browser, url: str, sent: dict[str, int]) -> tuple[float, float]:
    """Open an address with an empty cache, then reload; return both in milliseconds.

    Parameters
    ----------
    sent
        Gets the bytes of each file that came over the wire the first time.
    """
    context = browser.new_context()
    page = context.new_page()
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    names: dict[str, str] = {}
    wire.on(
        "Network.responseReceived",
        lambda said: names.update({said["requestId"]: urlsplit(said["response"]["url"]).path}),
    )
    wire.on(
        "Network.loadingFinished",
        lambda said: sent.setdefault(
            names.get(said["requestId"], ""), round(said["encodedDataLength"])
        ),
    )
    took = []
    for go in (lambda: page.goto(url), page.reload):
        started = time.perf_counter()
        go()
        page.locator("h1").first.wait_for()
        took.append((time.perf_counter() - started) * 1000)
        page.wait_for_load_state("networkidle")
    context.close()
    return took[0], took[1]


def main() -> None:
    """Measure, and print medians, ratios and what is sent."""
    ports = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY)
        flags = ["--server.headless=true", "--browser.gatherUsageStats=false"]
        of_empty = [sys.executable, "-m", "streamlit", "run", str(empty), *flags]
        of_console = [sys.executable, "-m", "console.serve"]
        with (
            serving(["env", f"CONSOLE_PORT={ports[0]}", *of_console], ports[0]) as console,
            serving([*of_empty, f"--server.port={ports[1]}"], ports[1]) as beside,
        ):
            browser = playwright.chromium.launch(
                executable_path=chromium.executable(), args=list(chromium.FLAGS)
            )
            sent: dict[str, dict[str, int]] = {console: {}, beside: {}}
            took: dict[str, list[tuple[float, float]]] = {console: [], beside: []}
            painted(browser, console, {})
            for _ in range(ROUNDS):
                for url in (console, beside):
                    took[url].append(painted(browser, url, sent[url]))
            browser.close()
    for number, what in enumerate(("empty cache", "reload")):
        ours, theirs = (statistics.median(pair[number] for pair in took[u]) for u in took)
        print(
            f"{what:>12}: {ours:5.0f} ms, an empty app {theirs:5.0f} ms, ratio {ours / theirs:.2f}"
        )
    total = {url: sum(files.values()) for url, files in sent.items()}
    print(f"sent: {total[console]:,} bytes, an empty app {total[beside]:,}")
    more = {path: size for path, size in sent[console].items() if path not in sent[beside]}
    for path, size in sorted(more.items(), key=lambda item: -item[1])[:12]:
        print(f"{size:>10,}  {path}")


if __name__ == "__main__":
    main()
