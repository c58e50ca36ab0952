"""Both buckets: there, closed, versioned, publishing what arrives, open to the front ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from console.operations import web
from console.operations.environments.aws_errors import suppressed
from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import Finding, compare

AREA = "Buckets"
FOREIGN = "https://foreign.invalid"


def key(bucket: str) -> str:
    """Return the key of the check that a bucket exists."""
    return f"the bucket {bucket}"


def checks(subject: Examined) -> Iterator[Check]:
    """Yield the checks of both buckets."""
    uploads, assets = subject.here.uploads_bucket, subject.here.assets_bucket
    for bucket in (uploads, assets):
        yield Check(AREA, key(bucket), partial(_exists, subject, bucket))
        yield Check(
            AREA, f"{bucket} public access", partial(_closed, subject, bucket), (key(bucket),)
        )
    needs = (key(uploads),)
    yield Check(AREA, "uploads versioning", partial(_versioned, subject), needs)
    yield Check(AREA, "uploads notification", partial(_uploads_told, subject), needs)
    yield Check(AREA, "assets notification", partial(_assets_told, subject), (key(assets),))
    if made := subject.made("aws_s3_bucket_cors_configuration", bucket=uploads):
        yield Check(AREA, "uploads CORS rule", partial(_cors_rule, subject, made), needs)
    for origin in [*subject.origins, FOREIGN]:
        yield Check(AREA, f"uploads CORS for {origin}", partial(_preflight, subject, origin), needs)


def _exists(subject: Examined, bucket: str) -> Iterator[Finding]:
    subject.here.s3.head_bucket(Bucket=bucket)
    yield Finding(AREA, bucket, "ok", "it exists", "it exists")


def _closed(subject: Examined, bucket: str) -> Iterator[Finding]:
    on: list[str] = []
    with suppressed({"NoSuchPublicAccessBlockConfiguration"}):
        block = subject.here.s3.get_public_access_block(Bucket=bucket)
        on = [name for name, value in block["PublicAccessBlockConfiguration"].items() if value]
    wanted = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    missing = sorted(wanted - set(on))
    yield compare(
        AREA,
        f"{bucket} public access",
        "all blocked",
        f"without {', '.join(missing)}" if missing else "all blocked",
        subject.fix_by_apply,
    )


def _versioned(subject: Examined) -> Iterator[Finding]:
    answer = subject.here.s3.get_bucket_versioning(Bucket=subject.here.uploads_bucket)
    yield compare(
        AREA, "uploads versioning", "Enabled", answer.get("Status", "never enabled"),
        subject.fix_by_apply,
    )  # fmt: skip


def _uploads_told(subject: Examined) -> Iterator[Finding]:
    answer = subject.here.s3.get_bucket_notification_configuration(
        Bucket=subject.here.uploads_bucket
    )
    yield compare(
        AREA,
        "uploads notification",
        f"s3:ObjectCreated:*, s3:ObjectRemoved:DeleteMarkerCreated to {subject.queue_arn}",
        "; ".join(
            f"{', '.join(sorted(item['Events']))} to {item['QueueArn']}"
            for item in answer.get("QueueConfigurations", [])
        )
        or "none",
        f"{subject.fix_by_apply} Then `make reconcile` finds what was uploaded meanwhile.",
    )


def _assets_told(subject: Examined) -> Iterator[Finding]:
    answer = subject.here.s3.get_bucket_notification_configuration(
        Bucket=subject.here.assets_bucket
    )
    found = []
    for item in answer.get("TopicConfigurations", []):
        rules = item.get("Filter", {}).get("Key", {}).get("FilterRules", [])
        prefixes = [rule["Value"] for rule in rules if rule["Name"].lower() == "prefix"]
        found.append(
            f"{', '.join(sorted(item['Events']))} below {''.join(prefixes)} to {item['TopicArn']}"
        )
    yield compare(
        AREA,
        "assets notification",
        f"s3:ObjectCreated:*, s3:ObjectRemoved:* below avatars/ to {subject.here.topic_arn}",
        "; ".join(found) or "none",
        subject.fix_by_apply,
    )


def _cors_rule(subject: Examined, made: dict[str, Any]) -> Iterator[Finding]:
    here = subject.here
    (wanted,) = made["cors_rule"]
    rules: Any = []
    with suppressed({"NoSuchCORSConfiguration"}):
        rules = here.s3.get_bucket_cors(Bucket=here.uploads_bucket)["CORSRules"]
    expected = _rule(
        wanted["allowed_methods"],
        wanted["allowed_headers"],
        wanted["allowed_origins"],
        wanted["expose_headers"],
    )
    found = " and ".join(
        _rule(
            rule["AllowedMethods"],
            rule.get("AllowedHeaders", []),
            rule["AllowedOrigins"],
            rule.get("ExposeHeaders", []),
        )
        for rule in rules
    )
    yield compare(AREA, "uploads CORS rule", expected, found or "none", subject.fix_by_apply)


def _rule(*parts: Iterable[str]) -> str:
    methods, headers, origins, shown = (", ".join(sorted(part)) or "nothing" for part in parts)
    return f"{methods} with {headers} from {origins}, showing {shown}"


def _preflight(subject: Examined, origin: str) -> Iterator[Finding]:
    s3 = subject.here.s3.meta.endpoint_url
    yield preflight(
        AREA, f"uploads CORS for {origin}", f"{s3}/{subject.here.uploads_bucket}/preflight",
        origin, "PUT", ["content-type"], subject.fix_by_apply,
    )  # fmt: skip


def preflight(
    area: str,
    name: str,
    url: str,
    origin: str,
    method: str,
    wanted: Sequence[str],
    remedy: str,
) -> Finding:
    """Ask as a browser does before it sends; foreign origins must be refused.

    Parameters
    ----------
    wanted
        The names of the headers that the page wants to send, in lower case.
    """
    answer = web.request(
        "OPTIONS",
        url,
        {
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": ",".join(sorted(wanted)),
        },
    ).headers
    methods, headers = (
        {item.strip().lower() for item in answer.get(f"access-control-allow-{kind}", "").split(",")}
        for kind in ("methods", "headers")
    )
    # The wildcard doesn't speak for the authorization header (Fetch standard)
    refused = [
        header
        for header in wanted
        if header not in headers and (header == "authorization" or "*" not in headers)
    ]
    found = f"{method} allowed"
    if answer.get("access-control-allow-origin") not in {origin, "*"} or not (
        {method.lower(), "*"} & methods
    ):
        found = "refused"
    elif refused:
        found = f"refused with {', '.join(refused)}"
    return compare(
        area, name, "refused" if origin == FOREIGN else f"{method} allowed", found, remedy
    )
