"""Names that exist already: Terraform makes them, and can't where somebody else has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from console.operations.environments.doctor.examination import Check, error_code
from console.operations.environments.doctor.finding import Finding
from console.operations.environments.preflight.planned import CDN_REGION, Planned

AREA = "Names"
_MISSING = {
    "404", "AWS.SimpleQueueService.NonExistentQueue", "NoSuchEntity", "NotFound",
    "NotFoundException", "QueueDoesNotExist", "ResourceNotFoundException",
}  # fmt: skip


def checks(planned: Planned) -> Iterator[Check]:
    """Yield a check for each kind of name that is unique in an account, or in the world."""
    kinds: dict[str, Callable[[Planned], Iterable[str]]] = {
        "functions": _functions,
        "roles": _roles,
        "log groups": _log_groups,
        "queues": _queues,
        "topics": _topics,
        "tables": _tables,
        "CloudFront's policies": _policies,
    }
    for suffix in ("uploads", "assets", "legal-holds"):
        bucket = f"{planned.name}-{suffix}-{planned.target.account}"
        yield Check(AREA, bucket, partial(_bucket, planned, bucket))
    for kind, find in kinds.items():
        yield Check(AREA, kind, partial(_compared, planned, kind, find))
    if planned.domain:
        kind = "names in the domain"
        yield Check(AREA, kind, partial(_compared, planned, kind, _hosts))


def _compared(
    planned: Planned, kind: str, find: Callable[[Planned], Iterable[str]]
) -> Iterator[Finding]:
    others = sorted(find(planned))
    if not others:
        yield Finding(AREA, kind, "ok", "free, or made by Terraform", "free, or made by Terraform")
    else:
        yield Finding(
            AREA, kind, "error", "free, or made by Terraform",
            f"there already: {', '.join(others)}",
            "Is this environment applied in another region, or from another state? If not, "
            "delete them, or set another `project` or domain_name.",
        )  # fmt: skip


def _bucket(planned: Planned, bucket: str) -> Iterator[Finding]:
    if bucket in _made(planned, "aws_s3_bucket", "bucket"):
        yield Finding(AREA, bucket, "ok", "free, or made by Terraform", "made by Terraform")
        return
    found, remedy = "free", ""
    try:
        planned.client("s3").head_bucket(Bucket=bucket)
        found = "there already, in this account"
        remedy = "Delete it if it is left over, or set another `project`."
    except ClientError as error:
        if error_code(error) == "403":
            found = "taken: another account's, or closed to you"
            remedy = "Bucket names are unique in the world: set another `project`."
        elif error_code(error) in {"301", "400"}:
            found = "taken, in another region"
            remedy = "Bucket names are unique in the world: set another `project`."
        elif error_code(error) != "404":
            raise
    state: Any = "error" if remedy else "ok"
    yield Finding(AREA, bucket, state, "free, or made by Terraform", found, remedy)


def _made(planned: Planned, kind: str, attribute: str) -> set[str]:
    return {str(item.get(attribute)) for item in planned.made(kind)}


def _there(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        if error_code(error) in _MISSING:
            return False
        raise
    return True


def _functions(planned: Planned) -> Iterator[str]:
    client, made = planned.client("lambda"), _made(planned, "aws_lambda_function", "function_name")
    for name in planned.functions:
        if name not in made and _there(
            partial(client.get_function_configuration, FunctionName=name)
        ):
            yield name


def _roles(planned: Planned) -> Iterator[str]:
    client, made = planned.client("iam"), _made(planned, "aws_iam_role", "name")
    for name in planned.functions:
        if name not in made and _there(partial(client.get_role, RoleName=name)):
            yield name


def _log_groups(planned: Planned) -> Iterator[str]:
    wanted = {f"/aws/lambda/{name}" for name in planned.functions}
    wanted.add(f"/aws/vendedlogs/apigateway/{planned.name}")
    logs = planned.client("logs").get_paginator("describe_log_groups")
    found = {
        group["logGroupName"]
        for prefix in (f"/aws/lambda/{planned.name}-", f"/aws/vendedlogs/apigateway/{planned.name}")
        for page in logs.paginate(logGroupNamePrefix=prefix)
        for group in page["logGroups"]
    }
    yield from found & wanted - _made(planned, "aws_cloudwatch_log_group", "name")


def _queues(planned: Planned) -> Iterator[str]:
    client, made = planned.client("sqs"), _made(planned, "aws_sqs_queue", "name")
    wanted = ["uploads", "uploads-dead-letters", "cleanup", "cleanup-dead-letters"]
    if planned.settings.get("webhook_url"):
        wanted.append("webhook-dead-letters")
    for name in (f"{planned.name}-{end}" for end in wanted):
        if name not in made and _there(partial(client.get_queue_url, QueueName=name)):
            yield name


def _topics(planned: Planned) -> Iterator[str]:
    made = _made(planned, "aws_sns_topic", "arn")
    wanted = [(planned.target.region, f"{planned.name}-avatars")]
    if planned.settings.get("alarm_email"):
        wanted += [
            (planned.target.region, f"{planned.name}-alarms"),
            (CDN_REGION, f"{planned.name}-cdn-alarms"),
        ]
    for region, name in wanted:
        arn = f"arn:aws:sns:{region}:{planned.target.account}:{name}"
        client = planned.client("sns", region)
        if arn not in made and _there(partial(client.get_topic_attributes, TopicArn=arn)):
            yield name


def _tables(planned: Planned) -> Iterator[str]:
    names = [f"{planned.name}-limits"]
    if planned.settings.get("moderation", "off") != "off":
        names.append(f"{planned.name}-reviews")
    for name in names:
        if name not in _made(planned, "aws_dynamodb_table", "name") and _there(
            partial(planned.client("dynamodb").describe_table, TableName=name)
        ):
            yield name


def _policies(planned: Planned) -> Iterator[str]:
    client, name = planned.client("cloudfront"), planned.name
    if name not in _made(planned, "aws_cloudfront_origin_access_control", "name"):
        listed = client.list_origin_access_controls()["OriginAccessControlList"]
        if name in [item["Name"] for item in listed.get("Items", [])]:
            yield f"origin access control {name}"
    if name not in _made(planned, "aws_cloudfront_cache_policy", "name"):
        listed = client.list_cache_policies(Type="custom")["CachePolicyList"]
        if name in [
            item["CachePolicy"]["CachePolicyConfig"]["Name"] for item in listed.get("Items", [])
        ]:
            yield f"cache policy {name}"
    if name not in _made(planned, "aws_cloudfront_response_headers_policy", "name"):
        listed = client.list_response_headers_policies(Type="custom")["ResponseHeadersPolicyList"]
        if name in [
            item["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"]["Name"]
            for item in listed.get("Items", [])
        ]:
            yield f"response headers policy {name}"


def _hosts(planned: Planned) -> Iterator[str]:
    api, assets = planned.hosts
    if api not in _made(planned, "aws_apigatewayv2_domain_name", "domain_name"):
        client = planned.client("apigatewayv2")
        if _there(partial(client.get_domain_name, DomainName=api)):
            yield f"{api} in API Gateway"
    own = {item.get("id") for item in planned.made("aws_cloudfront_distribution")}
    for page in planned.client("cloudfront").get_paginator("list_distributions").paginate():
        for item in page["DistributionList"].get("Items", []):
            if item["Id"] not in own and assets in item.get("Aliases", {}).get("Items", []):
                yield f"{assets} of the distribution {item['Id']}"
