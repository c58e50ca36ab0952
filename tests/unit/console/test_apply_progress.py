"""What an operator sees while Terraform works, and after it has deleted an environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from console.operations.environments import terraform
from console.operations.environments.infrastructure import Bucket, Destroy
from console.operations.environments.terraform import Changes, Plan
from console.operations.environments.terraform_state import TerraformState
from console.operations.progress import Event, Report


def still(addr: str, kind: str, action: str, seconds: int) -> str:
    """Return a line of `terraform apply -json`, as Terraform 1.11 writes it every ten seconds."""
    resource = {
        "addr": addr, "module": "", "resource": addr, "implied_provider": "aws",
        "resource_type": kind, "resource_name": "this", "resource_key": None,
    }  # fmt: skip
    hook = {"resource": resource, "action": action, "elapsed_seconds": seconds}
    return json.dumps({"@level": "info", "type": "apply_progress", "hook": hook})


@pytest.mark.parametrize(
    ("kind", "action", "said"),
    [
        ("aws_cloudfront_distribution", "create", "CloudFront tells its edge locations"),
        ("aws_cloudfront_distribution", "delete", "CloudFront tells its edge locations"),
        ("aws_acm_certificate_validation", "create", "not delegated"),
        ("aws_sqs_queue", "create", ""),
    ],
)
def test_an_apply_that_waits_says_for_what_and_for_how_long(
    kind: str, action: str, said: str
) -> None:
    events: list[Event] = []
    reader = terraform._Reader(events.append)
    for seconds in (10, 20):
        reader.read(still(f"module.x.{kind}.this", kind, action, seconds))
    assert [event.state for event in events] == ["advanced", "advanced"]
    assert f"module.x.{kind}.this: 20 s" in events[-1].detail
    assert said in events[-1].detail


def destroy(network: list[dict[str, Any]]) -> Destroy:
    class Workspace:
        def apply(self, plan: Plan, report: Report) -> Changes:
            del plan, report
            return Changes(remove=2)

    plan = Plan(
        Path("plan"), Changes(remove=2), empty=False, artifacts=Path(), description=("- it",)
    )
    functions = [{"function_name": "presign", "vpc_config": []}, {"vpc_config": network}]
    state = TerraformState({}, {"aws_lambda_function": functions})
    buckets: tuple[Bucket, ...] = ()
    return Destroy(Workspace(), plan, state, buckets, force=False)  # type: ignore[arg-type]


def test_a_destroy_says_that_lambdas_network_interfaces_stay_for_a_while() -> None:
    change = destroy([{"subnet_ids": ["subnet-2", "subnet-1"], "security_group_ids": ["sg-1"]}])
    said = "network interfaces in subnet-1, subnet-2 stay for up to 45 minutes"
    assert said in change.lines()[-1], "before it is confirmed"
    assert said in change.execute(lambda event: None), "and when it is done"


def test_without_a_network_a_destroy_says_nothing_of_it() -> None:
    change = destroy([])
    assert change.lines() == ["- it"]
    assert change.execute(lambda event: None) == "Deleted: 0 to add, 0 to change, 2 to remove."
