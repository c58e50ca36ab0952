"""The profiles function on a real Postgres, with moto's SSM and S3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from console.operations import migrations
from profiles import database, handler
from tests.unit.profiles.calls import (
    ADA,
    ASSETS,
    BUCKET,
    GRACE,
    PARAMETER,
    REGION,
    Call,
    client,
    request,
    store,
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[None]:
    """AWS with an assets bucket, for one module: making clients is slow."""
    settings = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "ASSETS_URL": ASSETS,
        "ASSETS_BUCKET_NAME": BUCKET,
        "DATABASE_URL_PARAMETER": PARAMETER,
    }
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        for name, value in settings.items():
            patch.setenv(name, value)
        client.cache_clear()
        handler._s3.cache_clear()
        place: Any = {"LocationConstraint": REGION}
        client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        yield
        handler._s3.cache_clear()


@pytest.fixture
def aws(cloud: None) -> Iterator[None]:
    """AWS, and a function that was just started."""
    database.keeper.close()
    yield
    database.keeper.close()


@pytest.fixture
def url(aws: None, migrated_database: str) -> str:
    """A seeded database whose URL for the role ``profiles`` is in the parameter."""
    migrations.seed(migrated_database, {"ada": ADA, "grace": GRACE})
    store(migrations.profiles_url(migrated_database))
    return migrated_database


@pytest.fixture
def call(url: str) -> Call:
    """Call the handler as the HTTP API does; return status and body."""
    return request
