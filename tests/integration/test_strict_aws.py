"""What AWS does and the embedded AWS doesn't, which the tests impose: tests/strict_aws."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from console.operations import web
from console.operations.environments import clients
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters
from tests.faults.ledger import Ledger, redelivered_after
from tests.integration.system import picture, wait_until
from tests.strict_aws import control

FRONT_END = "http://localhost:3000"


@contextmanager
def bucket(here: Deployment, name: str, region: str) -> Iterator[str]:
    """A bucket in some region."""
    s3 = clients.client("s3", region, tuple(sorted(here.access.items())))
    there = {} if region == "us-east-1" else {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": there} if there else {}))
    try:
        yield name
    finally:
        s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize(
    ("region", "status"),
    [("us-east-1", 403), ("eu-central-1", 307), ("me-central-1", 400), ("ap-southeast-3", 400)],
)
def test_the_global_s3_host_serves_one_region(here: Deployment, region: str, status: int) -> None:
    with bucket(here, f"young-{region}", region) as name:
        answers = [
            web.request("GET", here.access["AWS_ENDPOINT_URL"] + path, {"Host": host})
            for host, path in (
                (f"{name}.s3.amazonaws.com", "/cors"),
                ("s3.amazonaws.com", f"/{name}/cors"),
            )
        ]
        regional = web.request(
            "GET",
            here.access["AWS_ENDPOINT_URL"] + "/cors",
            {"Host": f"{name}.s3.{region}.amazonaws.com"},
        )
    assert [answer.status for answer in answers] == [status, status]
    assert not any("access-control-allow-origin" in answer.headers for answer in answers)
    assert regional.status == 403, "unsigned"


def test_who_may_not_list_a_bucket_is_not_told_what_is_missing(here: Deployment) -> None:
    access = tuple(sorted(here.access.items()))
    iam, sts = (
        clients.client("iam", here.region, access),
        clients.client("sts", here.region, access),
    )
    arn = f"arn:aws:s3:::{here.assets_bucket}"

    def allow(*statements: tuple[str, str]) -> None:
        document = [
            {"Effect": "Allow", "Action": action, "Resource": resource}
            for action, resource in statements
        ]
        iam.put_role_policy(
            RoleName="reader",
            PolicyName="reads",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": document}),
        )

    def code() -> str:
        import boto3

        role = sts.assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="reader")
        keys = role["Credentials"]
        s3 = boto3.client(
            "s3",
            region_name=here.region,
            endpoint_url=here.access["AWS_ENDPOINT_URL"],
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )
        with pytest.raises(ClientError) as raised:
            s3.get_object(Bucket=here.assets_bucket, Key="avatars/nobody.jpg")
        with pytest.raises(ClientError) as of_head:
            s3.head_object(Bucket=here.assets_bucket, Key="avatars/nobody.jpg")
        status = of_head.value.response["ResponseMetadata"]["HTTPStatusCode"]
        return f"{status} {raised.value.response['Error']['Code']}"

    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    made = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))
    try:
        allow(("s3:GetObject", f"{arn}/*"))
        assert code() == "403 AccessDenied"
        allow(("s3:GetObject", f"{arn}/*"), ("s3:ListBucket", arn))
        assert code() == "404 NoSuchKey"
    finally:
        iam.delete_role_policy(RoleName="reader", PolicyName="reads")
        iam.delete_role(RoleName="reader")


def test_an_upload_that_a_young_bucket_does_not_find_yet_is_served_later(ledger: Ledger) -> None:
    here = ledger.here
    with control.versioning_just_enabled(here, here.uploads_bucket):
        with redelivered_after(here, 15):  # longer than a cold start, or it comes twice at once
            ledger.put("young.jpg", picture(81))
            wait_until(lambda: dead_letters.counts(here)["in_flight"], "the first read")
        # the second try may take its time
        assert ledger.settle("versioning just enabled: the first read finds nothing")["served"] == 1


def test_a_protected_pool_is_not_deleted(here: Deployment) -> None:
    made = here.cognito.create_user_pool(PoolName="protected", DeletionProtection="ACTIVE")
    pool = made["UserPool"]["Id"]
    with pytest.raises(ClientError, match="InvalidParameterException"):
        here.cognito.delete_user_pool(UserPoolId=pool)
    here.cognito.update_user_pool(UserPoolId=pool, DeletionProtection="INACTIVE")
    here.cognito.delete_user_pool(UserPoolId=pool)


def test_s3_notifies_no_topic_whose_policy_does_not_admit_it(here: Deployment) -> None:
    """The embedded AWS does so itself."""
    sns = clients.client("sns", here.region, tuple(sorted(here.access.items())))
    topic = sns.create_topic(Name="without-policy")["TopicArn"]
    wanted: Any = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]}
    try:
        with (
            bucket(here, "notifying", here.region) as name,
            pytest.raises(ClientError, match="Unable to validate the following destination"),
        ):
            here.s3.put_bucket_notification_configuration(
                Bucket=name, NotificationConfiguration=wanted
            )
    finally:
        sns.delete_topic(TopicArn=topic)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/avatars/key_upload", 401), ("GET", "/nowhere", 404)],
)
def test_the_gateways_own_refusals_carry_no_cors_headers(
    here: Deployment, method: str, path: str, status: int
) -> None:
    """The embedded AWS does so itself; so a page sees no status, and the contract says so."""
    refused = web.request(method, f"{here.api_url}{path}", {"Origin": FRONT_END})
    assert refused.status == status
    assert "access-control-allow-origin" not in refused.headers
    served = web.request("GET", f"{here.api_url}/api/activities/nobody", {"Origin": FRONT_END})
    assert served.headers["access-control-allow-origin"] == FRONT_END, "the function's 404"


def test_the_cdn_answers_a_preflight_by_the_buckets_rule(here: Deployment) -> None:
    def preflight(origin: str) -> web.Response:
        return web.request(
            "OPTIONS",
            f"{here.assets_url}/avatars/_default.jpg",
            {
                "Origin": origin,
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "traceparent",
            },
        )

    admitted = preflight(FRONT_END)
    assert admitted.status in {200, 204}, admitted.body
    assert admitted.headers["access-control-allow-origin"] == FRONT_END
    assert preflight("https://foreign.example").status not in {200, 204}


def test_the_accounts_concurrency_is_a_new_ones(here: Deployment) -> None:
    limit = here.functions.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    assert limit == 10
