"""Who is authorized, in a browser: no page without authorization, and a viewer changes nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from console import serve
from console.operations.environments.deployment import ROOT, Deployment
from tests.integration.system import System
from tests.postgres_fixture import free_port

PASSWORD = "a-Password-of-the-tests-1"
SECRETS = """[auth]
redirect_uri = "{address}/oauth2callback"
cookie_secret = "secret"
client_id = "{client}"
client_secret = "{secret}"
server_metadata_url = "{metadata}"
"""
SignIn = Callable[[str], Page]


@pytest.fixture(scope="module")
def guarded(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A console started by Streamlit itself, with OIDC and no page opened yet; its address."""
    here = system.deployment()
    address = f"http://localhost:{(port := free_port())}"
    client = here.cognito.create_user_pool_client(
        UserPoolId=here.user_pool_id,
        ClientName="console",
        GenerateSecret=True,
        SupportedIdentityProviders=["COGNITO"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthFlows=["code"],
        AllowedOAuthScopes=["openid", "email", "profile"],
        CallbackURLs=[f"{address}/oauth2callback"],
        LogoutURLs=[f"{address}/"],
    )["UserPoolClient"]
    endpoint = here.access["AWS_ENDPOINT_URL"]
    directory = tmp_path_factory.mktemp("guarded")
    (directory / ".streamlit").mkdir()
    (directory / ".streamlit/secrets.toml").write_text(
        SECRETS.format(
            address=address,
            client=client["ClientId"],
            secret=client["ClientSecret"],
            metadata=f"{endpoint}/{here.user_pool_id}/.well-known/openid-configuration",
        )
    )
    with subprocess.Popen(
        [
            sys.executable, "-m", "streamlit", "run", str(ROOT / "console/app.py"),
            "--server.address=127.0.0.1", f"--server.port={port}", "--server.headless=true",
            "--browser.gatherUsageStats=false",
        ],
        cwd=directory,
        env={**system.environment, "PYTHONPATH": str(ROOT), "HOME": str(directory)},
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
            here.cognito.delete_user_pool_client(
                UserPoolId=here.user_pool_id, ClientId=client["ClientId"]
            )


@pytest.fixture
def signed_in(guarded: str, here: Deployment, browser: Browser) -> Iterator[SignIn]:
    """Return a function that signs in a new member of a group, as an operator would."""
    pool = here.user_pool_id
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(30_000)
    made: list[str] = []

    def open_console(group: str) -> Page:
        name = f"{group}@example.com"
        here.cognito.admin_create_user(
            UserPoolId=pool,
            Username=name,
            MessageAction="SUPPRESS",
            UserAttributes=[
                {"Name": "email", "Value": name},
                {"Name": "email_verified", "Value": "true"},
            ],
        )
        made.append(name)
        here.cognito.admin_set_user_password(
            UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True
        )
        here.cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
        page = context.new_page()
        page.goto(guarded)
        page.get_by_role("button", name="Sign in").click()
        page.locator("input[name=username]").fill(name)
        page.locator("input[name=password]").fill(PASSWORD)
        page.keyboard.press("Enter")
        return page

    yield open_console
    context.close()
    for name in made:
        here.cognito.admin_delete_user(UserPoolId=pool, Username=name)


def test_a_first_visit_to_a_page_without_a_sign_in_shows_that_alone(
    guarded: str, browser: Browser
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{guarded}/failures")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("Dead-letter")).to_have_count(0)
    context.close()


def test_a_login_of_somebody_in_no_group_of_the_consoles_is_refused(signed_in: SignIn) -> None:
    page = signed_in("test-users")
    expect(page.get_by_text("test-users@example.com is in none of the groups")).to_be_visible()
    expect(page.get_by_role("link", name="Test avatars")).to_have_count(0)


def test_a_viewer_sees_everything_and_changes_nothing(signed_in: SignIn, here: Deployment) -> None:
    here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody="{}")
    page = signed_in("viewers")
    expect(page.get_by_text("viewers@example.com · may look, change nothing")).to_be_visible()
    expect(page.get_by_text("To avatar, median")).to_be_visible()
    for link, button in (
        ("Test avatars", "Send"),
        ("Failures", "Redrive all 1 at 50 a second"),
        ("Profile", "Sign in as @ada"),
    ):
        page.get_by_role("link", name=link).click()
        expect(page.get_by_role("heading", name=link)).to_be_visible()
        expect(
            page.get_by_role("button", name=re.compile(f"^{button}( Shortcut|$)"))
        ).to_be_disabled()


def test_signing_out_ends_the_session_with_cognito_too(signed_in: SignIn, guarded: str) -> None:
    page = signed_in("operators")
    expect(page.get_by_text("operators@example.com · may operate")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    (logout,) = (urlsplit(url) for url in asked if urlsplit(url).path == "/logout")
    assert parse_qs(logout.query)["logout_uri"] == [f"{guarded}/"]
    page.goto(f"{guarded}/failures")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
