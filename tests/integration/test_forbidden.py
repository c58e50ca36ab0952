"""What no function, anonymous caller or other bucket may do, tried with real credentials.

`ATTEMPTS` names each act with those who may do it; docs/least-privilege.md shows the same table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from console.operations import web
from console.operations.environments import databases
from console.operations.environments.deployment import Deployment
from console.operations.uploads.test_users import SignIn
from tests.integration.policies import DENIALS, Actors, DeniedError, account, policies
from tests.integration.system import System, picture, wait_for_version, wait_until
from tests.integration.test_least_privilege import (
    FUNCTIONS,
    NOTHING,
    callable_by,
    cleanup_queue,
    execution_arn,
    notify,
)
from tests.integration.test_uploads import grant, send

NAME = "forbidden"
#: Makes a client of a service.
Client = Callable[[str], Any]


@dataclass(frozen=True)
class Attempt:
    """An act, and the functions that may do it; `call` also gets the acting function's name."""

    action: str
    call: Callable[[Client, Deployment, str], object]
    may: frozenset[str] = frozenset()


def attempt(action: str, call: Callable[[Client, Deployment, str], object], *may: str) -> Attempt:
    return Attempt(action, call, frozenset(may))


def another(here: Deployment, function: str) -> str:
    """Return the deployed name of another function, which is its role's name too."""
    return here.function_names["resize" if function != "resize" else "presign"]


def read_object(bucket: str, key: str) -> Callable[[Client, Deployment, str], object]:
    return lambda client, here, _: client("s3").get_object(Bucket=getattr(here, bucket), Key=key)


def write_object(bucket: str, key: str) -> Callable[[Client, Deployment, str], object]:
    return lambda client, here, _: client("s3").put_object(
        Bucket=getattr(here, bucket), Key=key, Body=b""
    )


def delete_object(bucket: str, **which: str) -> Callable[[Client, Deployment, str], object]:
    return lambda client, here, _: client("s3").delete_object(Bucket=getattr(here, bucket), **which)


ATTEMPTS = {
    "list the uploads": attempt(
        "s3:ListBucket",
        lambda client, here, _: client("s3").list_objects_v2(Bucket=here.uploads_bucket),
        "crop",
        "resize",
    ),
    "list the uploads' versions": attempt(
        "s3:ListBucketVersions",
        lambda client, here, _: client("s3").list_object_versions(Bucket=here.uploads_bucket),
    ),
    "read an upload": attempt(
        "s3:GetObject", read_object("uploads_bucket", f"{NAME}/"), "crop", "resize"
    ),
    "write an upload": attempt(
        "s3:PutObject", write_object("uploads_bucket", f"{NAME}/"), "crop", "presign"
    ),
    "delete an upload": attempt(
        "s3:DeleteObject", delete_object("uploads_bucket", Key=f"{NAME}/none"), "remove"
    ),
    "delete an upload's version": attempt(
        "s3:DeleteObjectVersion", delete_object("uploads_bucket", Key=NAME, VersionId="null")
    ),
    "list the avatars": attempt(
        "s3:ListBucket",
        lambda client, here, _: client("s3").list_objects_v2(Bucket=here.assets_bucket, MaxKeys=1),
        "cleanup",
        "resize",
        "profiles",
        "report",
    ),
    "read an avatar": attempt(
        "s3:GetObject",
        read_object("assets_bucket", "avatars/_default.jpg"),
        "cleanup",
        "resize",
        "profiles",
        "report",
    ),
    "write an avatar": attempt(
        "s3:PutObject", write_object("assets_bucket", f"avatars/{NAME}"), "resize"
    ),
    "write a variant": attempt(
        "s3:PutObject", write_object("assets_bucket", f"variants/{NAME}"), "resize"
    ),
    "write a rejection": attempt(
        "s3:PutObject", write_object("assets_bucket", f"rejections/{NAME}"), "resize"
    ),
    "write a user's banner": attempt(
        "s3:PutObject", write_object("assets_bucket", f"avatars/banners/{NAME}"), "resize"
    ),
    "write the banner of all": attempt(
        "s3:PutObject", write_object("assets_bucket", f"banners/{NAME}")
    ),
    "write elsewhere in the assets bucket": attempt(
        "s3:PutObject", write_object("assets_bucket", NAME)
    ),
    "read a variant": attempt("s3:GetObject", read_object("assets_bucket", f"variants/{NAME}")),
    "delete an avatar": attempt(
        "s3:DeleteObject", delete_object("assets_bucket", Key=f"avatars/{NAME}")
    ),
    "delete a variant": attempt(
        "s3:DeleteObject", delete_object("assets_bucket", Key=f"variants/{NAME}"), "cleanup"
    ),
    "delete a rejection": attempt(
        "s3:DeleteObject", delete_object("assets_bucket", Key=f"rejections/{NAME}"), "cleanup"
    ),
    "delete the banner of all": attempt(
        "s3:DeleteObject", delete_object("assets_bucket", Key=f"banners/{NAME}")
    ),
    "open the uploads bucket": attempt(
        "s3:PutBucketPolicy",
        lambda client, here, _: client("s3").put_bucket_policy(
            Bucket=here.uploads_bucket, Policy="{}"
        ),
    ),
    "read the state of Terraform": attempt(
        "s3:ListBucket",
        lambda client, here, _: client("s3").list_objects_v2(
            Bucket=f"avatar-ops-terraform-state-{account(here)}-{here.region}"
        ),
    ),
    "take from the queue": attempt(
        "sqs:ReceiveMessage",
        lambda client, here, _: client("sqs").receive_message(
            QueueUrl=here.queue_url, VisibilityTimeout=0
        ),
        "resize",
    ),
    "send to the queue": attempt(
        "sqs:SendMessage",
        lambda client, here, _: client("sqs").send_message(
            QueueUrl=here.queue_url, MessageBody=NOTHING
        ),
        "cleanup",
    ),
    "take from the cleanup queue": attempt(
        "sqs:ReceiveMessage",
        lambda client, here, _: client("sqs").receive_message(
            QueueUrl=cleanup_queue(here), VisibilityTimeout=0
        ),
        "cleanup",
    ),
    "send to the cleanup queue": attempt(
        "sqs:SendMessage",
        lambda client, here, _: client("sqs").send_message(
            QueueUrl=cleanup_queue(here), MessageBody=json.dumps({"name": NAME})
        ),
        "resize",
    ),
    "empty the queue": attempt(
        "sqs:PurgeQueue", lambda client, here, _: client("sqs").purge_queue(QueueUrl=here.queue_url)
    ),
    "open the queue": attempt(
        "sqs:SetQueueAttributes",
        lambda client, here, _: client("sqs").set_queue_attributes(
            QueueUrl=here.queue_url, Attributes={"Policy": ""}
        ),
    ),
    "receive a dead-letter message": attempt(
        "sqs:ReceiveMessage",
        lambda client, here, _: client("sqs").receive_message(
            QueueUrl=here.dead_letter_queue_url, VisibilityTimeout=0
        ),
    ),
    "look at a user's limits": attempt(
        "dynamodb:GetItem",
        lambda client, here, _: client("dynamodb").get_item(
            TableName=here.limits_table, Key={"user": {"S": NAME}}
        ),
        "crop",
        "presign",
    ),
    "count a user's uploads": attempt(
        "dynamodb:UpdateItem",
        lambda client, here, _: client("dynamodb").update_item(
            TableName=here.limits_table, Key={"user": {"S": NAME}}
        ),
        "remove",
        "report",
        "resize",
    ),
    "look at what was decided": attempt(
        "dynamodb:Query",
        lambda client, here, _: client("dynamodb").query(
            TableName=here.reviews_table,
            KeyConditionExpression="#name = :name",
            ExpressionAttributeNames={"#name": "name"},
            ExpressionAttributeValues={":name": {"S": NAME}},
        ),
        "resize",
    ),
    "put a picture on the list": attempt(
        "dynamodb:UpdateItem",
        lambda client, here, _: client("dynamodb").update_item(
            TableName=here.reviews_table, Key={"name": {"S": NAME}, "version": {"S": "1"}}
        ),
        "report",
    ),
    "take a picture off the list": attempt(
        "dynamodb:DeleteItem",
        lambda client, here, _: client("dynamodb").delete_item(
            TableName=here.reviews_table, Key={"name": {"S": NAME}, "version": {"S": "1"}}
        ),
    ),
    "list what is held or reported": attempt(
        "dynamodb:Scan",
        lambda client, here, _: client("dynamodb").scan(TableName=here.reviews_table),
    ),
    "delete a user's limits": attempt(
        "dynamodb:DeleteItem",
        lambda client, here, _: client("dynamodb").delete_item(
            TableName=here.limits_table, Key={"user": {"S": NAME}}
        ),
    ),
    "list the users' limits": attempt(
        "dynamodb:Scan",
        lambda client, here, _: client("dynamodb").scan(TableName=here.limits_table),
    ),
    "publish to the topic": attempt(
        "sns:Publish",
        lambda client, here, _: client("sns").publish(TopicArn=here.topic_arn, Message="{}"),
    ),
    "subscribe to the topic": attempt(
        "sns:Subscribe",
        lambda client, here, _: client("sns").subscribe(
            TopicArn=here.topic_arn, Protocol="https", Endpoint="https://foreign.invalid"
        ),
    ),
    "read the function's database URL": attempt(
        "ssm:GetParameter",
        lambda client, here, _: client("ssm").get_parameter(
            Name=here.database_url_parameter, WithDecryption=True
        ),
        "profiles",
    ),
    "read the owner's database URL": attempt(
        "ssm:GetParameter",
        lambda client, here, _: client("ssm").get_parameter(
            Name=databases.owner_parameter(here), WithDecryption=True
        ),
    ),
    "list the parameters": attempt(
        "ssm:GetParametersByPath",
        lambda client, here, _: client("ssm").get_parameters_by_path(Path="/", Recursive=True),
    ),
    "change the database URL": attempt(
        "ssm:PutParameter",
        lambda client, here, _: client("ssm").put_parameter(
            Name=here.database_url_parameter, Value="x", Type="SecureString", Overwrite=True
        ),
    ),
    "widen its own role": attempt(
        "iam:PutRolePolicy",
        lambda client, here, function: client("iam").put_role_policy(
            RoleName=here.function_names[function], PolicyName=NAME, PolicyDocument="{}"
        ),
    ),
    "open its own role to others": attempt(
        "iam:UpdateAssumeRolePolicy",
        lambda client, here, function: client("iam").update_assume_role_policy(
            RoleName=here.function_names[function], PolicyDocument="{}"
        ),
    ),
    "take another function's role": attempt(
        "sts:AssumeRole",
        lambda client, here, function: client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{account(here)}:role/{another(here, function)}",
            RoleSessionName=NAME,
        ),
    ),
    "call another function": attempt(
        "lambda:InvokeFunction",
        lambda client, here, function: client("lambda").invoke(
            FunctionName=another(here, function)
        ),
    ),
    "read another function's settings": attempt(
        "lambda:GetFunctionConfiguration",
        lambda client, here, function: client("lambda").get_function_configuration(
            FunctionName=another(here, function)
        ),
    ),
    "change its own code": attempt(
        "lambda:UpdateFunctionCode",
        lambda client, here, function: client("lambda").update_function_code(
            FunctionName=here.function_names[function], ZipFile=b""
        ),
    ),
    "read its own log": attempt(
        "logs:FilterLogEvents",
        lambda client, here, function: client("logs").filter_log_events(
            logGroupName=f"/aws/lambda/{here.function_names[function]}"
        ),
    ),
    "list the users": attempt(
        "cognito-idp:ListUsers",
        lambda client, here, _: client("cognito-idp").list_users(UserPoolId=here.user_pool_id),
    ),
    "invalidate the CDN": attempt(
        "cloudfront:CreateInvalidation",
        lambda client, here, _: client("cloudfront").create_invalidation(
            DistributionId=here.distribution_id,
            InvalidationBatch={
                "Paths": {"Quantity": 1, "Items": ["/*"]},
                "CallerReference": str(time.time()),
            },
        ),
    ),
}


@pytest.fixture(scope="module")
def actors(system: System) -> Iterator[Actors]:
    here = system.deployment()
    # an upload that resize passes over, for its name is a folder's
    here.s3.put_object(Bucket=here.uploads_bucket, Key=f"{NAME}/", Body=b"")
    yield Actors(here)
    stored = here.s3.list_object_versions(Bucket=here.uploads_bucket, Prefix=f"{NAME}/")
    for version in [*stored["Versions"], *stored.get("DeleteMarkers", [])]:
        here.s3.delete_object(
            Bucket=here.uploads_bucket, Key=version["Key"], VersionId=version["VersionId"]
        )
    for folder in ("avatars", "variants", "rejections"):
        here.s3.delete_object(Bucket=here.assets_bucket, Key=f"{folder}/{NAME}")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("what", ATTEMPTS)
def test_each_function_does_what_it_may_and_no_more(
    here: Deployment, actors: Actors, what: str, function: str
) -> None:
    tried = ATTEMPTS[what]

    def act() -> None:
        tried.call(lambda service: actors.client(function, service), here, function)

    if function in tried.may:
        act()
        return
    with pytest.raises(ClientError) as refused:
        act()
    assert refused.value.response["Error"]["Code"] in DENIALS, refused.value
    assert tried.action in str(refused.value)


def test_no_function_writes_another_ones_log(here: Deployment) -> None:
    for function in FUNCTIONS:
        groups = [
            f"arn:aws:logs:{here.region}:{account(here)}:log-group:/aws/lambda/{name}"
            for name in here.function_names.values()
        ]
        allowed = [
            group
            for group in groups
            if here.iam.simulate_principal_policy(
                PolicySourceArn=f"arn:aws:iam::{account(here)}:role/{here.function_names[function]}",
                ActionNames=["logs:PutLogEvents"],
                ResourceArns=[f"{group}:log-stream:x"],
            )["EvaluationResults"][0]["EvalDecision"]
            == "allowed"
        ]
        assert [group.rpartition("/")[2] for group in allowed] == [here.function_names[function]]


def test_nobody_else_may_call_a_function(here: Deployment) -> None:
    gateway, topic = "apigateway.amazonaws.com", here.topic_arn
    own = execution_arn(here)
    elsewhere = own.rpartition(":")[0] + ":another"
    upload, profile = "$default/POST/avatars/key_upload", "$default/GET/api/activities/{handle}"
    for function, service, source in (
        ("authorizer", gateway, f"{elsewhere}/authorizers/one"),
        ("authorizer", gateway, f"{own}/{upload}"),
        ("presign", gateway, f"{elsewhere}/{upload}"),
        ("presign", gateway, f"{own}/{profile}"),
        ("presign", "sns.amazonaws.com", f"{own}/{upload}"),
        ("crop", gateway, f"{own}/{upload}"),
        ("remove", gateway, f"{own}/{upload}"),
        ("remove", gateway, f"{elsewhere}/$default/DELETE/avatars"),
        ("cleanup", gateway, f"{own}/{upload}"),
        ("cleanup", "sns.amazonaws.com", topic),
        ("profiles", gateway, f"{own}/{upload}"),
        ("profiles", gateway, topic),
        ("profiles", "sns.amazonaws.com", f"{topic}-2"),
        ("profiles", "s3.amazonaws.com", f"arn:aws:s3:::{here.assets_bucket}"),
        ("resize", gateway, f"{own}/{upload}"),
        ("resize", "s3.amazonaws.com", f"arn:aws:s3:::{here.uploads_bucket}"),
    ):
        with pytest.raises(DeniedError):
            callable_by(here, function, service, source)


def test_another_distribution_serves_nothing(here: Deployment) -> None:
    config: Any = here.cloudfront.get_distribution_config(Id=here.distribution_id)[
        "DistributionConfig"
    ]
    config |= {"CallerReference": NAME, "Aliases": {"Quantity": 0}}
    answered = here.cloudfront.create_distribution(DistributionConfig=config)
    made = answered["Distribution"]
    label = here.assets_url.partition("//")[2].partition(".")[0]
    url = here.assets_url.replace(label, made["DomainName"].partition(".")[0])
    try:
        assert web.request("GET", f"{here.assets_url}/banners/banner.jpg").status == 200
        answer = web.request("GET", f"{url}/banners/banner.jpg")
        assert answer.status == 403
        # it is a distribution like ours: the bucket's policy alone tells them apart
        (policy,) = (policy for policy in policies(here) if policy.owner == "assets bucket")
        before = policy.read()
        source = {"StringEquals": {"aws:SourceArn": made["ARN"]}}
        try:
            policy.write([before[0] | {"Condition": source}])
            assert web.request("GET", f"{url}/banners/banner.jpg").status == 200
            assert web.request("GET", f"{here.assets_url}/banners/banner.jpg").status == 403
        finally:
            policy.write(before)
    finally:
        off = here.cloudfront.update_distribution(
            Id=made["Id"],
            IfMatch=answered["ETag"],
            DistributionConfig=config | {"Enabled": False},
        )
        here.cloudfront.delete_distribution(Id=made["Id"], IfMatch=off["ETag"])


def test_nobody_reads_an_upload_through_the_api(
    here: Deployment, ada: SignIn, grace: SignIn
) -> None:
    data = picture(92, (64, 64))
    wait_for_version(here, grace.sub, send(here, grace, data))
    own, foreign = (grant(here, user, data) for user in (grace, ada))
    for url, headers in (
        (own["url"], own["headers"]),
        (own["url"], {}),
        (own["url"].partition("?")[0], {}),
        (foreign["url"].replace(f"/{ada.sub}?", f"/{grace.sub}?"), foreign["headers"]),
    ):
        answer = web.request("GET", url, headers)
        assert answer.status == 403
        assert data not in answer.body
    for path in (grace.sub, f"uploads/{grace.sub}", f"avatars/../{grace.sub}"):
        answer = web.request("GET", f"{here.assets_url}/{path}")
        assert answer.status == 404
        assert data not in answer.body


@pytest.mark.parametrize(
    "what",
    [
        "list the uploads",
        "write an upload",
        "write an avatar",
        "take from the queue",
        "send to the queue",
        "receive a dead-letter message",
        "publish to the topic",
        "read the function's database URL",
        "call another function",
        "list the users",
    ],
)
def test_a_caller_without_credentials_is_refused(here: Deployment, what: str) -> None:
    def client(service: str) -> Any:
        return boto3.Session().client(
            service,
            region_name=here.region,
            endpoint_url=here.access["AWS_ENDPOINT_URL"],
            config=Config(signature_version=UNSIGNED),
        )

    with pytest.raises(ClientError) as refused:
        ATTEMPTS[what].call(client, here, "presign")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in {400, 403}
    code = refused.value.response["Error"]["Code"].removesuffix("Exception")
    assert code in DENIALS | {"MissingAuthenticationToken"}


@pytest.fixture
def foreign_bucket(here: Deployment) -> Iterator[str]:
    """A bucket of the same account that the policies don't name."""
    name = f"{NAME}-{account(here)}"
    here.s3.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    yield name
    here.s3.delete_object(Bucket=name, Key="avatars/x")
    here.s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize("kind", ["Queue", "Topic"])
def test_another_bucket_tells_neither_queue_nor_topic(
    system: System, here: Deployment, foreign_bucket: str, kind: str
) -> None:
    arn = {
        "Queue": here.sqs.get_queue_attributes(
            QueueUrl=here.queue_url, AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"],
        "Topic": here.topic_arn,
    }[kind]
    wanted = {f"{kind}Configurations": [{f"{kind}Arn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    with pytest.raises(DeniedError):
        notify(here, foreign_bucket, wanted)
    # and where S3 isn't asked to try first, it is refused at each object
    here.s3.put_bucket_notification_configuration(
        Bucket=foreign_bucket,
        NotificationConfiguration=wanted,  # type: ignore[arg-type]
        SkipDestinationValidation=True,
    )
    here.s3.put_object(Bucket=foreign_bucket, Key="avatars/x", Body=b"")
    log = system.directory / "state/local/emulator.log"
    refusal = f"{kind.lower()} policy denies delivery from {foreign_bucket}"
    wait_until(lambda: refusal in log.read_text(), "S3 being refused")
