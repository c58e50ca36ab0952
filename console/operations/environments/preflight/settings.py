"""Settings that contradict each other, or that nothing reads: Terraform takes them in silence."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from console.operations.environments import tfvars
from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.finding import Finding
from console.operations.environments.preflight.planned import CDN_REGION, Planned

AREA = "Settings"
_UNKNOWN, _CONTRADICTIONS = "names of settings", "settings that contradict each other"
# What is only for an emulator, and what it is on AWS
_EMULATORS: dict[str, Any] = {
    "service_urls": None,
    "s3_use_path_style": False,
    "deny_insecure_transport": True,
    "allow_http_webhook": False,
}
# In Cognito, a pool sends through SES of its own region or of these
_SES_REGIONS = {"us-east-1", "us-west-2", "eu-west-1"}


def checks(planned: Planned) -> Iterator[Check]:
    """Yield the checks, which ask nobody."""
    yield Check(AREA, _UNKNOWN, partial(_unknown, planned))
    yield Check(AREA, _CONTRADICTIONS, partial(_contradictions, planned))


def _unknown(planned: Planned) -> Iterator[Finding]:
    known = tfvars.declared()
    misspelt = [
        *_misspelt(planned.settings, known, ""),
        *(
            word
            for name, attributes in known.items()
            if attributes
            for word in _misspelt(planned.part(name), attributes, f"{name}.")
        ),
    ]
    for name, like in misspelt:
        yield Finding(
            AREA, name, "warning", f"{like}?" if like else "a setting", "nothing reads it",
            f"Terraform ignores it: {f'write {like}' if like else 'delete it'}.",
        )  # fmt: skip
    if not misspelt:
        yield Finding(AREA, _UNKNOWN, "ok", "known", "known")


def _misspelt(
    given: Mapping[str, Any], known: Mapping[str, Any] | frozenset[str], before: str
) -> Iterator[tuple[str, str]]:
    for name in given:
        if name not in known:
            like = difflib.get_close_matches(name, list(known), 1)
            yield before + name, before + like[0] if like else ""


def _contradictions(planned: Planned) -> Iterator[Finding]:
    found = list(_found(planned))
    yield from found
    if not found:
        yield Finding(AREA, _CONTRADICTIONS, "ok", "none", "none")


def _found(planned: Planned) -> Iterator[Finding]:
    settings, region = planned.settings, planned.target.region
    for name in ("hosted_zone_name", "hosted_zone_id"):
        if settings.get(name) and not planned.domain:
            yield _warning(name, "with domain_name", "without domain_name nothing reads it",
                           "Set domain_name, or leave it out.")  # fmt: skip
    if settings.get("user_pool"):
        for name in ("other_app_clients", "user_pool_tier", "user_pool_email"):
            if settings.get(name):
                yield _warning(name, "of a pool made here", "user_pool names another pool",
                               f"Leave {name} out, or user_pool.")  # fmt: skip
    if not planned.emulated:
        for name, value in _EMULATORS.items():
            if settings.get(name, value) not in (value, None):
                yield Finding(AREA, name, "error", str(value), "an emulator's setting, on AWS",
                              f"Leave {name} out.")  # fmt: skip
    if settings.get("viewer_protocol_policy") == "allow-all" and not planned.emulated:
        yield _warning("viewer_protocol_policy", "redirect-to-https", "pictures over plain HTTP",
                       "Leave it out: allow-all is for an emulator.")  # fmt: skip
    yield from _elsewhere("database.kms_key_arn", planned.part("database").get("kms_key_arn"),
                          {region}, planned)  # fmt: skip
    yield from _elsewhere("log_kms_key_arn", settings.get("log_kms_key_arn"), {region}, planned)
    pool_email = planned.part("user_pool_email").get("source_arn")
    yield from _elsewhere("user_pool_email", pool_email, {region, *_SES_REGIONS}, planned)
    for arn in settings.get("alarm_topic_arns") or []:
        yield from _elsewhere("alarm_topic_arns", arn, {region, CDN_REGION}, planned)


def _warning(name: str, expected: str, found: str, remedy: str) -> Finding:
    return Finding(AREA, name, "warning", expected, found, remedy)


def _elsewhere(name: str, arn: object, regions: set[str], planned: Planned) -> Iterator[Finding]:
    """Yield an error for an ARN of another region or account."""
    if not isinstance(arn, str) or arn.count(":") < 5:
        return
    region, account = arn.split(":")[3:5]
    if region not in regions:
        yield Finding(AREA, name, "error", f"in {' or '.join(sorted(regions))}", f"in {region}",
                      "Give one of the environment's own region.")  # fmt: skip
    elif account != planned.target.account and not planned.emulated:
        yield Finding(AREA, name, "warning", f"of the account {planned.target.account}",
                      f"of {account}", "Its policy there must admit this account.")  # fmt: skip
