"""The environment page: each line with its state, what was expected, found, and how to fix it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from streamlit.testing.v1 import AppTest

from console import session
from console.operations.environments import doctor
from console.operations.environments.doctor import Finding
from tests.integration.system import wait_until
from tests.unit.console.pages.conftest import Show, text

GOOD = Finding("API", "route", "ok", "there", "there", "")
BAD = Finding("Functions", "resize AVATAR_VARIANTS", "error", "512.jpg", "64", "Run `make apply`.")


def examined(show: Show, monkeypatch: pytest.MonkeyPatch, findings: Sequence[Finding]) -> AppTest:
    monkeypatch.setattr(doctor, "examine", lambda *_, **__: list(findings))
    app = show("environment")
    wait_until(lambda: not session.jobs().running(), "the examination")
    return app.run()


def test_all_green_says_so(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    app = examined(show, monkeypatch, [GOOD])
    assert "Everything is as it should be." in text(app)
    assert "To be fixed" not in [item.value for item in app.header]


def test_what_is_wrong_comes_first_with_all_that_is_needed_to_fix_it(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = examined(show, monkeypatch, [GOOD, BAD])
    assert app.header[0].value == "To be fixed"
    assert [code.value for code in app.code] == ["512.jpg", "64"]
    assert "Run `make apply`." in text(app)
    assert ":red-badge[:material/error: error]" in text(app)
    assert ":gray[warning]" in text(app), "none is no warning"
    assert ":orange-badge" not in text(app)
    rows = [table.value.to_dict("records")[0] for table in app.table]
    assert rows[0] == {"What": "route", "Expected": "there", "Found": "there"}, "all are the same"
    assert {
        "State": "✗ error",
        "What": "resize AVATAR\\_VARIANTS",
        "Expected": "512.jpg",
        "Found": "64",
        "How to fix it": "Run `make apply`.",
    } in rows


def test_a_viewer_may_look_again(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda *_, **__: [GOOD])
    app = show("environment", group="viewers")
    wait_until(lambda: not session.jobs().running(), "the examination")
    assert not app.run().button[0].disabled
