from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC
from email.utils import format_datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
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
    module = importlib.reload(importlib.import_module("resize.handler"))
    module.store._s3 = Refusing(module.store._s3)
    return module


class Refusing:
    """S3, with its own answer to who reads a delete marker; moto's is 404."""

    def __init__(self, s3: S3Client) -> None:
        self._s3 = s3

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._s3, operation)

    def get_object(self, **which: Any) -> Any:
        try:
            return self._s3.get_object(**which)
        except ClientError as error:
            for marker in self._s3.list_object_versions(Bucket=which["Bucket"]).get(
                "DeleteMarkers", []
            ):
                if marker["VersionId"] == which.get("VersionId"):
                    error.response["Error"]["Code"] = "MethodNotAllowed"
                    error.response["ResponseMetadata"]["HTTPHeaders"]["last-modified"] = (
                        format_datetime(marker["LastModified"].astimezone(UTC), usegmt=True)
                    )
            raise
