"""Environments as on AWS: no emulator's address, AWS's own host names, in old and new regions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.operations.environments import clients, deployment
from console.operations.environments.deployment import Deployment
from tests.integration.system import System, picture
from tests.strict_aws import control
from tests.strict_aws.fault import Fault
from tests.strict_aws.names import AwsNames
from tests.strict_aws.region import Region

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def names(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsNames]:
    made = AwsNames(tmp_path_factory.mktemp("names"), system.aws_port)
    yield made
    made.close()


def loaded(region: Region, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(region.folder))
    return deployment.load(region.env)


@pytest.mark.parametrize(
    "region",
    [
        "me-central-1",  # younger than 2019
        "eu-central-1",
        "us-east-1",
    ],
)
def test_what_is_applied_serves_an_upload_and_is_destroyed(
    system: System,
    names: AwsNames,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    region: str,
) -> None:
    made = Region(system, tmp_path / "region", names, region)
    made.set("user_pool_deletion_protection = false")
    made.run("bootstrap")
    made.run("apply", YES="1")
    here = loaded(made, monkeypatch)
    assert here.access == {}
    assert here.api_url.endswith(f".execute-api.{region}.amazonaws.com"), here.api_url
    made.sign_for_aws(here, f"http://localhost:{system.aws_port}")
    file = tmp_path / "ada.jpg"
    file.write_bytes(picture(90))
    sent = json.loads(made.run("upload", "--json", FILE=str(file)).splitlines()[-1])
    assert sent["url"].startswith("https://")
    made.run("destroy", YES="1", FORCE="1")
    assert "Nothing to delete" in made.run("destroy", YES="1")


def test_what_a_failed_apply_left_is_destroyed(
    system: System, here: Deployment, names: AwsNames, tmp_path: Path
) -> None:
    made = Region(system, tmp_path / "region", names, "eu-west-1")

    def refuse(method: str, path: str) -> Fault:
        # a bucket, without which an output is missing
        made_here = method == "PUT" and path.endswith("/")
        return Fault.FORBIDDEN if made_here else Fault.NONE

    made.run("bootstrap")
    with control.requests_meet(here.access["AWS_ENDPOINT_URL"], ":root", refuse):
        assert "AccessDenied" in made.run("apply", status=1, YES="1")
        found = " ".join(made.run("doctor", status=2).split())
        assert "is half applied: Terraform's outputs lack" in found
        refused = made.run("destroy", status=1, YES="1")
        assert "user_pool_deletion_protection = false" in refused
        made.set("user_pool_deletion_protection = false")
        made.run("apply", status=1, YES="1")
    made.run("destroy", YES="1")
    assert "Nothing to delete" in made.run("destroy", YES="1")


@pytest.mark.parametrize("broken", ["versioning", "policy"])
def test_a_bootstrap_that_broke_off_is_finished_by_the_next(
    system: System, here: Deployment, names: AwsNames, tmp_path: Path, broken: str
) -> None:
    region = "eu-west-3"
    made = Region(system, tmp_path / "region", names, region)
    bucket = f"avatar-ops-terraform-state-000000000000-{region}"
    s3 = clients.client("s3", region, tuple(sorted(here.access.items())))

    def refuse(method: str, path: str) -> Fault:
        last = method == "PUT" and path.endswith(f"?{broken}")
        return Fault.FORBIDDEN if last else Fault.NONE

    with control.requests_meet(here.access["AWS_ENDPOINT_URL"], ":root", refuse):
        refused = made.run("bootstrap", status=1)
    assert "Ask for that permission" in refused
    assert s3.head_bucket(Bucket=bucket), "half made"
    made.run("bootstrap")
    try:
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert all(blocked.values())
        assert s3.get_bucket_encryption(Bucket=bucket)
        assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    finally:
        s3.delete_bucket_policy(Bucket=bucket)
        s3.delete_bucket(Bucket=bucket)
