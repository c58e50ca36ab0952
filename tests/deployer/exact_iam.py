"""The emulator, with requests authorised for the action and resource that AWS asks about.

The emulator holds requests to IAM policies, but for some it asks about another action, about ``*``
where AWS has the resource's name, or about nothing. The rules here are those of AWS's service
authorization reference. Run in the place of ``local/emulator_main.py``; each decision is appended
to ``authorised.jsonl`` in ``HOME``.
"""

from __future__ import annotations

import contextvars
import json
import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

sys.path.append(sys.argv[1])

from ministack.core import iam_actions, iam_evaluator  # type: ignore[import-not-found]

Asked = tuple[str, str, dict[str, str]]
"""An action, the ARN of what it is done to, and condition keys."""

_RECORD = Path(os.environ["HOME"]) / "authorised.jsonl"
_more: contextvars.ContextVar[list[Asked]] = contextvars.ContextVar("more")
_keys: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("keys")

_extract_action = iam_actions.extract_iam_action
_extract_resource = iam_actions.extract_resource_arn
_enforce = iam_evaluator.enforce

_MAPPING = re.compile(r"/event-source-mappings(?:/([^/]+))?/?$")
_MAPPING_ACTIONS = {
    ("GET", True): "GetEventSourceMapping",
    ("PUT", True): "UpdateEventSourceMapping",
    ("DELETE", True): "DeleteEventSourceMapping",
    ("POST", False): "CreateEventSourceMapping",
    ("GET", False): "ListEventSourceMappings",
}
_ALIAS = re.compile(r"/functions/[^/]+/aliases/[^/]+/?$")
_ALIAS_ACTIONS = {"GET": "GetAlias", "PUT": "UpdateAlias", "DELETE": "DeleteAlias"}
_CONCURRENCY = re.compile(r"/functions/[^/]+/concurrency/?$")
_CONCURRENCY_ACTIONS = {
    "GET": "GetFunctionConcurrency",
    "PUT": "PutFunctionConcurrency",
    "DELETE": "DeleteFunctionConcurrency",
}
# The parts of CloudFront's paths, and what their ARNs call them
_CLOUDFRONT = {
    "distribution": "distribution",
    "origin-access-control": "origin-access-control",
    "cache-policy": "cache-policy",
    "response-headers-policy": "response-headers-policy",
}


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _action(
    service: str, method: str, path: str, headers: Any, body: bytes, query: dict[str, Any]
) -> str | None:
    if service == "lambda":
        if found := _MAPPING.search(path):
            return f"lambda:{_MAPPING_ACTIONS[method, bool(found[1])]}"
        if _ALIAS.search(path):
            return f"lambda:{_ALIAS_ACTIONS[method]}"
        if _CONCURRENCY.search(path):
            return f"lambda:{_CONCURRENCY_ACTIONS[method]}"
    if service == "monitoring" and (found := re.search(r"/operation/([^/?]+)", path)):
        return f"cloudwatch:{found[1]}"
    action: str | None = _extract_action(service, method, path, headers, body, query)
    if service == "cloudfront" and action:
        # botocore ends the names of REST operations with their API's version
        action = re.sub(r"\d{4}_\d{2}_\d{2}$", "", action).removesuffix("WithTags")
    return action


def _resource(
    service: str,
    method: str,
    path: str,
    headers: Any,
    body: bytes,
    query: dict[str, Any],
    region: str,
    account: str,
) -> str:
    found: str = _extract_resource(service, method, path, headers, body, query, region, account)
    data = _json(body)
    more: list[Asked] = []
    keys: dict[str, str] = {}
    if service == "lambda":
        function = data.get("FunctionName", "")
        arn = (
            function
            if function.startswith("arn:")
            else f"arn:aws:lambda:{region}:{account}:function:{function}"
        )
        if path.rstrip("/").endswith("/functions") and method == "POST":
            found = arn
            if data.get("Tags"):
                more.append(("lambda:TagResource", arn, {}))
        if data.get("Role"):
            more.append(
                ("iam:PassRole", data["Role"], {"iam:PassedToService": "lambda.amazonaws.com"})
            )
        if mapping := _MAPPING.search(path):
            keys["lambda:FunctionArn"] = arn if function else _mapped_function(mapping[1])
            if not mapping[1]:
                found = "*"
                if data.get("Tags"):
                    mappings = f"arn:aws:lambda:{region}:{account}:event-source-mapping:*"
                    more.append(("lambda:TagResource", mappings, {}))
    elif service == "sqs" and data.get("QueueName") and data.get("tags"):
        more.append(("sqs:TagQueue", found, {}))
    elif service == "sns":
        if query.get("Tags.member.1.Key") and query.get("Name"):
            more.append(("sns:TagResource", found, {}))
        if arn := _one(query.get("ResourceArn")):
            found = arn
        if arn := _one(query.get("SubscriptionArn")):
            found = arn.rpartition(":")[0]
    elif service == "dynamodb":
        if data.get("TableName") and data.get("Tags"):
            more.append(("dynamodb:TagResource", found, {}))
        found = data.get("ResourceArn", found)
    elif service == "events":  # of the default bus the ARN names no bus
        rule = (
            data.get("Rule") or data.get("Name") or str(data.get("ResourceARN", "")).split("/")[-1]
        )
        found = f"arn:aws:events:{region}:{account}:rule/{rule}"
        if data.get("Tags"):
            more.append(("events:TagResource", found, {}))
    elif service == "logs" and data.get("tags") and data.get("logGroupName"):
        more.append(("logs:TagResource", found, {}))
    elif service == "iam" and query.get("Tags.member.1.Key") and query.get("RoleName"):
        more.append(("iam:TagRole", found, {}))
    elif service == "cloudfront":
        found = _cloudfront(path, query, account) or found
        if "WithTags" in query:
            tagged = f"arn:aws:cloudfront::{account}:distribution/*"
            more.append(("cloudfront:TagResource", tagged, {}))
    elif service == "monitoring":
        found = _cloudwatch(query, data, region, account) or found
        if _one(query.get("Action")) == "PutMetricAlarm" and query.get("Tags.member.1.Key"):
            more.append(("cloudwatch:TagResource", found, {}))
    elif service == "acm" and data.get("Tags") and data.get("DomainName"):
        certificates = f"arn:aws:acm:{region}:{account}:certificate/*"
        more.append(("acm:AddTagsToCertificate", certificates, {}))
    elif service == "apigateway" and method == "POST" and data.get("tags"):
        # In no reference, but what AWS asks when a stage of an HTTP API is made with tags
        more.append(("apigateway:TagResource", found, {}))
    elif service == "cognito-idp" and data.get("ResourceArn"):
        found = data["ResourceArn"]
    elif service == "route53":
        parts = [part for part in path.split("/") if part]
        if "change" in parts:
            found = f"arn:aws:route53:::change/{parts[-1]}"
        if "tags" in parts:
            found = f"arn:aws:route53:::hostedzone/{parts[-1]}"
    _more.set(more)
    _keys.set(keys)
    return found


def _one(value: Any) -> str:
    return str((value[0] if isinstance(value, list) else value) or "")


def _mapped_function(uuid: str | None) -> str:
    from ministack.services import lambda_svc

    mapping = next(
        (item for key, item in lambda_svc._esms.items() if key == uuid or item.get("UUID") == uuid),
        {},
    )
    return str(mapping.get("FunctionArn", ""))


def _cloudfront(path: str, query: dict[str, Any], account: str) -> str:
    if tagged := _one(query.get("Resource")):
        return unquote(tagged)
    parts = [part for part in path.split("/") if part]
    for part, name in _CLOUDFRONT.items():
        if part in parts:
            ids = parts[parts.index(part) + 1 :]
            return f"arn:aws:cloudfront::{account}:{name}/{ids[0]}" if ids else "*"
    return ""


def _cloudwatch(query: dict[str, Any], data: dict[str, Any], region: str, account: str) -> str:
    def given(*names: str) -> str:
        return next((text for n in names if (text := _one(query.get(n) or data.get(n)))), "")

    if arn := given("ResourceARN"):
        return arn
    if dashboard := given("DashboardName", "DashboardNames.member.1", "DashboardNames"):
        return f"arn:aws:cloudwatch::{account}:dashboard/{dashboard}"
    if _one(query.get("Action")) == "DescribeAlarms":
        return "*"  # compared with the pattern for all alarms, whichever are asked for
    if alarm := given("AlarmName", "AlarmNames.member.1", "AlarmNames"):
        return f"arn:aws:cloudwatch:{region}:{account}:alarm:{alarm}"
    return ""


def _enforced(
    key: str,
    action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: dict[str, Any] | None = None,
) -> Any:
    asked: list[Asked] = [(action, resource_arn, _keys.get({})), *_more.get([])]
    _keys.set({})
    _more.set([])
    refused = None
    for one, resource, keys in asked:
        refused = _enforce(key, one, service, region, resource, {**(service_context or {}), **keys})
        with _RECORD.open("a") as record:
            line = {"key": key, "action": one, "resource": resource, "allowed": refused is None}
            record.write(json.dumps(line) + "\n")
        if refused is not None:
            break
    return refused


iam_actions.extract_iam_action = _action
iam_actions.extract_resource_arn = _resource
iam_evaluator.enforce = _enforced

runpy.run_path(str(Path(__file__).parents[2] / "local/emulator_main.py"), run_name="__main__")
