"""Progress in a terminal: beside a command's result, never in it."""

from __future__ import annotations

import pytest

from console import terminal
from console.operations import progress


def test_progress_leaves_standard_output_to_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.Progress() as report:
        with progress.timed(report, "Sign in") as detail:
            detail.append("[ada]")
        with pytest.raises(ValueError, match="no"), progress.timed(report, "Upload"):
            raise ValueError("no")
    said = capsys.readouterr()
    assert said.out == ""
    assert "✓ Sign in" in said.err
    assert "[ada]" in said.err
    assert "✗ Upload" in said.err
