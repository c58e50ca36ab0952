"""The demo's own server: it signs in for its own page, and for nobody else's."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.operations.environments import deployment
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import refusals, test_users
from console.operations.uploads.test_users import SignIn
from local import demo
from local.demo import DemoServer
from tests.unit.console import deployments


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    deployments.write_settings(tmp_path, "queue", "dead")
    return deployment.load("local")


@pytest.fixture
def server(
    here: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DemoServer]:
    built = tmp_path / "dist"
    built.mkdir()
    (built / "index.html").write_text("<title>the page</title>")
    (tmp_path / "secret.txt").write_text("not for the page")
    signed_in = SignIn("sub", "ada@test-users.invalid", "the token", 0)
    monkeypatch.setattr(test_users, "sign_in", lambda _here, _user: signed_in)
    with DemoServer(here, 0, built) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(
    server: DemoServer, method: str, path: str, body: object = None, **headers: str
) -> SimpleNamespace:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    its = {"Host": f"localhost:{server.server_port}"} | headers
    connection.request(method, path, None if body is None else json.dumps(body), its)
    answer = connection.getresponse()
    found = SimpleNamespace(status=answer.status, headers=answer.headers, body=answer.read())
    connection.close()
    return found


def own(server: DemoServer) -> str:
    return f"http://localhost:{server.server_port}"


def test_the_page_is_served_under_a_strict_policy(server: DemoServer) -> None:
    page = ask(server, "GET", "/")
    assert (page.status, page.body) == (200, b"<title>the page</title>")
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy
    assert "unsafe-inline" not in policy
    assert ask(server, "HEAD", "/").status == 200


def test_the_page_learns_where_the_api_and_the_pictures_are(
    server: DemoServer, here: Deployment
) -> None:
    found: dict[str, Any] = json.loads(ask(server, "GET", "/settings.json").body)
    assert (found["api_url"], found["assets_url"]) == (here.api_url, here.assets_url)
    assert found["users"] == ["ada", "grace", "alan", "emilie"]


def test_its_own_page_signs_a_test_user_in(server: DemoServer) -> None:
    answer = ask(server, "POST", "/sign-in", {"user": "ada"}, Origin=own(server))
    assert (answer.status, json.loads(answer.body)) == (200, {"token": "the token"})
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("origin", ["https://example.com", "null", "", "http://localhost:1"])
def test_another_origins_page_gets_no_token(server: DemoServer, origin: str) -> None:
    answer = ask(server, "POST", "/sign-in", {"user": "ada"}, Origin=origin)
    assert answer.status == 403
    assert b"the token" not in answer.body


@pytest.mark.parametrize(("method", "path"), [("GET", "/settings.json"), ("POST", "/sign-in")])
def test_a_name_that_was_rebound_to_this_machine_gets_nothing(
    server: DemoServer, method: str, path: str
) -> None:
    host = f"attacker.example:{server.server_port}"
    answer = ask(server, method, path, {"user": "ada"}, Host=host, Origin=f"http://{host}")
    assert answer.status == 403
    assert b"the token" not in answer.body


@pytest.mark.parametrize("body", [{"user": "root"}, {"user": ["ada"]}, {}, "ada", None])
def test_nobody_but_the_demo_users_is_signed_in(server: DemoServer, body: object) -> None:
    answer = ask(server, "POST", "/sign-in", body, Origin=own(server))
    assert answer.status == 400
    assert "Choose one of ada" in json.loads(answer.body)["error"]


def test_what_cognito_says_against_it_is_passed_on(
    server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_here: Deployment, _user: str) -> SignIn:
        raise OperationError("Cognito is away.", "Run `make up`.")

    monkeypatch.setattr(test_users, "sign_in", refuse)
    answer = ask(server, "POST", "/sign-in", {"user": "ada"}, Origin=own(server))
    assert (answer.status, json.loads(answer.body)["error"]) == (
        503, "Cognito is away. Run `make up`.",
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt"])
def test_nothing_outside_the_built_folder_is_served(server: DemoServer, path: str) -> None:
    assert b"not for the page" not in ask(server, "GET", path).body


def test_it_listens_on_this_machine_alone(server: DemoServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_demo_that_isnt_built_is_named(
    here: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "BUILT", tmp_path / "nowhere")
    with pytest.raises(OperationError, match="isn't built"):
        demo.main()


def test_a_port_that_cors_does_not_admit_is_named_with_the_remedy(
    here: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index.html").touch()
    monkeypatch.setattr(demo, "BUILT", tmp_path)
    monkeypatch.setattr(refusals, "is_admitted", lambda *_: False)
    monkeypatch.setenv("DEMO_PORT", "3456")
    with pytest.raises(OperationError, match="not admit pages from http://localhost:3456") as e:
        demo.main()
    assert "make up DEMO_PORT=3456" in e.value.remedy


def test_another_environment_has_no_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "prod")
    with pytest.raises(OperationError, match="local system"):
        demo.main()
