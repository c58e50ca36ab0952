"""Who may do what: each live policy against the one Terraform made, statement by statement."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from console.operations.environments.aws_errors import suppressed
from console.operations.environments.doctor import buckets
from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import Finding, compare
from console.operations.releases import aliases

AREA = "Permissions"
_NO_POLICY = {"NoSuchBucketPolicy", "NoSuchEntity", "ResourceNotFoundException"}


def bucket_key(bucket: str) -> str:
    """Return the key of the check of a bucket's policy."""
    return f"the policy of the bucket {bucket}"


def invocation_key(function: str) -> str:
    """Return the key of the check of who may call a function, by its deployed name."""
    return f"who may call {function}"


def checks(subject: Examined) -> Iterator[Check]:
    """Yield a check for each policy that Terraform knows of."""
    here = subject.here
    for item in subject.managed("aws_iam_role_policy"):
        yield _check(
            subject,
            f"what the role {item['role']} may do",
            json.loads(item["policy"]),
            partial(_role_policy, subject, item["role"], item["name"]),
        )
    for item in subject.managed("aws_iam_role"):
        yield _check(
            subject,
            f"who may take the role {item['name']}",
            json.loads(item["assume_role_policy"]),
            partial(_trust_policy, subject, item["name"]),
        )
    if subject.state:
        for bucket in (here.uploads_bucket, here.assets_bucket):
            made = subject.made("aws_s3_bucket_policy", bucket=bucket)
            yield _check(
                subject,
                bucket_key(bucket),
                json.loads(made["policy"]) if made else {},
                partial(_bucket_policy, subject, bucket),
                (buckets.key(bucket),),
            )
    for item in subject.managed("aws_sqs_queue"):
        if item["policy"]:
            yield _check(
                subject,
                f"the policy of the queue {item['name']}",
                json.loads(item["policy"]),
                partial(_queue_policy, subject, item["url"]),
            )
    if topic := subject.made("aws_sns_topic", arn=here.topic_arn):
        yield _check(
            subject,
            f"the policy of the topic {here.topic_arn.split(':')[-1]}",
            json.loads(topic["policy"]),
            partial(_topic_policy, subject, here.topic_arn),
        )
    for name in here.function_names.values():
        statements = [
            _invocation(item)
            for item in subject.managed("aws_lambda_permission")
            if item["function_name"] == name
        ]
        if statements:
            yield _check(
                subject,
                invocation_key(name),
                {"Statement": statements},
                # of the alias, which is what is called
                partial(_function_policy, subject, name, aliases.ALIAS),
            )


def _check(
    subject: Examined,
    key: str,
    expected: dict[str, Any],
    read: Callable[[], Any],
    needs: tuple[str, ...] = (),
) -> Check:
    return Check(AREA, key, partial(_compared, subject, key, expected, read), needs)


def _compared(
    subject: Examined, key: str, expected: dict[str, Any], read: Callable[[], Any]
) -> Iterator[Finding]:
    live: Any = {}
    with suppressed(_NO_POLICY):
        live = read()
    wanted, found = statements(expected), statements(live)
    yield compare(
        AREA,
        key,
        ", ".join(wanted) or "no statements",
        _difference(wanted, found) or ", ".join(wanted) or "no statements",
        subject.fix_by_apply,
    )


def statements(policy: dict[str, Any]) -> dict[str, Any]:
    """Return a policy's statements by their id, in a form in which equal ones are equal."""
    listed = policy.get("Statement", [])
    return {
        statement.get("Sid", f"statement {number}"): _canonical(statement)
        for number, statement in enumerate(listed if isinstance(listed, list) else [listed], 1)
    }


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _canonical(item) for name, item in value.items()}
    if isinstance(value, list):
        items = sorted((_canonical(item) for item in value), key=str)
        return items[0] if len(items) == 1 else items
    return value


def _difference(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    if not found and wanted:
        return "no statements"
    groups = {
        "without": [sid for sid in wanted if sid not in found],
        "changed:": [
            f"{sid} ({', '.join(parts)})"
            for sid in wanted
            if sid in found and (parts := _changed(wanted[sid], found[sid]))
        ],
        "added:": [sid for sid in found if sid not in wanted],
    }
    return "; ".join(f"{word} {', '.join(sids)}" for word, sids in groups.items() if sids)


def _changed(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [part for part in sorted(wanted | found) if wanted.get(part) != found.get(part)]


def _role_policy(subject: Examined, role: str, name: str) -> Any:
    return subject.here.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]


def _trust_policy(subject: Examined, role: str) -> Any:
    return subject.here.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]


def _bucket_policy(subject: Examined, bucket: str) -> Any:
    return json.loads(subject.here.s3.get_bucket_policy(Bucket=bucket)["Policy"])


def _queue_policy(subject: Examined, url: str) -> Any:
    answer = subject.here.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    return json.loads(answer.get("Attributes", {}).get("Policy") or "{}")


def _topic_policy(subject: Examined, arn: str) -> Any:
    attributes = subject.here.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    return json.loads(attributes.get("Policy") or "{}")


def _function_policy(subject: Examined, name: str, alias: str) -> Any:
    answer = subject.here.functions.get_policy(FunctionName=name, Qualifier=alias)
    policy = json.loads(answer["Policy"])
    return {"Statement": [_permission(statement) for statement in policy["Statement"]]}


def _permission(statement: dict[str, Any]) -> dict[str, Any]:
    """Reduce a statement to what a permission's resource says."""
    principal = statement["Principal"]
    conditions = statement.get("Condition", {}).get("ArnLike", {})
    return {
        "Sid": statement["Sid"],
        "Effect": statement["Effect"],
        "Action": statement["Action"],
        "Principal": principal.get("Service") if isinstance(principal, dict) else principal,
        "Source": next(iter(conditions.values()), None),
    }


def _invocation(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "Sid": item["statement_id"],
        "Effect": "Allow",
        "Action": item["action"],
        "Principal": item["principal"],
        "Source": item["source_arn"],
    }
