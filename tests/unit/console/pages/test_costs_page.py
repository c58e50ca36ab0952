"""The page Costs: the sum, its parts, and what would save."""

from __future__ import annotations

import pytest

from console.operations import costs
from tests.unit.console.pages.conftest import Show, text
from tests.unit.console.test_costs import MILLION


def test_the_sum_is_that_of_the_lines_below_it(
    show: Show, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "usage", lambda here: MILLION)
    app = show("costs")
    shown = {metric.label: metric.value for metric in app.metric}
    (table,) = app.dataframe
    total = sum(table.value["USD a month"])
    assert float(shown["A month, USD"].replace(",", "")) == pytest.approx(total, abs=0.1)
    assert shown["A million uploads, USD"] == "29.80"
    assert table.value["Item"][0] == "S3, originals"
    assert "one variant fewer" in text(app)
