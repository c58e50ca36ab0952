"""The profile page where something is missing; the rest is in tests/browser/test_profile.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from console.operations.environments.deployment import ROOT
from console.operations.uploads import profiles
from console.operations.uploads.profiles import Activity, Profile
from console.operations.uploads.test_users import SignIn
from tests.unit.console import deployments

ADA = Profile(
    handle="ada",
    display_name="Ada <script>",
    bio="<b>Engines</b>",
    sub="sub-1",
    avatar_url="http://cdn/a.jpg",
    banner_url="http://cdn/b.jpg",
    activities=(Activity("Hi", created_at=0, replies=1, reposts=2, likes=3),),
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    monkeypatch.setenv("AVATAR_OPS_STATE", str(tmp_path))
    monkeypatch.setenv("ENV", "local")
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def _settings(tmp_path: Path) -> None:
    deployments.write_settings(tmp_path, "q", "d")


@pytest.fixture
def _ada(_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "read", lambda here, handle: ADA)


def opened(groups: list[str] | None = None) -> AppTest:
    app = AppTest.from_file(str(ROOT / "console/app.py"), default_timeout=60)
    if groups:
        app.secrets = {"auth": {"redirect_uri": "x", "cookie_secret": "x"}}  # type: ignore[assignment]
        app.user = {"is_logged_in": True, "email": "ada@example.com", "cognito:groups": groups}
    return app.run().switch_page("pages/profile.py").run()


def test_a_missing_settings_file_is_a_sentence() -> None:
    assert "make up" in opened().error[0].value


@pytest.mark.usefixtures("_settings")
def test_an_environment_without_a_database_says_so() -> None:
    app = opened()
    assert "no database" in app.error[0].value
    assert app.title[0].value == "Profile"


@pytest.mark.usefixtures("_settings")
def test_an_api_that_is_away_is_a_sentence(tmp_path: Path) -> None:
    with (tmp_path / ".env.local").open("a") as settings:
        settings.write("\nDATABASE_URL_PARAMETER=/url\n")
    assert "http://127.0.0.1:9 did not answer" in opened().error[0].value


@pytest.mark.usefixtures("_ada")
def test_what_users_wrote_is_text_and_never_markup() -> None:
    page = opened().get("html")[0].proto.body
    assert "Ada &lt;script&gt;" in page
    assert "&lt;b&gt;Engines" in page


@pytest.mark.usefixtures("_settings")
@pytest.mark.parametrize(
    ("placeholder", "drawn"),
    [("LEHV6nWB2yk8pyo0adR*.7kCMdnj", True), ("no BlurHash", False), (None, False)],
)
def test_what_stands_for_the_avatar_is_drawn(
    monkeypatch: pytest.MonkeyPatch, placeholder: str | None, drawn: bool
) -> None:
    shown = replace(ADA, placeholder=placeholder, initials="<S", hue=212)
    monkeypatch.setattr(profiles, "read", lambda here, handle: shown)
    page = opened().get("html")[0].proto.body
    assert ("data:image/png;base64," in page) == drawn
    assert '<b style="background: oklch(0.48 0.11 212)">&lt;S</b>' in page


@pytest.mark.usefixtures("_ada")
def test_a_viewer_may_not_sign_in_as_a_test_user() -> None:
    assert opened(["viewers"]).button(key="sign in").disabled


@pytest.mark.usefixtures("_ada")
def test_another_users_sign_in_is_not_used_here() -> None:
    app = opened()
    app.session_state["signed in as"] = [SignIn("sub-2", "grace", "secret-token", 9e12)]
    app.run()
    assert not app.text_area
    app.session_state["signed in as"] = [SignIn("sub-1", "ada", "secret-token", 9e12)]
    app.run()
    assert app.text_area[0].value == ADA.bio
    assert "secret-token" not in str([item.value for item in (*app.markdown, *app.caption)])
