from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    """Both buckets, empty, as moto has them."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "ASSETS_BUCKET_NAME": "assets",
        "AVATAR_VARIANTS": "512.jpg,128.webp",
        "MAX_UPLOAD_BYTES": "100000",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = boto3.client("s3")
        for bucket in ("uploads", "assets"):
            client.create_bucket(
                Bucket=bucket,
                CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
            )
        client.put_bucket_versioning(
            Bucket="uploads", VersioningConfiguration={"Status": "Enabled"}
        )
        queue = boto3.client("sqs").create_queue(QueueName="cleanup")
        monkeypatch.setenv("CLEANUP_QUEUE_URL", queue["QueueUrl"])
        yield client


@pytest.fixture
def resize(s3: S3Client) -> ModuleType:
    """The handler's module, started again with these settings."""
    module = importlib.import_module("resize.handler")
    return importlib.reload(module)
