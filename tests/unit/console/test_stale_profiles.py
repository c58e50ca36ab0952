"""Which users' rows name another upload than their avatar shows, on moto and a real Postgres."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest

from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.pipeline import stale_profiles

OLD, NEW = "1" * 32, "2" * 32
BLURHASH = "LEHV6nWB2yk8pyo0adR*.7kCMdnj"
Described = tuple[str | None, str | None]
NOTHING: Described = (None, None)
USERS: dict[str, tuple[Described, Described]] = {
    # version and placeholder, recorded and shown now: "" for an operator's own picture
    "current": ((NEW, None), (NEW, None)),
    "current with its placeholder": ((NEW, BLURHASH), (NEW, BLURHASH)),
    "behind": ((OLD, None), (NEW, None)),
    "first": (NOTHING, (NEW, BLURHASH)),
    "removed": ((OLD, BLURHASH), NOTHING),
    "with a placeholder now": ((NEW, None), (NEW, BLURHASH)),
    "with another now": ((NEW, BLURHASH), (NEW, "L" + BLURHASH[:0:-1])),
    "with nothing's placeholder": ((None, BLURHASH), NOTHING),
    "with what is no placeholder": ((NEW, None), (NEW, "no placeholder")),
    "without": (NOTHING, NOTHING),
    "operators": (NOTHING, ("", BLURHASH)),
}
BEHIND = [
    "behind",
    "first",
    "removed",
    "with a placeholder now",
    "with another now",
    "with nothing's placeholder",
]


@pytest.fixture
def url(here: Deployment, migrated_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(stale_profiles, "_PAGE", 2)
    with psycopg.connect(migrated_database) as connection:
        for name, (recorded, shown) in USERS.items():
            connection.execute(
                "INSERT INTO users (display_name, handle, email, cognito_user_id, avatar_version,"
                " avatar_placeholder) VALUES (%s, %s, %s, %s, %s, %s)",
                (name, name, f"{name}@example.com", name, *recorded),
            )
            version, placeholder = shown
            if version is not None:
                metadata = {"version": version, "placeholder": placeholder or ""}
                here.s3.put_object(
                    Bucket=here.assets_bucket,
                    Key=f"avatars/{name}.jpg",
                    Body=b"jpeg",
                    Metadata={name: value for name, value in metadata.items() if value},
                )
    return migrated_database


def test_the_function_looks_again_at_each_row_that_differs_and_no_other(
    here: Deployment, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def look_again(_: Deployment, names: Sequence[str]) -> None:
        told.extend(names)

    monkeypatch.setattr(stale_profiles, "_look_again", look_again)
    assert stale_profiles.refresh(here, url, lambda event: None, dry_run=True) == len(BEHIND)
    assert told == []
    assert stale_profiles.refresh(here, url, lambda event: None, dry_run=False) == len(BEHIND)
    assert sorted(told) == BEHIND


def test_a_banner_is_looked_at_too(
    here: Deployment, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(stale_profiles, "_look_again", lambda _, names: told.extend(names))
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE users SET banner_version = %s WHERE handle = 'current'", (OLD,))
    stale_profiles.refresh(here, url, lambda event: None, dry_run=False)
    assert sorted(told) == sorted(["banners/current", *BEHIND])


def test_a_schema_without_the_column_is_named_with_the_way_out(
    here: Deployment, empty_database: str
) -> None:
    with pytest.raises(OperationError, match='"users" does not exist') as caught:
        stale_profiles.refresh(here, empty_database, lambda event: None, dry_run=True)
    assert "make migrations" in caught.value.remedy
