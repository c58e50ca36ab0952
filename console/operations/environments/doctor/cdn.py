"""The distribution and the certificates: rolled out, switched on, valid, serving."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from console.operations import web
from console.operations.environments.doctor import buckets, dns, permissions
from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import Finding, compare

AREA = "CDN"
_DISTRIBUTION = "the distribution"
_EXPIRY_DAYS = 30


def checks(subject: Examined) -> Iterator[Check]:
    """Yield the checks of what everybody sees."""
    here = subject.here
    yield Check(AREA, _DISTRIBUTION, partial(_distribution, subject))
    for item in subject.managed("aws_acm_certificate"):
        yield Check(
            AREA, f"certificate of {item['domain_name']}", partial(_certificate, subject, item)
        )
    needs = (
        _DISTRIBUTION,
        buckets.key(here.assets_bucket),
        permissions.bucket_key(here.assets_bucket),
        *dns.keys(subject, urlsplit(here.assets_url).hostname),
    )
    yield Check(AREA, "what the CDN serves", partial(_serves, subject), needs)


def _distribution(subject: Examined) -> Iterator[Finding]:
    answer = subject.here.cloudfront.get_distribution(Id=subject.here.distribution_id)
    live = answer["Distribution"]
    config = live["DistributionConfig"]
    yield compare(
        AREA,
        "distribution",
        "Deployed",
        live["Status"],
        "Wait some minutes until all edge locations know the change.",
        "warning",
    )
    yield compare(
        AREA,
        "distribution is",
        "enabled",
        "enabled" if config["Enabled"] else "disabled",
        subject.fix_by_apply,
    )
    made = subject.made("aws_cloudfront_distribution", id=subject.here.distribution_id)
    if made is None:
        return
    (origin,) = made["origin"]
    yield compare(
        AREA,
        "origin",
        f"{origin['domain_name']}, signed by {origin['origin_access_control_id']}",
        "; ".join(
            f"{item['DomainName']}, signed by {item.get('OriginAccessControlId') or 'nobody'}"
            for item in config["Origins"]["Items"]
        ),
        subject.fix_by_apply,
    )
    yield compare(
        AREA,
        "names",
        ", ".join(sorted(made["aliases"] or [])) or "its own",
        ", ".join(sorted(config.get("Aliases", {}).get("Items", []))) or "its own",
        subject.fix_by_apply,
    )
    wanted = {
        (item["error_code"], item["response_code"], item["response_page_path"])
        for item in made["custom_error_response"]
    }
    pages = {
        (item["ErrorCode"], int(item.get("ResponseCode") or 0), item.get("ResponsePagePath"))
        for item in config.get("CustomErrorResponses", {}).get("Items", [])
    }
    yield compare(
        AREA, "pages instead of errors", _pages(wanted), _pages(pages), subject.fix_by_apply
    )


def _pages(pages: set[tuple[Any, ...]]) -> str:
    return ", ".join(f"{code}: {path} as {status}" for code, status, path in sorted(pages))


def _certificate(subject: Examined, made: dict[str, Any]) -> Iterator[Finding]:
    name = f"certificate of {made['domain_name']}"
    acm = subject.here.certificates_in(made["arn"].split(":")[3])
    live = acm.describe_certificate(CertificateArn=made["arn"])["Certificate"]
    yield compare(
        AREA,
        name,
        "ISSUED",
        live["Status"],
        "Check its proof among the DNS records; AWS Certificate Manager says what it waits for.",
        "warning" if live["Status"] == "PENDING_VALIDATION" else "error",
    )
    if "NotAfter" not in live:
        return
    left = (live["NotAfter"] - datetime.now(UTC)).days
    found = f"{live['NotAfter']:%Y-%m-%d}, {left} days left"
    wanted = f"more than {_EXPIRY_DAYS} days left"
    name = f"{name} expires"
    if left > _EXPIRY_DAYS:
        yield Finding(AREA, name, "ok", wanted, found)
    else:
        yield Finding(
            AREA, name, "error" if left < 0 else "warning", wanted, found,
            "ACM renews it by itself while its DNS proof stands: check that record.",
        )  # fmt: skip


def _serves(subject: Examined) -> Iterator[Finding]:
    # A name that nobody has: the default avatar, with status 404
    missing = f"{subject.here.assets_url}/avatars/doctor-{secrets.token_hex(8)}.jpg"
    answer = web.request("GET", missing)
    yield compare(
        AREA,
        "an avatar that isn't there",
        "404 with image/jpeg",
        f"{answer.status} with {answer.headers.get('content-type', 'no type')}",
        subject.fix_by_apply,
    )
    answer = web.request("GET", f"{subject.here.assets_url}/banners/banner.jpg")
    yield compare(
        AREA,
        "the banner",
        "200 with image/jpeg",
        f"{answer.status} with {answer.headers.get('content-type', 'no type')}",
        subject.fix_by_apply,
    )
