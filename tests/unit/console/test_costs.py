"""A month's bill: counts times prices, the largest item first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from console.operations import costs
from console.operations.costs import Usage
from console.operations.environments import arrivals, health
from console.operations.environments.arrivals import Arrivals
from console.operations.environments.deployment import Deployment
from tests.unit.console import deployments

MILLION = Usage(
    uploads=1_000_000,
    originals_gb=2188,
    images_gb=117,
    views=10_000_000,
    views_gb=565.2,
    variants=2,
    memory=1769,
    alarms=43,
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    monkeypatch.setattr(
        arrivals, "within", lambda here, seconds: Arrivals(7200, {"written": 7000, "removed": 9})
    )
    # of functions with a prefix alone the alarms are known
    monkeypatch.setattr(health, "metrics_read", lambda here: 43)
    with mock_aws():
        here = deployments.make(tmp_path)
        deployments.publish(here, 1)
        yield here


def test_a_months_bill_is_the_cost_sheets() -> None:
    items = {item.name: item.usd for item in costs.month(MILLION)}
    assert items["S3, PUT"] == 20
    assert items["S3, originals"] == pytest.approx(50.32, abs=0.01)
    assert items["CloudFront, data"] == pytest.approx(48.04, abs=0.01)
    assert items["CloudFront, requests"] == 10
    of_uploads = costs.upload_items(4)
    assert sum(items[name] for name in of_uploads) == pytest.approx(29.80, abs=0.01)
    amounts = list(items.values())
    assert amounts == sorted(amounts, reverse=True)


def test_what_would_save_is_what_is_not_yet_saved() -> None:
    assert costs.savings(MILLION)["one variant fewer (`avatar_variants`)"] == 5
    least = replace(MILLION, variants=1)
    assert not any("variant" in what for what in costs.savings(least))
    large = costs.savings(replace(MILLION, memory=3008))
    assert large["`resize` with 1,769 MB (`resize.memory_size`)"] == pytest.approx(2.38, abs=0.01)


def test_on_aws_sizes_and_views_are_cloudwatchs(here: Deployment) -> None:
    at = datetime.now(UTC)

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        found = []
        for query in asked["MetricDataQueries"]:
            if "Expression" in query:
                gb = 100e9 if "uploads" in query["Expression"] else 5e9
                # in two storage classes; of each the newest day
                found += [("kept", [gb, 1.0]), ("kept", [gb / 2])]
            else:
                found.append((query["Id"], [7e6, 7e6] if query["Id"] == "requests" else [7e9]))
        return {
            "MetricDataResults": [
                {"Id": key, "Label": key, "Timestamps": [at] * len(values), "Values": values}
                for key, values in found
            ]
        }

    for client in {here.cloudwatch, here.cloudwatch_in("us-east-1")}:
        deployments.instead_of(client, "GetMetricData", answer)
    used = costs.usage(here)
    assert used.uploads == 30_000, "a removal is no upload"
    assert (used.originals_gb, used.images_gb) == (150, 7.5)
    assert used.views == 60_000_000
    assert used.views_gb == 30


def test_what_is_kept_is_listed_where_nobody_measures(here: Deployment) -> None:
    for body in (b"x" * 1000, b"y" * 500):
        here.s3.put_object(Bucket=here.uploads_bucket, Key="ada.jpg", Body=body)
    assert costs._listed_gb(here, here.uploads_bucket) == 1500 / 1e9
