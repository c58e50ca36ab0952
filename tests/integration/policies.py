"""The live policies, one grant at a time: list them, withdraw one for a while, act as a role."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from console.operations.environments.deployment import CDN_REGION, Deployment, client
from console.operations.releases.aliases import ALIAS

#: What AWS's services call a request that a policy doesn't allow; HEAD has no body to say more.
DENIALS = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"}
_MISSING = {"NoSuchBucketPolicy", "ResourceNotFoundException"}

Statement = dict[str, Any]


class DeniedError(Exception):
    """A policy doesn't allow what was tried."""


@contextlib.contextmanager
def denials() -> Iterator[None]:
    """Raise DeniedError for a call that a policy doesn't allow; other errors are errors."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in DENIALS:
            raise DeniedError(str(error)) from error
        raise


@dataclass(frozen=True)
class Policy:
    """A policy as it is in force now.

    Attributes
    ----------
    owner
        The role, bucket, queue, topic or function that it belongs to, in words.
    """

    owner: str
    read: Callable[[], list[Statement]]
    write: Callable[[list[Statement]], object]

    def grants(self) -> dict[str, list[Statement]]:
        """Return, by the name of each action and resource allowed, the policy without it."""
        statements = self.read()
        found = {}
        for number, statement in enumerate(statements):
            actions, resources = _listed(statement["Action"]), _listed(statement.get("Resource"))
            for action in actions:
                for resource in resources or [None]:
                    name = f"{self.owner}/{statement['Sid']} {action}"
                    if len(resources) > 1:
                        name += f" {str(resource).partition('/')[2]}"
                    left = _without(statement, actions, resources, action, resource)
                    found[name] = [*statements[:number], *left, *statements[number + 1 :]]
        return found


def _listed(value: Any) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _without(
    statement: Statement,
    actions: list[str],
    resources: list[str],
    action: str,
    resource: str | None,
) -> list[Statement]:
    """Return what is left of a statement: the other actions, and the action elsewhere."""
    others = [item for item in actions if item != action]
    elsewhere = [item for item in resources if item != resource]
    return [statement | {"Action": others}] * bool(others) + [
        statement | {"Action": action, "Resource": elsewhere}
    ] * bool(elsewhere)


def account(here: Deployment) -> str:
    """Return the account's number."""
    return here.topic_arn.split(":")[4]


def topics_in(here: Deployment, region: str) -> Any:
    """Return the SNS client of a region; the alarms of CloudFront are in us-east-1."""
    return client("sns", region, tuple(sorted(here.access.items())))


def policies(here: Deployment) -> Iterator[Policy]:
    """Yield every policy of everything in the account that bears the environment's name."""
    prefix = here.topic_arn.split(":")[-1].removesuffix("avatars")
    for page in here.iam.get_paginator("list_roles").paginate():
        for name in [role["RoleName"] for role in page["Roles"]]:
            if name.startswith(prefix):
                yield from _of_role(here, name, name.removeprefix(prefix))
    for bucket in [str(item["Name"]) for item in here.s3.list_buckets()["Buckets"]]:
        if bucket.startswith(prefix):
            short = bucket.removeprefix(prefix).removesuffix(f"-{account(here)}")
            yield _of_bucket(here, bucket, f"{short} bucket")
    for url in here.sqs.list_queues(QueueNamePrefix=prefix)["QueueUrls"]:
        yield _of_queue(here, url, f"{url.rpartition('/')[2].removeprefix(prefix)} queue")
    for region in (here.region, CDN_REGION):
        sns = topics_in(here, region)
        for topic in sns.list_topics()["Topics"]:
            name = topic["TopicArn"].split(":")[-1]
            if name.startswith(prefix):
                yield _of_topic(sns, topic["TopicArn"], f"{name.removeprefix(prefix)} topic")
    for page in here.functions.get_paginator("list_functions").paginate():
        for name in [function["FunctionName"] for function in page["Functions"]]:
            if name.startswith(prefix):
                yield _of_function(here, name, f"{name.removeprefix(prefix)} callers")


def _of_role(here: Deployment, role: str, owner: str) -> Iterator[Policy]:
    attached = here.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert not attached, f"{role} has policies that no statement of ours names: {attached}"
    for policy in here.iam.list_role_policies(RoleName=role)["PolicyNames"]:
        yield _inline(here, owner, RoleName=role, PolicyName=policy)
    yield Policy(
        f"{owner} trust",
        lambda: _statements(here.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]),
        lambda left: here.iam.update_assume_role_policy(
            RoleName=role, PolicyDocument=_document(left)
        ),
    )


def _inline(here: Deployment, owner: str, **known: str) -> Policy:
    return Policy(
        owner,
        lambda: _statements(here.iam.get_role_policy(**known)["PolicyDocument"]),
        lambda left: here.iam.put_role_policy(**known, PolicyDocument=_document(left)),
    )


def _of_bucket(here: Deployment, bucket: str, owner: str) -> Policy:
    def read() -> list[Statement]:
        with _none_if_missing():
            return _statements(here.s3.get_bucket_policy(Bucket=bucket)["Policy"])
        return []

    return Policy(
        owner,
        read,
        lambda left: here.s3.put_bucket_policy(Bucket=bucket, Policy=_document(left)),
    )


def _of_queue(here: Deployment, url: str, owner: str) -> Policy:
    def read() -> list[Statement]:
        answer = here.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        return _statements(answer.get("Attributes", {}).get("Policy") or "{}")

    return Policy(
        owner,
        read,
        lambda left: here.sqs.set_queue_attributes(
            QueueUrl=url, Attributes={"Policy": _document(left)}
        ),
    )


def _of_topic(sns: Any, arn: str, owner: str) -> Policy:
    return Policy(
        owner,
        lambda: _statements(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]),
        lambda left: sns.set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=_document(left)
        ),
    )


def _of_function(here: Deployment, name: str, owner: str) -> Policy:
    def read() -> list[Statement]:
        with _none_if_missing():
            return _statements(
                here.functions.get_policy(FunctionName=name, Qualifier=ALIAS)["Policy"]
            )
        return []

    def write(left: list[Statement]) -> None:
        before = read()
        for statement in before:
            if statement not in left:
                here.functions.remove_permission(
                    FunctionName=name, Qualifier=ALIAS, StatementId=statement["Sid"]
                )
        for statement in left:
            if statement not in before:
                here.functions.add_permission(
                    FunctionName=name,
                    Qualifier=ALIAS,
                    StatementId=statement["Sid"],
                    Action=statement["Action"],
                    Principal=statement["Principal"]["Service"],
                    SourceArn=statement["Condition"]["ArnLike"]["AWS:SourceArn"],
                )

    return Policy(owner, read, write)


@contextlib.contextmanager
def _none_if_missing() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MISSING:
            raise


def _statements(policy: Any) -> list[Statement]:
    document = json.loads(policy) if isinstance(policy, str) else policy
    statements: list[Statement] = document.get("Statement", [])
    return statements


def _document(statements: list[Statement]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@contextlib.contextmanager
def withdrawn(here: Deployment, grant: str) -> Iterator[None]:
    """Take one action or resource out of its live policy; put it back afterwards."""
    policy, left = next(
        (policy, grants[grant])
        for policy in policies(here)
        if policy.owner == grant.partition("/")[0] and grant in (grants := policy.grants())
    )
    before = policy.read()
    try:
        policy.write(left)
        yield
    finally:
        policy.write(before)
        by_id = functools.partial(sorted, key=lambda statement: statement["Sid"])
        assert by_id(policy.read()) == by_id(before)


class Actors:
    """Clients that act as a function's role.

    The emulator lets the account's root take whatever role a service may take.
    """

    def __init__(self, here: Deployment) -> None:
        self._here = here
        self._sessions: dict[str, boto3.Session] = {}
        self._clients: dict[tuple[str, str], Any] = {}

    def assume(self, function: str) -> boto3.Session:
        """Assume the function's role again."""
        here = self._here
        taken = client("sts", here.region, tuple(here.access.items())).assume_role(
            RoleArn=f"arn:aws:iam::{account(here)}:role/{here.function_names[function]}",
            RoleSessionName="least-privilege",
        )["Credentials"]
        return boto3.Session(
            taken["AccessKeyId"],
            taken["SecretAccessKey"],
            taken["SessionToken"],
            region_name=here.region,
        )

    def client(self, function: str, service: str) -> Any:
        """Return a client with the credentials of the function's role."""
        if function not in self._sessions:
            self._sessions[function] = self.assume(function)
        if (function, service) not in self._clients:
            self._clients[function, service] = self._sessions[function].client(
                service, endpoint_url=self._here.access["AWS_ENDPOINT_URL"]
            )
        return self._clients[function, service]
