from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from console import terminal
from console.commands import doctor
from console.operations.environments.doctor import Finding

FINDINGS = [
    Finding(
        "Functions",
        "resize AVATAR_VARIANTS",
        "error",
        "512.jpg",
        "64",
        "Run `make apply`.",
    ),
    Finding("Functions", "resize [state]", "ok", "Active", "Active"),
    Finding("Queue", "dead-letter messages", "warning", "0", "3", "Run `make redrive`."),
    Finding("Not checked", "because of: x", "unknown", "", "y", "Fix x."),
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def run_it(findings: list[Finding], *arguments: str) -> Any:
        monkeypatch.setattr(doctor, "examine", lambda *_, **__: findings)
        monkeypatch.setattr(doctor, "_migrations", lambda: None)
        monkeypatch.setattr(terminal.out, "width", 120)
        with terminal.out.capture() as shown:
            result = CliRunner().invoke(doctor.app, ["doctor", *arguments])
        return result.exit_code, result.stdout + shown.get()

    return run_it


def test_each_state_has_a_mark_of_its_own_and_what_is_wrong_its_remedy(run: Any) -> None:
    code, shown = run(FINDINGS)
    assert code == 2
    assert "512.jpg → 64" in shown
    assert "Run `make apply`." in shown
    assert "resize [state]" in shown
    lines = shown.splitlines()
    marks = {name: next(line for line in lines if name in line)[0] for name in
             ("AVATAR_VARIANTS", "[state]", "dead-letter messages", "because of")}  # fmt: skip
    assert list(marks.values()) == ["✗", "✓", "!", "?"]
    assert "1 error" in lines[-1]


def test_json_holds_every_finding_and_the_same_exit_code(run: Any) -> None:
    code, shown = run(FINDINGS[1:], "--json")
    assert code == 1
    listed = json.loads(shown)
    assert [item["state"] for item in listed] == ["ok", "warning", "unknown"]
    assert set(listed[0]) == {"area", "name", "state", "expected", "found", "remedy"}


def test_all_well_ends_with_0(run: Any) -> None:
    assert run(FINDINGS[1:2])[0] == 0
