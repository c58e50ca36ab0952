"""Who is let in, in a browser: no page can be reached past the gate."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from console import serve
from console.operations.deployment import ROOT
from tests.postgres_fixture import free_port


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """A console started by Streamlit itself, with OIDC and no page opened yet; its address."""
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit/secrets.toml").write_text(
        '[auth]\nredirect_uri = "http://127.0.0.1/oauth2callback"\ncookie_secret = "secret"\n'
        'client_id = "id"\nclient_secret = "secret"\nserver_metadata_url = "http://127.0.0.1:9/"\n'
    )
    port = free_port()
    with subprocess.Popen(
        [
            sys.executable, "-m", "streamlit", "run", str(ROOT / "console/app.py"),
            f"--server.port={port}", "--server.headless=true", "--browser.gatherUsageStats=false",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "AVATAR_OPS_ENV_DIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while not serve.is_ready(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_a_strangers_first_visit_to_a_page_shows_the_sign_in_alone(
    guarded: str, browser: Browser
) -> None:
    page = browser.new_context().new_page()
    page.goto(f"{guarded}/failures")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("Dead letters")).to_have_count(0)
