"""The deployer's policies: valid, no wider than names allow, no less and no more than is asked for.

What is asked for was recorded on the emulator (tests/deployer); what only AWS asks is in
docs/deployer.md, with the reason.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import re
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from console.commands import deployer_policy as deployer_policy_command
from console.operations.environments import deployer_policy, target, variables
from console.operations.environments.deployer_policy import Environment, Statement
from console.operations.errors import OperationError

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/deployer.md").read_text()
CALLS: dict[str, dict[str, list[str]]] = json.loads(
    (ROOT / "tests/deployer/calls.json").read_text()
)
# Answered to whoever has credentials
ALWAYS_ALLOWED = {"sts:GetCallerIdentity"}
SHOP = Environment(
    name="avatar-ops-shop",
    env="shop",
    account="123456789012",
    region="eu-central-1",
    domain_name="shop.example",
    parameter="avatar-ops/shop/database-url",
    is_moderated=True,
)
EVERYTHING = dataclasses.replace(
    SHOP,
    user_pool_mail=True,
    parameter_key="arn:aws:kms:eu-central-1:123456789012:key/1234abcd",
    in_network=True,
    has_inventory=True,
)


def listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def rows(heading: str) -> dict[str, list[str]]:
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    cells = [
        [cell.strip() for cell in row.split("|")]
        for row in re.findall(r"^\| (`.*)\|$", section, re.MULTILINE)
    ]
    return {first.strip("`"): rest for first, *rest in cells}


def asked(environment: Environment) -> Iterator[tuple[str, str]]:
    """Yield each recorded action and resource, as the environment would ask for it."""
    values = {
        "name": environment.name,
        "env": environment.env,
        "account": environment.account,
        "region": environment.region,
        "domain": environment.domain_name,
        "id": "id123",
        "key": "ada.jpg",
    }
    for actions in CALLS.values():
        for action, resources in actions.items():
            if action not in ALWAYS_ALLOWED:
                yield from ((action, resource.format(**values)) for resource in resources)


def allowed(statements: list[Statement], action: str, resource: str) -> bool:
    return any(
        action in listed(one["Action"])
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in listed(one["Resource"]))
        for one in statements
    )


def actions_of(environment: Environment) -> set[str]:
    return {
        action
        for one in deployer_policy.statements(environment)
        for action in listed(one["Action"])
    }


@pytest.mark.parametrize("environment", [SHOP, EVERYTHING])
def test_each_document_is_valid_and_within_iams_limit(environment: Environment) -> None:
    documents = deployer_policy.documents(environment)
    ids = [one["Sid"] for document in documents.values() for one in document["Statement"]]
    assert len(ids) == len(set(ids))
    with mock_aws():
        iam = boto3.client("iam", region_name="us-east-1")
        for name, document in documents.items():
            text = json.dumps(document)
            assert len("".join(text.split())) <= 6144
            iam.create_policy(PolicyName=name, PolicyDocument=text)  # refuses what is malformed
    assert len(documents) <= 10, "so many can be attached to one role"


def test_every_recorded_call_is_allowed() -> None:
    statements = list(deployer_policy.statements(SHOP))
    refused = [call for call in asked(SHOP) if not allowed(statements, *call)]
    assert refused == []
    assert len(set(asked(SHOP))) > 150


def test_no_action_is_allowed_that_nothing_asks_for() -> None:
    recorded = {action for action, _ in asked(SHOP)}
    only_on_aws = set(rows("What only AWS asks"))
    assert actions_of(EVERYTHING) == recorded | only_on_aws
    assert recorded.isdisjoint(only_on_aws)


def test_of_another_environment_and_account_nothing_with_a_name_is_allowed() -> None:
    statements = list(deployer_policy.statements(SHOP))
    for other in (
        dataclasses.replace(SHOP, name="avatar-ops-stage", env="stage"),
        dataclasses.replace(SHOP, account="210987654321"),
        dataclasses.replace(SHOP, region="eu-west-1"),
    ):
        named = [call for call in set(asked(other)) - set(asked(SHOP)) if other.name in call[1]]
        assert len(named) > 30
        assert [call for call in named if allowed(statements, *call)] == []


def test_what_is_allowed_everywhere_is_what_aws_can_not_bound_and_the_page_says_so() -> None:
    found = {one["Sid"]: one for one in deployer_policy.statements(EVERYTHING)}
    documented = rows("Statements")
    assert list(documented) == list(found)
    for sid, statement in found.items():
        everywhere = statement["Resource"] == "*" and "Condition" not in statement
        assert ("all" in documented[sid][1].split()) == everywhere, sid


def test_records_of_other_names_in_the_zone_are_out_of_reach() -> None:
    (change,) = [one for one in deployer_policy.statements(SHOP) if one["Sid"] == "ChangeRecords"]
    (patterns,) = change["Condition"]["ForAllValues:StringLike"].values()

    def may(name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    assert may("api.shop.example")
    assert may("assets.shop.example")
    assert may("_0123abcd.assets.shop.example"), "proves the certificate's name"
    assert not may("shop.example")
    assert not may("www.shop.example")
    assert not may("_dmarc.shop.example")


def test_settings_decide_what_is_in_it() -> None:
    plain = dataclasses.replace(SHOP, domain_name="", parameter="", is_moderated=False)
    services = {action.partition(":")[0] for action in actions_of(plain)}
    assert services.isdisjoint({"route53", "acm", "ssm", "kms", "ec2"})
    theirs = dataclasses.replace(SHOP, user_pool_id="eu-west-1_abc", user_groups=False)
    users = {one for one in actions_of(theirs) if one.startswith("cognito-idp:")}
    assert {one.partition(":")[2] for one in users if "Admin" not in one} == {
        "DescribeUserPool",
        "DescribeUserPoolClient",
    }
    pools = {
        resource
        for one in deployer_policy.statements(theirs)
        for resource in listed(one["Resource"])
        if "userpool" in resource
    }
    assert pools == {"arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_abc"}


@pytest.fixture
def tfvars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(target, "TFVARS", tmp_path)
    return tmp_path / "shop.tfvars"


def test_terraform_reads_the_settings(tfvars: Path) -> None:
    tfvars.write_text(
        """
        environment = "shop"
        region      = "eu-central-1"
        account_id  = "123456789012" # a comment
        front_end_origins = ["https://shop.example"]
        inventory = { enabled = true }
        database = {
          url_parameter_name = "/shop/url"
          subnet_ids         = ["subnet-1"]
          security_group_ids = ["sg-1"]
        }
        """
    )
    found = Environment.from_variables("shop", variables.read("shop"))
    assert found == Environment(
        "avatar-ops-shop",
        "shop",
        "123456789012",
        "eu-central-1",
        parameter="shop/url",
        in_network=True,
        has_inventory=True,
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"account_id": "null"}, "Nothing says which AWS account shop is in"),
        ({"environment": '"prod"'}, "its tfvars are of 'prod'"),
        ({"region": '"cn-north-1"'}, "region"),
    ],
)
def test_settings_that_do_not_say_where_are_refused(
    tfvars: Path, changed: dict[str, str], said: str
) -> None:
    values = {
        "environment": '"shop"',
        "region": '"eu-central-1"',
        "account_id": '"123456789012"',
        "front_end_origins": '["https://shop.example"]',
    } | changed
    tfvars.write_text("\n".join(f"{name} = {text}" for name, text in values.items()))
    with pytest.raises(OperationError, match=said):
        Environment.from_variables("shop", variables.read("shop"))


def test_standard_output_is_json_and_how_to_attach_it_is_said_beside_it(
    tfvars: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tfvars.write_text(
        (ROOT / "terraform/envs/example.tfvars").read_text().replace('"prod"', '"shop"')
    )
    monkeypatch.setenv("ENV", "shop")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody answers there
    with pytest.raises(SystemExit) as ended:
        deployer_policy_command.app(["deployer-policy"])
    assert not ended.value.code
    said = capsys.readouterr()
    documents = json.loads(said.out)
    assert list(documents) == ["avatar-ops-shop-deployer-1", "avatar-ops-shop-deployer-2"]
    words = " ".join(said.err.split())
    assert "these are 2" in words
    assert "attach all of them to the role or user that deploys" in words
