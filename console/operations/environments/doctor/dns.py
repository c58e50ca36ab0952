"""DNS: does each name point where Terraform pointed it?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import Finding, compare

AREA = "DNS"


def checks(subject: Examined) -> Iterator[Check]:
    """Yield a check for each record that Terraform made."""
    for record in subject.managed("aws_route53_record"):
        yield Check(AREA, _key(record), partial(_record, subject, record))


def keys(subject: Examined, host: str | None) -> list[str]:
    """Return the keys of the checks of a host's records."""
    return [_key(item) for item in subject.managed("aws_route53_record") if item["fqdn"] == host]


def _key(record: dict[str, Any]) -> str:
    return f"{record['fqdn']} {record['type']}"


def _record(subject: Examined, record: dict[str, Any]) -> Iterator[Finding]:
    name = f"{record['fqdn'].rstrip('.')}."
    sets = subject.here.route53.list_resource_record_sets(
        HostedZoneId=record["zone_id"],
        StartRecordName=name,
        StartRecordType=record["type"],
        MaxItems="1",
    )["ResourceRecordSets"]
    found = [
        _target(item["AliasTarget"]["DNSName"])
        if "AliasTarget" in item
        else ", ".join(sorted(_target(value["Value"]) for value in item["ResourceRecords"]))
        for item in sets
        if item["Name"].lower() == name.lower() and item["Type"] == record["type"]
    ]
    wanted = (
        _target(record["alias"][0]["name"])
        if record["alias"]
        else ", ".join(sorted(_target(value) for value in record["records"]))
    )
    yield compare(AREA, _key(record), wanted, "; ".join(found) or "none", subject.fix_by_apply)


def _target(name: str) -> str:
    """Return a name as it compares; Route 53's console puts `dualstack.` before some."""
    return name.rstrip(".").lower().removeprefix("dualstack.")
