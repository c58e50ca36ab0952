"""Who gets into the console, and who may do what in it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from moto import mock_aws
from streamlit import config
from streamlit.runtime.secrets import Secrets
from streamlit.testing.v1 import AppTest

from console import session, widgets
from console.operations.audit.access import Actor
from console.operations.changes import Operation, fingerprint
from console.operations.environments.deployment import ROOT, Deployment
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters
from tests.unit.console import deployments

OIDC = {"auth": {"redirect_uri": "http://localhost:8501/oauth2callback", "cookie_secret": "x"}}
Visit = Callable[..., AppTest]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    monkeypatch.setenv("AVATAR_OPS_STATE", str(tmp_path))
    monkeypatch.setenv("ENV", "local")
    st.cache_resource.clear()
    st.cache_data.clear()
    with mock_aws():
        yield deployments.make(tmp_path)


@pytest.fixture
def visit(here: Deployment) -> Iterator[Visit]:
    """Return a function that opens the console at an address, as somebody."""

    def open_console(
        groups: list[str] | None = None, *, address: str = "127.0.0.1", oidc: bool = True
    ) -> AppTest:
        config.set_option("server.address", address)
        app = AppTest.from_file(str(ROOT / "console/app.py"), default_timeout=60)
        if oidc:
            app.secrets = OIDC  # type: ignore[assignment]
        if groups is not None:
            app.user = {"is_logged_in": True, "email": "ada@example.com", "cognito:groups": groups}
        return app.run()

    before = Path.cwd()
    yield open_console
    os.chdir(before)
    config.set_option("server.address", "127.0.0.1")
    st.cache_resource.clear()
    st.cache_data.clear()


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def texts(app: AppTest) -> str:
    kinds: list[Any] = [app.title, app.markdown, app.caption, app.sidebar.caption, app.error]
    return "\n".join(str(item.value) for kind in kinds for item in kind)


def test_who_is_not_signed_in_is_asked_to_and_sees_nothing(visit: Visit) -> None:
    app = visit()
    assert labels(app) == ["Sign in"]
    assert [title.value for title in app.title] == ["Avatar Ops"]
    assert not app.metric


def test_somebody_in_no_group_is_told_whom_to_ask(visit: Visit) -> None:
    app = visit(["test-users"])
    assert labels(app) == ["Sign out"]
    assert "ada@example.com is in none of the groups" in app.error[0].value
    assert not app.metric


def test_an_address_that_others_reach_shows_nothing_without_oidc(visit: Visit) -> None:
    app = visit(address="::", oidc=False)
    assert "docs/console.md" in app.error[0].value
    assert not labels(app)
    assert not app.title


def test_an_address_that_others_reach_asks_for_the_sign_in(visit: Visit) -> None:
    assert labels(visit(address="::")) == ["Sign in"]


def test_secrets_that_cant_be_read_show_that_alone(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "secrets.toml"
    broken.write_text("[auth")
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(broken)])
    monkeypatch.setattr(st, "secrets", Secrets())
    try:
        app = visit(oidc=False)
    finally:
        config.set_option("secrets.files", before)
    assert "can't be read" in app.error[0].value
    assert not labels(app)
    assert not app.title


def test_this_machines_user_needs_no_sign_in(visit: Visit) -> None:
    app = visit(oidc=False)
    assert "may operate" in texts(app)


def test_a_viewer_sees_everything_and_every_action_is_disabled(
    visit: Visit, here: Deployment
) -> None:
    deployments.bury(here, "ada.jpg")
    app = visit(["viewers"])
    assert "ada@example.com · may look, change nothing" in texts(app)
    app.switch_page("pages/failures.py").run()
    assert "1 dead-letter message" in texts(app)
    assert app.button(key="redrive group").disabled
    app.checkbox[0].check().run()
    assert app.button(key="redrive chosen").disabled


def test_a_viewers_forged_click_changes_nothing(
    visit: Visit, here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployments.bury(here, "ada.jpg")
    # Streamlit ignores clicks on what is disabled: only an enabled button tries what is behind it
    monkeypatch.setattr(widgets, "_allowed", lambda options: options)
    app = visit(["viewers"]).switch_page("pages/failures.py").run()
    assert not app.button(key="redrive group").disabled
    app.button(key="redrive group").click().run()
    wait_for_jobs()
    assert "change nothing" in texts(app)
    assert dead_letters.sample(here).total == 1


def test_the_operation_itself_refuses_a_viewer(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = Actor("ada", may_operate=False)
    monkeypatch.setattr(session, "actor", lambda: viewer)
    ran: list[str] = []
    change = Operation(session.the_target(), "redrive", "all", (), lambda _: ran.append("act"))
    with pytest.raises(OperationError, match="change nothing"):
        session.start("failures", change, fingerprint(change))
    with pytest.raises(OperationError, match="change nothing"):
        session.the_audit().perform(viewer, "redrive", "all", "key", lambda: ran.append("audit"))
    assert not ran


def test_an_operator_acts_and_the_audit_has_it(visit: Visit, here: Deployment) -> None:
    deployments.bury(here, "ada.jpg")
    app = visit(["operators"]).switch_page("pages/failures.py").run()
    app.button(key="redrive group").click().run()
    wait_for_jobs()
    assert dead_letters.sample(here).total == 0
    assert [job.state for job in session.jobs().of("failures")] == ["done"]
    waiting = Path(os.environ["AVATAR_OPS_STATE"]) / "local/audit/waiting"
    start, end = (json.loads(path.read_text()) for path in sorted(waiting.iterdir()))
    assert (start["actor"], start["outcome"]) == ("ada@example.com", "started")
    assert "local, account 123456789012, eu-central-1" in start["detail"]
    assert (end["outcome"], end["detail"]) == ("done", "1 message put back on the queue.")


def wait_for_jobs() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("job "):
            thread.join(20)


def test_a_click_that_arrives_twice_is_one_action(here: Deployment) -> None:
    def script() -> None:
        from console import session
        from console.operations.changes import Operation, fingerprint

        for _ in range(2):
            change = Operation(session.the_target(), "act", "it", (), lambda report: None)
            session.start("kind", change, fingerprint(change))

    AppTest.from_function(script, default_timeout=60).run()
    wait_for_jobs()
    assert len(session.jobs().of("kind")) == 1


def test_nothing_is_looked_up_without_a_sign_in(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "actor", lambda: None)
    with pytest.raises(OperationError, match="Nobody is signed in"):
        session.here()
