"""Which users' rows name another upload than their avatar shows, on moto and a real Postgres."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest

from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.pipeline import stale_profiles

OLD, NEW = "1" * 32, "2" * 32
USERS = {  # recorded, and shown now: None for nothing, "" for an operator's own picture
    "current": (NEW, NEW),
    "behind": (OLD, NEW),
    "first": (None, NEW),
    "removed": (OLD, None),
    "without": (None, None),
    "operators": (None, ""),
}


@pytest.fixture
def url(here: Deployment, migrated_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(stale_profiles, "_PAGE", 2)
    with psycopg.connect(migrated_database) as connection:
        for name, (recorded, shown) in USERS.items():
            connection.execute(
                "INSERT INTO users (display_name, handle, email, cognito_user_id, avatar_version)"
                " VALUES (%s, %s, %s, %s, %s)",
                (name, name, f"{name}@example.com", name, recorded),
            )
            if shown is not None:
                here.s3.put_object(
                    Bucket=here.assets_bucket,
                    Key=f"avatars/{name}.jpg",
                    Body=b"jpeg",
                    Metadata={"version": shown} if shown else {},
                )
    return migrated_database


def test_the_function_looks_again_at_each_row_that_differs_and_no_other(
    here: Deployment, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def look_again(_: Deployment, names: Sequence[str]) -> None:
        told.extend(names)

    monkeypatch.setattr(stale_profiles, "_look_again", look_again)
    assert stale_profiles.refresh(here, url, lambda event: None, dry_run=True) == 3
    assert told == []
    assert stale_profiles.refresh(here, url, lambda event: None, dry_run=False) == 3
    assert sorted(told) == ["behind", "first", "removed"]


def test_a_schema_without_the_column_is_named_with_the_way_out(
    here: Deployment, empty_database: str
) -> None:
    with pytest.raises(OperationError, match='"users" does not exist') as caught:
        stale_profiles.refresh(here, empty_database, lambda event: None, dry_run=True)
    assert "make migrations" in caught.value.remedy
