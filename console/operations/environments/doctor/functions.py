"""The functions: do they stand, as Terraform made them, with the variables they need?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from console.operations.environments.doctor import settings
from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import Finding, compare
from console.operations.releases import aliases

AREA = "Functions"
_WELL = "Active, last update Successful"
# Each as Lambda names it, and as Terraform does
_CONFIGURATION = {
    "Handler": "handler",
    "Runtime": "runtime",
    "MemorySize": "memory_size",
    "Timeout": "timeout",
    "Role": "role",
    "CodeSha256": "source_code_hash",
}
# What the variables must say even where Terraform can't be asked
_KNOWN = {
    "UPLOADS_BUCKET_NAME": "uploads_bucket",
    "ASSETS_BUCKET_NAME": "assets_bucket",
    "USER_POOL_ID": "user_pool_id",
    "CLIENT_ID": "user_pool_client_id",
    "ASSETS_URL": "assets_url",
}


def key(function: str) -> str:
    """Return the key of the check of a function, by its short name."""
    return f"the function {function}"


def checks(subject: Examined) -> Iterator[Check]:
    """Yield a check for each function."""
    for function in subject.here.function_names:
        yield Check(AREA, key(function), partial(_function, subject, function))
        if made := subject.made(
            "aws_lambda_function", function_name=subject.here.function_names[function]
        ):
            live = partial(_live, subject, function, made["version"])
            yield Check(AREA, f"what is called of {function}", live)


def _function(subject: Examined, function: str) -> Iterator[Finding]:
    name = subject.here.function_names[function]
    live: dict[str, Any] = dict(
        subject.here.functions.get_function_configuration(FunctionName=name)
    )
    status = f"{live.get('State')}, last update {live.get('LastUpdateStatus')}"
    failed = "Failed" in status
    if status != _WELL:
        reasons = (live.get("StateReason"), live.get("LastUpdateStatusReason"))
        status = ": ".join(filter(None, (status, *reasons)))
    yield compare(
        AREA,
        f"{function} state",
        _WELL,
        status,
        "Fix what Lambda names, then `make apply`." if failed else "Wait for Lambda, or call it.",
        "error" if failed else "warning",
    )
    made = subject.made("aws_lambda_function", function_name=name)
    if made:
        wanted = {theirs: made[ours] for theirs, ours in _CONFIGURATION.items()}
        different = [theirs for theirs in wanted if live.get(theirs) != wanted[theirs]]
        shown = different or ["Handler", "MemorySize", "Timeout"]
        yield compare(
            AREA,
            f"{function} configuration",
            ", ".join(f"{theirs} {wanted[theirs]}" for theirs in shown),
            ", ".join(f"{theirs} {live.get(theirs)}" for theirs in shown),
            subject.fix_by_apply,
        )
    environment: dict[str, Any] = live.get("Environment", {})
    if unreadable := environment.get("Error"):
        yield Finding(
            AREA, f"{function} variables", "unknown", "readable", str(unreadable.get("Message")),
            "Ask for the right to decrypt them, or repair their key.",
        )  # fmt: skip
        return
    variables: dict[str, str] = environment.get("Variables", {})
    expected: dict[str, str | None]
    if made:
        expected = dict(made["environment"][0]["variables"]) if made["environment"] else {}
    else:
        expected = {
            variable: getattr(subject.here, _KNOWN[variable]) if variable in _KNOWN else None
            for variable in variables
        }
    yield from settings.compare(AREA, function, expected, variables, subject.fix_by_apply)


def _live(subject: Examined, function: str, published: str) -> Iterator[Finding]:
    alias = subject.here.functions.get_alias(
        FunctionName=subject.here.function_names[function], Name=aliases.ALIAS
    )
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
    trial = " and another" if weights else ""
    yield compare(
        AREA,
        f"{function} live",
        f"version {published}",
        f"version {alias['FunctionVersion']}{trial}",
        f"`make releases FUNCTION={function}`, then promote it, or leave it until the next apply.",
        "warning",
    )
