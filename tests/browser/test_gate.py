"""Who is let in, in a browser: no page can be reached past the gate."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from console import serve
from console.operations.deployment import ROOT
from tests.browser.oidc import CLIENT, Provider
from tests.integration.system import System
from tests.postgres_fixture import free_port


@pytest.fixture
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.close()


@pytest.fixture
def guarded(tmp_path: Path, provider: Provider, system: System) -> Iterator[str]:
    """A console started by Streamlit itself, with OIDC and no page opened yet; its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit/secrets.toml").write_text(
        f'[auth]\nredirect_uri = "{address}/oauth2callback"\ncookie_secret = "secret"\n'
        f'client_id = "{CLIENT}"\nclient_secret = "secret"\n'
        f'server_metadata_url = "{provider.url}/.well-known/openid-configuration"\n'
    )
    with subprocess.Popen(
        [
            sys.executable, "-m", "streamlit", "run", str(ROOT / "console/app.py"),
            "--server.address=127.0.0.1", f"--server.port={port}", "--server.headless=true",
            "--browser.gatherUsageStats=false",
        ],
        cwd=tmp_path,
        env={**os.environ, **system.environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while not serve.is_ready(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()


def signed_in(browser: Browser, address: str) -> Page:
    page = browser.new_context().new_page()
    page.set_default_timeout(30_000)
    page.goto(address)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=30_000)
    return page


def test_a_strangers_first_visit_to_a_page_shows_the_sign_in_alone(
    guarded: str, browser: Browser
) -> None:
    page = browser.new_context().new_page()
    page.goto(f"{guarded}/failures")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("Dead letters")).to_have_count(0)


def test_somebody_in_no_group_is_refused(
    guarded: str, provider: Provider, browser: Browser
) -> None:
    provider.groups = ["test-users"]
    page = signed_in(browser, guarded)
    expect(page.get_by_text("is in none of the groups")).to_be_visible()
    expect(page.get_by_role("heading", name="Overview")).to_have_count(0)


def test_a_viewer_sees_a_page_and_can_change_nothing(
    guarded: str, provider: Provider, browser: Browser
) -> None:
    provider.groups = ["viewers"]
    page = signed_in(browser, guarded)
    page.get_by_role("link", name="CDN").first.click()
    name = page.get_by_role("textbox", name="Avatar's name")
    name.fill("ada")
    name.press("Enter")
    expect(page.get_by_role("button", name="Invalidate 3 paths")).to_be_disabled(timeout=30_000)
    expect(page.get_by_text("vera@example.com · may look, change nothing")).to_be_visible()
