"""Whoever has the printed policies, and nothing else, makes, runs and deletes an environment.

What was asked of IAM meanwhile is kept in ``calls.json``, so that the policies are compared with it
at every run of the tests: tests/unit/console/test_deployer_policy.py. After a change of Terraform
or of the commands, ``DEPLOYER_RECORD=1 make test-deployer`` writes it again.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.operations.environments import deployer_policy, target, variables
from tests.deployer.deployed import ENV, Deployed, deployed, generic
from tests.integration.system import picture

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
CALLS = Path(__file__).with_name("calls.json")

# Other values of whatever a setting can change in place, so that an update is asked for too
CHANGED = {
    "front_end_origins": '["https://new.example"]',
    "noncurrent_version_days": "7",
    "log_retention_days": "7",
    "user_pool_tier": '"ESSENTIALS"',
    "other_app_clients": '["ios"]',
    "authorizer_ttl_seconds": "60",
    "api_throttling": "{ rate_limit = 5, burst_limit = 6 }",
    "resize": "{ maximum_concurrency = 3, timeout = 16, memory_size = 1024 }",
    "price_class": '"PriceClass_200"',
    "alarm_email": "null",
    "domain_name": "null",
    "database": '{ url_parameter_name = "/avatar-ops/shop/database-url" }',
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("deployer")) as running:
        running.settings()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(target, "TFVARS", running.folder / "envs")
            environment = deployer_policy.Environment.from_variables(ENV, variables.read(ENV))
        running.sign_in(deployer_policy.documents(environment))
        yield running


def test_the_policies_are_enough_for_all_of_it_and_are_asked_for_what_is_recorded(
    here: Deployed, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(picture(3))
    found: dict[str, dict[str, list[str]]] = {}

    def run(command: str, **options: str) -> None:
        before = len(here.authorised())
        here.run(command, **options)
        asked = found.setdefault(command, {})
        for decision in here.authorised()[before:]:
            resources = {*asked.get(decision.action, []), generic(decision.resource)}
            asked[decision.action] = sorted(resources)

    run("bootstrap")
    run("plan")
    run("apply", YES="1")
    run("migrate")
    run("doctor")
    run("upload", FILE=str(photo))
    run("upload", FILE=str(photo), DIRECT="1", KEY="photo.jpg")
    here.settings(**CHANGED)
    with zipfile.ZipFile(here.folder / f"state/{ENV}/build/presign.zip", "a") as archive:
        archive.writestr("changed.txt", "a release")
    run("apply", YES="1")
    here.settings()
    run("destroy", YES="1", FORCE="1")
    run("destroy", YES="1", FORCE="1")

    assert here.refused() == []
    left = [bucket["Name"] for bucket in here.root("s3").list_buckets()["Buckets"]]
    assert [name for name in left if "terraform-state" not in name] == []
    if os.environ.get("DEPLOYER_RECORD"):
        CALLS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    recorded = json.loads(CALLS.read_text())
    assert found == recorded, "DEPLOYER_RECORD=1 make test-deployer writes it again"


def test_without_a_policy_the_user_can_do_nothing(here: Deployed) -> None:
    iam = here.root("iam")
    for policy in iam.list_attached_user_policies(UserName="deployer")["AttachedPolicies"]:
        iam.detach_user_policy(UserName="deployer", PolicyArn=policy["PolicyArn"])
    assert "Ask for s3:ListBucket" in here.run("plan", status=1)
    assert "AccessDenied" in here.run("plan", status=1, FORCE="1")
