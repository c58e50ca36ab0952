"""Two consoles behind nginx, under a path, as docs/console-nginx.conf has it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from console.operations import web
from console.operations.environments.deployment import ROOT, Deployment
from console.operations.pipeline import reconcile
from tests import debian
from tests.integration.system import System, picture, wait_until
from tests.postgres_fixture import free_port

NGINX = debian.executable("nginx")
CONFIGURATION = ROOT / "docs/console-nginx.conf"
HOST = "ops.localhost"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx"),
]


@pytest.fixture(scope="module")
def replicas(system: System) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Two consoles and nginx in front of them: its address, and the consoles."""
    ports, front = [free_port(), free_port()], free_port()
    address = f"http://{HOST}:{front}/console"
    consoles = [
        subprocess.Popen(
            [sys.executable, "-m", "console.serve"],
            cwd=ROOT,
            env=system.environment | {"CONSOLE_PORT": str(port), "CONSOLE_URL": address},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for port in ports
    ]
    directory = system.directory / "nginx"
    directory.mkdir()
    proxy = subprocess.Popen(
        [str(NGINX), "-p", directory, "-c", write_configuration(directory, ports, front)],
        stderr=subprocess.DEVNULL,
    )
    try:
        for port in ports:
            health = f"http://127.0.0.1:{port}/console/_stcore/health"
            wait_until(lambda health=health: answers(health), "a console")  # type: ignore[misc]
        wait_until(lambda: answers(f"{address}/_stcore/health"), "nginx")
        yield address, consoles
    finally:
        for process in (proxy, *consoles):
            process.kill()
            process.wait(20)


def write_configuration(directory: Path, ports: list[int], front: int) -> Path:
    """Write the documented file with ports of the test's, and without TLS."""
    text = CONFIGURATION.read_text()
    for documented, port in zip(("8501", "8502"), ports, strict=True):
        text, found = re.subn(f"127.0.0.1:{documented}", f"127.0.0.1:{port}", text)
        assert found == 1
    text = re.sub(r"listen +443 ssl;", f"listen 127.0.0.1:{front};", text)
    text = re.sub(r" *ssl_certificate.*\n", "", text).replace("ops.example.com", HOST)
    whole = directory / "nginx.conf"
    whole.write_text(
        f"daemon off; master_process off; pid {directory}/pid; error_log stderr;\n"
        "events {}\n"
        f"http {{ access_log off; client_body_temp_path {directory}; proxy_temp_path {directory};\n"
        f"fastcgi_temp_path {directory}; uwsgi_temp_path {directory}; scgi_temp_path {directory};\n"
        f"{text} }}\n"
    )
    return whole


def answers(url: str, **headers: str) -> bool:
    try:
        return web.request("GET", url, headers).status == 200
    except Exception:
        return False


def is_connected(console: subprocess.Popen[bytes]) -> bool:
    """Say whether a page is drawn by this console: nginx keeps a WebSocket open."""
    connections = psutil.Process(console.pid).net_connections("tcp4")
    own = {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return any(
        each.status == psutil.CONN_ESTABLISHED and each.laddr.port in own for each in connections
    )


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def test_large_cookies_of_the_sign_in_pass(
    replicas: tuple[str, list[subprocess.Popen[bytes]]],
) -> None:
    address, _ = replicas
    cookies = "; ".join(f"_streamlit_user_{number}={'x' * 3900}" for number in range(3))
    assert answers(f"{address}/_stcore/health", Cookie=cookies)


def test_operators_work_through_a_proxy_and_go_on_when_a_replica_is_gone(
    replicas: tuple[str, list[subprocess.Popen[bytes]]], page: Page, here: Deployment
) -> None:
    address, consoles = replicas
    page.goto(f"{address}/test-avatars")
    expect(page.get_by_role("heading", name="Test avatars", level=1)).to_be_visible()
    # a file goes past the WebSocket, and is protected against forged requests
    sent = {"name": "proxied.jpg", "mimeType": "image/jpeg", "buffer": picture(7)}
    page.get_by_role("radio", name="Files").click()
    page.locator('[data-testid="stFileUploader"] input[type=file]').set_input_files(sent)
    expect(page.get_by_text("proxied.jpg").first).to_be_visible()
    # an action, which every replica shows
    page.get_by_role("button", name="Tell all operators").click()
    page.get_by_label("Line on every page").fill("A replica goes at noon")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Show it to all").click()
    expect(page.get_by_test_id("stMain").get_by_text("A replica goes at noon")).to_be_visible()
    # links stay below the path
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Failures").first.click()
    expect(page.get_by_role("heading", name="Failures", level=1)).to_be_visible()
    assert page.url.startswith(f"{address}/failures")
    for number in range(60):
        body = json.dumps(reconcile.event(here, f"cut-off-{number}.jpg", None))
        here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody=body)
    page.get_by_role("button", name="Refresh").click()
    page.get_by_role("spinbutton", name="At most, per second").fill("1")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile(r"Redrive all \d+ at 1 a second")).click()
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_role("button", name="1 running").click()
    expect(page.get_by_text(re.compile(r"Redrive \d+ of 60"))).to_be_visible()
    (serves,) = (console for console in consoles if is_connected(console))
    serves.kill()
    serves.wait(20)
    page.goto(f"{address}/audit")
    expect(page.get_by_role("heading", name="Audit", level=1)).to_be_visible()
    expect(page.get_by_text("A replica goes at noon").first).to_be_visible()
    # what the one that was killed had begun is seen by the other
    sidebar.get_by_role("button", name="1 cut off").click()
    expect(page.get_by_text(re.compile(r"had come to: .*Redrive \d+ of 60"))).to_be_visible()
