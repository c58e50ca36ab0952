"""The application's own user pool, in another region, with other groups and flows than ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from console.operations.environments import clients
from console.operations.environments.deployment import Deployment
from console.operations.environments.doctor import users
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.terraform_state import TerraformState
from console.operations.errors import OperationError
from console.operations.uploads import test_users
from tests.unit.console import deployments

FLOWS = ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    with mock_aws():
        made = deployments.make(tmp_path)
        cognito = boto3.client("cognito-idp", region_name="us-west-2")
        pool = cognito.create_user_pool(PoolName="shop", UsernameAttributes=["email"])["UserPool"]
        client = cognito.create_user_pool_client(
            UserPoolId=pool["Id"], ClientName="web", ExplicitAuthFlows=FLOWS
        )["UserPoolClient"]
        yield replace(made, user_pool_id=pool["Id"], user_pool_client_id=client["ClientId"])
    clients.forget_clients()


def group(here: Deployment) -> None:
    here.cognito.create_group(UserPoolId=here.user_pool_id, GroupName=test_users.GROUP)


def test_a_test_user_signs_in_where_the_pool_is(here: Deployment) -> None:
    assert here.region != "us-west-2"
    group(here)
    assert test_users.sign_in(here, "ada").token


def test_a_pool_without_the_group_is_left_without_a_user(here: Deployment) -> None:
    with pytest.raises(OperationError, match="no group test-users"):
        test_users.sign_in(here, "ada")
    assert here.cognito.list_users(UserPoolId=here.user_pool_id)["Users"] == []


def test_a_client_of_others_may_have_other_flows(here: Deployment) -> None:
    examined = Examined(here, TerraformState({}, {}))
    (flows, secret) = users._client(examined)
    assert (flows.state, secret.state) == ("ok", "ok")
    here.cognito.update_user_pool_client(
        UserPoolId=here.user_pool_id,
        ClientId=here.user_pool_client_id,
        ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )
    (flows, _) = users._client(examined)
    assert flows.state == "warning"
    assert "ALLOW_ADMIN_USER_PASSWORD_AUTH" in flows.remedy
