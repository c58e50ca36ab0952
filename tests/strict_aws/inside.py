"""What AWS's services do by themselves and the emulator's don't: no request shows it.

So these rules replace functions of the emulator (ministack 1.5.33), when it is loaded.
"""

from __future__ import annotations

import functools
import json
import random
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, get_region
from ministack.services import apigateway, cognito, lambda_svc, s3, sns

CONCURRENT_EXECUTIONS = 10
"""Of all functions of a new account at a time: "New AWS accounts have reduced concurrency
and memory quotas", https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""
ASYNCHRONOUS_WAITS = (1, 2)
"""Seconds before the second and the third try; on AWS they are minutes."""
THROTTLED_SECONDS = 6 * 60 * 60


def install() -> None:
    """Put the rules into the emulator."""
    lambda_svc._ACCOUNT_CONCURRENCY_CAP = CONCURRENT_EXECUTIONS
    lambda_svc._sqs_esm_concurrency = receives_though_throttled
    lambda_svc._reserved_concurrency = reserved_of_all_versions(lambda_svc._reserved_concurrency)
    lambda_svc._effective_func_record_for_qualifier = by_weight(
        lambda_svc._effective_func_record_for_qualifier
    )
    cognito._delete_user_pool = protected_pool(cognito._delete_user_pool)
    sns._lambda_svc = _Asynchronous()
    sns.topic_policy_allows = services_are_admitted_by_name(sns.topic_policy_allows)
    apigateway._apigw_response = under_awss_names(apigateway._apigw_response)
    s3.serve_cloudfront_origin_fetch = preflights_reach_s3(s3.serve_cloudfront_origin_fetch)


def protected_pool(delete: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Refuse to delete a user pool that is protected.

    https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-deletion-protection.html
    """

    @functools.wraps(delete)
    def refusing(data: dict[str, Any]) -> Any:
        pool, _ = cognito._resolve_pool(data.get("UserPoolId"))
        if pool and pool["DeletionProtection"] == "ACTIVE":
            return error_response_json(
                "InvalidParameterException",
                "The user pool cannot be deleted because deletion protection is activated. "
                "Deletion protection must be inactivated first.",
                400,
            )
        return delete(data)

    return refusing


def services_are_admitted_by_name(allows: Callable[..., bool]) -> Callable[..., bool]:
    """Let no topic be notified by S3 that has only the policy which every topic begins with.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html:
    "You must grant the Amazon S3 principal the necessary permissions".
    """

    @functools.wraps(allows)
    def asking(topic: str, service: str, *source: str) -> bool:
        found = sns._topic_by_arn_any_scope(topic) or {"attributes": {"Policy": "{}"}}
        statements = json.loads(found["attributes"]["Policy"]).get("Statement", [])
        named = [s["Principal"].get("Service", []) for s in statements if s["Principal"] != "*"]
        if not any(service == names or service in names for names in named):
            return False
        return allows(topic, service, *source)

    return asking


def receives_though_throttled(esm: dict[str, Any], *_: Any) -> int:
    """Receive as many batches as the mapping allows, though the function's limit is lower.

    A batch whose call is refused comes back after its visibility timeout, one receive older.

    https://repost.aws/knowledge-center/lambda-sqs-scaling: "Event source mappings don't account for
    reserved concurrency and can process more messages off your queue than can be sent to your
    function."
    """
    limit = (esm.get("ScalingConfig") or {}).get("MaximumConcurrency")
    return int(limit or lambda_svc._ESM_SQS_DEFAULT_CONCURRENCY)


def reserved_of_all_versions(reserved: Callable[..., int | None]) -> Callable[..., int | None]:
    """Bound the calls of a version by what is reserved for its function.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html: "Reserved
    concurrency applies to the entire function, including all versions and aliases."
    """

    @functools.wraps(reserved)
    def bounding(record: dict[str, Any], config: dict[str, Any]) -> int | None:
        function = lambda_svc._functions.get(config.get("FunctionName", ""))
        return reserved(function or record, config)

    return bounding


def by_weight(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Call an alias's second version for its share of the calls.

    https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html: "Lambda uses a
    simple probabilistic model to distribute the traffic between the two function versions."
    """

    @functools.wraps(resolve)
    def resolving(function: dict[str, Any] | None, qualifier: str | None) -> Any:
        alias = (function or {}).get("aliases", {}).get(qualifier, {})
        weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        for version, weight in weights.items():
            if random.random() < weight:
                return resolve(function, version)
        return resolve(function, qualifier)

    return resolving


def under_awss_names(respond: Callable[..., Any]) -> Callable[..., Any]:
    """Say of an API's address what it is on AWS.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-stages.html: "served from
    the base of your API's URL—for example, https://{api_id}.execute-api.{region}.amazonaws.com/".
    """

    @functools.wraps(respond)
    def responding(data: Any, status: int = 200) -> Any:
        if isinstance(data, dict) and "apiEndpoint" in data:
            place = f"{data['apiId']}.execute-api.{get_region()}.amazonaws.com"
            data = {**data, "apiEndpoint": f"https://{place}"}
        return respond(data, status)

    return responding


def preflights_reach_s3(fetch: Callable[..., Any]) -> Callable[..., Any]:
    """Answer what CloudFront passes on of a preflight by the bucket's CORS rules.

    https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html: "If cors is not enabled
    on the bucket, then Amazon S3 returns a 403 Forbidden response."
    """

    @functools.wraps(fetch)
    def fetching(bucket: str, key: str, method: str, headers: dict[str, str], **more: Any) -> Any:
        if method == "OPTIONS":
            return s3.cors_preflight(bucket, key, headers)
        return fetch(bucket, key, method, headers, **more)

    return fetching


class _Asynchronous:
    """Lambda as SNS sees it: a call is tried again.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html: "by default
    Lambda attempts to run it two more times", and for throttling "up to 6 hours".
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(lambda_svc, name)

    @staticmethod
    def _execute_function_with_config_scope(record: dict[str, Any], event: Any) -> Any:
        failures, wait = 0, 1
        deadline = time.monotonic() + THROTTLED_SECONDS
        while True:
            result = lambda_svc._execute_function_with_config_scope(record, event)
            if result.get("throttle") and time.monotonic() < deadline:
                time.sleep(wait)
                wait = min(2 * wait, 300)
            elif result.get("error") and failures < len(ASYNCHRONOUS_WAITS):
                time.sleep(ASYNCHRONOUS_WAITS[failures])
                failures += 1
            else:
                return result
