"""The README's steps, from an empty Vite application to an uploaded avatar, done as written."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from console.operations.environments import settings_files
from console.operations.environments.deployment import Deployment
from console.operations.uploads.test_users import SignIn
from local.demo import DemoServer
from tests.front_end.conftest import FRONT_END, choose
from tests.integration.system import System, picture

pytestmark = pytest.mark.long
README = (FRONT_END / "README.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_an_empty_vite_application_uploads_an_avatar_after_at_most_20_lines(
    system: System, here: Deployment, ada: SignIn, context: BrowserContext, tmp_path: Path
) -> None:
    written = block("tsx")
    assert len(written.strip().splitlines()) <= 20
    checkout = tmp_path / "avatar-ops"
    (checkout / "build").mkdir(parents=True)
    for package in (FRONT_END.parent / "build").glob("avatar-ops-*.tgz"):
        shutil.copy(package, checkout / "build")
    shutil.copy(settings_files.front_end_file("local"), checkout)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    application = elsewhere / "my-app"
    for command in block("sh").replace("../avatar-ops", str(checkout)).splitlines():
        if command.startswith("cd "):
            continue
        done = subprocess.run(
            shlex.split(command), cwd=application if application.exists() else elsewhere,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    (application / "src/App.tsx").write_text(written)
    npm = shutil.which("npm")
    assert npm
    # checks the types too
    built = subprocess.run(
        [npm, "run", "build"], cwd=application, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr

    # from the one origin that the API admits, under the demo's strict policy
    with DemoServer(here, system.demo_port, application / "dist") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = context.new_page()
        page.add_init_script(f"sessionStorage.setItem('access_token', '{ada.token}')")
        page.goto(f"http://localhost:{system.demo_port}")
        photo = tmp_path / "photo.jpg"
        photo.write_bytes(picture(4711))
        choose(page, photo)
        page.get_by_role("button", name="Use this").click()
        expect(page.get_by_text("This is your new picture.")).to_be_visible(timeout=90_000)
        expect(page.locator(".ao-avatar")).to_have_attribute("data-state", "shown")
        server.shutdown()
