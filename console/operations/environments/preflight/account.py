"""The account: its credentials' end, its region, its quota, the bucket of Terraform's state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from console.operations.environments import clients
from console.operations.environments.doctor.examination import (
    Check,
    error_code,
    refuses_credentials,
)
from console.operations.environments.doctor.finding import Finding
from console.operations.environments.preflight.planned import CDN_REGION, Planned
from console.operations.environments.target import MismatchError
from console.operations.errors import OperationError

AREA = "Account"
_CREDENTIALS, _QUOTA, _STATE = "credentials", "Lambda's concurrency", "the state's bucket"
_CLOUDFRONT, _REGION = "CloudFront", "region"
_APPLY = timedelta(minutes=15)
_CERTIFICATES = timedelta(minutes=75)
"""For so long Terraform waits for a certificate."""
_RENEWED = {
    "assume-role", "assume-role-with-web-identity", "container-role", "custom-process", "iam-role",
    "login",
}  # fmt: skip
_UNRESERVED = 100
"""What AWS keeps of an account's concurrency for functions that reserve none."""
_OTHERS = 10
"""What the functions besides resize and cleanup need at the least."""
_ASK_FOR_MORE = "Ask for more in Service Quotas (Lambda, Concurrent executions)"


def checks(planned: Planned) -> Iterator[Check]:
    """Yield the checks."""
    yield Check(AREA, _CREDENTIALS, partial(_credentials, planned))
    yield Check(AREA, _QUOTA, partial(_quota, planned))
    yield Check(AREA, _STATE, partial(_state_bucket, planned))
    if not planned.emulated and not planned.made("aws_cloudfront_distribution"):
        yield Check(AREA, _CLOUDFRONT, partial(_cloudfront, planned))
    if pool := planned.part("user_pool"):
        yield Check(AREA, "user_pool", partial(_user_pool, planned, pool))


def wrong_partition(region: str) -> Finding | None:
    """Return an error for a region outside the commercial partition, of which AWS says less."""
    if not region.startswith(("cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-")):
        return None
    return Finding(
        AREA, _REGION, "error", "one of the commercial partition", region,
        "China, GovCloud and the sovereign clouds don't work: CloudFront and its certificate "
        "can't be made this way there.",
    )  # fmt: skip


def refused(region: str, error: OperationError) -> Finding:
    """Return what keeps the account from being asked: its region, or whatever was said."""
    from botocore.session import get_session

    if region and region not in get_session().get_available_regions("lambda"):
        return Finding(AREA, _REGION, "error", "a region of AWS", region,
                       "Write it like eu-central-1.")  # fmt: skip
    if refuses_credentials(error):
        try:
            status = clients.client("account", CDN_REGION).get_region_opt_status(RegionName=region)[
                "RegionOptStatus"
            ]
        except (BotoCoreError, ClientError):
            status = ""
        if status in {"DISABLED", "DISABLING", "ENABLING"}:
            return Finding(
                AREA, _REGION, "error", "enabled in this account", f"{region} is {status.lower()}",
                f"Enable {region} for the account (Account, AWS Regions), which takes some "
                "minutes, or choose another.",
            )  # fmt: skip
    name = "environment" if isinstance(error, MismatchError) else _CREDENTIALS
    return Finding(AREA, name, "error", "", error.message, error.remedy)


def _credentials(planned: Planned) -> Iterator[Finding]:
    needed = _APPLY + (_CERTIFICATES if planned.waits_for_certificates else timedelta())
    minutes = int(needed.total_seconds() // 60)
    expected = f"for {minutes} minutes"
    access = tuple(sorted(planned.target.access.items()))
    session = clients.session(planned.target.region, access)
    credentials = session.get_credentials()
    if credentials is None or not credentials.get_frozen_credentials().token:
        yield Finding(AREA, _CREDENTIALS, "ok", expected, "without an end")
        return
    if credentials.method in _RENEWED or _renews_sso(session, credentials.method):
        yield Finding(AREA, _CREDENTIALS, "ok", expected, "renewed by themselves")
        return
    ends = _sso_end(session) if credentials.method == "sso" else None
    ends = ends or getattr(credentials, "_expiry_time", None)
    if ends is None:
        yield Finding(
            AREA, _CREDENTIALS, "unknown", expected, "temporary, and they don't say until when",
            "Sign in again right before the apply, for longer than it takes.",
        )  # fmt: skip
        return
    left = ends - datetime.now(UTC)
    found = f"for {max(0, int(left.total_seconds() // 60))} minutes, until {ends:%H:%M} UTC"
    if left >= needed:
        yield Finding(AREA, _CREDENTIALS, "ok", expected, found)
    else:
        why = "a certificate is waited for up to 75" if planned.waits_for_certificates else (
            "a first apply takes up to 12"
        )  # fmt: skip
        yield Finding(
            AREA, _CREDENTIALS, "warning", expected, found,
            f"Sign in again, for longer: {why} minutes, and without credentials Terraform can't "
            "save its state.",
        )  # fmt: skip


def _sso_token(session: Any) -> dict[str, Any]:
    """Return the cached token of a sign-in by SSO; empty without one."""
    core = session._session
    profile = core.full_config.get("profiles", {}).get(core.profile or "default", {})
    name = profile.get("sso_session") or profile.get("sso_start_url")
    if not name:
        return {}
    key = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    try:
        found = json.loads((Path.home() / ".aws/sso/cache" / f"{key}.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _renews_sso(session: Any, method: str) -> bool:
    return method == "sso" and "refreshToken" in _sso_token(session)


def _sso_end(session: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(_sso_token(session)["expiresAt"])
    except (KeyError, TypeError, ValueError):
        return None


def _quota(planned: Planned) -> Iterator[Finding]:
    limits = planned.client("lambda").get_account_settings()["AccountLimit"]
    total, unreserved = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    resize = planned.part("resize").get("maximum_concurrency") or 20
    wanted = planned.part("database").get("maximum_concurrency") or 0
    held = sum(
        max(0, int(item.get("reserved_concurrent_executions") or 0))
        for item in planned.made("aws_lambda_function")
    )
    left = unreserved + held - wanted
    yield _reserved(wanted, held, left, unreserved)
    cleanup = max(2, -(-resize // 3))
    needed = resize + cleanup + _OTHERS
    most = max(2, 3 * (left - _OTHERS) // 4)
    if left >= needed:
        yield Finding(AREA, _QUOTA, "ok", f"{needed} or more", f"{left} of {total}")
    else:
        yield Finding(
            AREA, _QUOTA, "warning", f"{needed} or more", f"{left} of {total}",
            f"{_ASK_FOR_MORE}, or set resize.maximum_concurrency to {most}: "
            f"with {resize}, uploads may take up all that sign-ins need.",
        )  # fmt: skip


def _reserved(wanted: int, held: int, left: int, unreserved: int) -> Finding:
    name = "database.maximum_concurrency"
    found = f"{left} left unreserved"
    if wanted <= held or left >= _UNRESERVED:
        return Finding(AREA, name, "ok", f"at least {_UNRESERVED} left unreserved", found)
    most = max(0, unreserved + held - _UNRESERVED)
    return Finding(
        AREA, name, "error", f"at least {_UNRESERVED} left unreserved", found,
        f"{_ASK_FOR_MORE}, or {f'set it to {most} at most' if most else 'leave it out'}: "
        "Lambda refuses the reservation.",
    )  # fmt: skip


def _state_bucket(planned: Planned) -> Iterator[Finding]:
    target = planned.target
    bucket = f"avatar-ops-terraform-state-{target.account}-{target.region}"
    try:
        planned.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=target.account)
    except ClientError as error:
        if error_code(error) == "403":
            yield Finding(
                AREA, _STATE, "error", bucket, "another account's, or closed to you",
                "Ask for s3:ListBucket on it; never keep a state in a bucket of somebody else.",
            )  # fmt: skip
        elif error_code(error) == "404":
            yield Finding(AREA, _STATE, "warning", bucket, "there is none",
                          f"Run `make bootstrap ENV={target.env}`.")  # fmt: skip
        else:
            raise
    else:
        yield Finding(AREA, _STATE, "ok", bucket, bucket)


def _cloudfront(planned: Planned) -> Iterator[Finding]:
    listed = planned.client("cloudfront").list_distributions(MaxItems="1")["DistributionList"]
    if listed.get("Quantity"):
        yield Finding(AREA, _CLOUDFRONT, "ok", "used before", "used before")
    else:
        yield Finding(
            AREA, _CLOUDFRONT, "unknown", "enabled", "this account has no distribution yet",
            "AWS lets some new accounts make none before they are verified, and says so only "
            "then: make one by hand, or ask AWS Support.",
        )  # fmt: skip


def _user_pool(planned: Planned, pool: Any) -> Iterator[Finding]:
    identity = str(pool.get("id", ""))
    cognito = planned.client("cognito-idp", identity.partition("_")[0])
    try:
        cognito.describe_user_pool_client(
            UserPoolId=identity, ClientId=str(pool.get("client_id", ""))
        )
    except ClientError as error:
        if error_code(error) not in {"ResourceNotFoundException", "InvalidParameterException"}:
            raise
        yield Finding(
            AREA, "user_pool", "error", "a pool and a client of it in this account",
            str(error.response["Error"].get("Message", "")).rstrip("."),
            "Give the ids of the application's own pool and of its web client.",
        )  # fmt: skip
    else:
        yield Finding(AREA, "user_pool", "ok", "a pool and its client", "a pool and its client")
