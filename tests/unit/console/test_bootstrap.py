"""The state bucket: made whole, also where a first run ended half-way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from console.operations.environments import clients, terraform
from console.operations.environments.infrastructure import Bootstrap
from console.operations.environments.target import Target
from console.operations.environments.terraform import Workspace
from console.operations.errors import OperationError
from console.operations.progress import ignore

ACCOUNT, REGION = "123456789012", "eu-central-1"
BUCKET = f"avatar-ops-terraform-state-{ACCOUNT}-{REGION}"
SETTINGS = ("PutBucketVersioning", "PutPublicAccessBlock", "PutBucketEncryption", "PutBucketPolicy")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(terraform, "TFVARS", tmp_path)
    (tmp_path / "prod.tfvars").touch()
    clients.forget_clients()
    with mock_aws():
        yield Workspace(Target("prod", ACCOUNT, REGION, None, tmp_path))
    clients.forget_clients()


def assert_whole(s3: Any) -> None:
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert len(block) == 4
    assert all(block.values())
    (rule,) = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]


@pytest.mark.parametrize("denied", SETTINGS)
def test_a_run_that_lacked_a_right_is_completed_by_the_next_one(
    workspace: Workspace, denied: str
) -> None:
    s3, change = workspace.client("s3"), Bootstrap(workspace)

    def deny(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, denied)

    s3.meta.events.register(f"before-call.s3.{denied}", deny, unique_id="denied")
    with pytest.raises(OperationError, match="make the state bucket"):
        change.execute(ignore)
    s3.meta.events.unregister(f"before-call.s3.{denied}", deny, unique_id="denied")
    assert change.execute(ignore) == f"{BUCKET}: there already."
    assert_whole(s3)


def test_a_new_one_is_whole_and_a_second_run_leaves_it_so(workspace: Workspace) -> None:
    change = Bootstrap(workspace)
    assert change.execute(ignore) == f"{BUCKET}: made."
    assert change.execute(ignore) == f"{BUCKET}: there already."
    assert_whole(workspace.client("s3"))


def test_a_bucket_of_somebody_else_is_left_alone(workspace: Workspace) -> None:
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )

    def deny(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadBucket")

    s3 = workspace.client("s3")
    s3.meta.events.register("before-call.s3.HeadBucket", deny)
    with pytest.raises(OperationError, match="somebody else"):
        workspace.bootstrap()
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
