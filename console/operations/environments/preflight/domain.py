"""The domain: its zone, whether the world's name servers know it, and who may certify it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.finding import Finding
from console.operations.environments.preflight import public_dns
from console.operations.environments.preflight.planned import Planned
from console.operations.environments.preflight.public_dns import ServerFailureError, UnansweredError

AREA = "Domain"
_ZONE, _DELEGATION, _CAA, _RECORDS = "zone", "delegation", "CAA records", "records"
AMAZON = {"amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com"}
"""By any of these a CAA record admits AWS Certificate Manager."""
_TAGS = {"issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone", "issuevmc"}
_CRITICAL = 128


def checks(planned: Planned) -> Iterator[Check]:
    """Yield the checks; without a domain there is nothing to ask."""
    if not planned.domain:
        return
    yield Check(AREA, _ZONE, partial(_zone, planned))
    if planned.emulated:
        reason = "an emulator's zone is in no public DNS"
    elif not planned.waits_for_certificates:
        reason = ""
        yield Check(AREA, _DELEGATION, partial(_ok, _DELEGATION))
        yield Check(AREA, _CAA, partial(_ok, _CAA))
    else:
        reason = ""
        yield Check(AREA, _DELEGATION, partial(_delegation, planned), (_ZONE,))
        yield Check(AREA, _CAA, partial(_caa, planned))
    if reason:
        for name in (_DELEGATION, _CAA):
            yield Check(AREA, name, partial(_skipped, name, reason))
    yield Check(AREA, _RECORDS, partial(_records, planned), (_ZONE,))


def _ok(name: str) -> Iterator[Finding]:
    yield Finding(AREA, name, "ok", "certificates issued", "certificates issued")


def _skipped(name: str, reason: str) -> Iterator[Finding]:
    yield Finding(AREA, name, "unknown", "", reason, "Nothing is to be done.")


def _zone_name(planned: Planned) -> str:
    return str(planned.settings.get("hosted_zone_name") or planned.domain).rstrip(".").lower()


def _zones(planned: Planned) -> dict[str, str]:
    """Return the public zones of that name: ids, and whose comment may tell them apart."""
    wanted = f"{_zone_name(planned)}."
    listed = planned.client("route53").list_hosted_zones_by_name(DNSName=wanted)["HostedZones"]
    return {
        item["Id"].rpartition("/")[2]: item.get("Config", {}).get("Comment", "")
        for item in listed
        if item["Name"].lower() == wanted and not item.get("Config", {}).get("PrivateZone")
    }


def _zone(planned: Planned) -> Iterator[Finding]:
    name, chosen = _zone_name(planned), str(planned.settings.get("hosted_zone_id") or "")
    found = _zones(planned)
    expected = f"one public zone {name}" if not chosen else f"the public zone {chosen}"
    listed = ", ".join(f"{zone} {comment}".strip() for zone, comment in sorted(found.items()))
    if chosen in found or (len(found) == 1 and not chosen):
        yield Finding(AREA, _ZONE, "ok", expected, listed)
    elif not found:
        yield Finding(
            AREA, _ZONE, "error", expected, "none in this account",
            f"Make a public hosted zone {name} in Route 53 and delegate it, or set "
            "hosted_zone_name to the zone that holds the domain.",
        )  # fmt: skip
    else:
        yield Finding(
            AREA, _ZONE, "error", expected, listed,
            "Set hosted_zone_id to the one whose name servers the registrar has.",
        )  # fmt: skip


def _chosen(planned: Planned) -> str:
    return str(planned.settings.get("hosted_zone_id") or next(iter(_zones(planned))))


def _unanswered(name: str, error: UnansweredError) -> Finding:
    return Finding(
        AREA, name, "unknown", "", f"no public name server answers: {error}",
        "Ask from a network that lets DNS out: dig NS and dig CAA of the domain.",
    )  # fmt: skip


def _delegation(planned: Planned) -> Iterator[Finding]:
    zone = _zone_name(planned)
    own = {
        server.rstrip(".").lower()
        for server in planned.client("route53")
        .get_hosted_zone(Id=_chosen(planned))
        .get("DelegationSet", {})
        .get("NameServers", [])
    }
    expected = ", ".join(sorted(own))
    try:
        answers = public_dns.ask(zone, "NS")
    except UnansweredError as error:
        yield _unanswered(_DELEGATION, error)
        return
    except ServerFailureError:
        found, public = "name servers that don't answer for it", set[str]()
    else:
        public = {str(answer.target).rstrip(".").lower() for answer in answers}
        found = ", ".join(sorted(public)) or "not delegated"
    if public & own:
        yield Finding(AREA, _DELEGATION, "ok", expected, found)
    else:
        yield Finding(
            AREA, _DELEGATION, "error", expected, found,
            f"Enter these name servers for {zone} at its registrar, or as its NS record in the "
            "zone above: without them the apply waits for its certificates for 75 minutes, and "
            "fails.",
        )  # fmt: skip


def _caa(planned: Planned) -> Iterator[Finding]:
    expected = "Amazon admitted"
    for host in planned.hosts:
        try:
            place, records = _deciding(host)
        except UnansweredError as error:
            yield _unanswered(_CAA, error)
            return
        except ServerFailureError as error:
            yield Finding(
                AREA, _CAA, "warning", expected, f"{error} can't be looked up",
                "Certificate authorities refuse a domain whose name servers fail: repair them.",
            )  # fmt: skip
            return
        if why := _excludes(records):
            yield Finding(
                AREA, _CAA, "error", expected, f"{place} admits {why}",
                f'Add to {place} the record: CAA 0 issue "amazon.com".',
            )  # fmt: skip
            return
    yield Finding(AREA, _CAA, "ok", expected, expected)


def _deciding(host: str) -> tuple[str, list[Any]]:
    """Return the CAA records that count for a name: those of the nearest name that has any."""
    labels = host.split(".")
    for start in range(len(labels)):
        place = ".".join(labels[start:])
        if records := public_dns.ask(place, "CAA"):
            return place, records
    return host, []


def _excludes(records: list[Any]) -> str:
    """Return whom the records admit, if Amazon is not among them."""
    found = [
        (record.flags, record.tag.decode().lower(), record.value.decode()) for record in records
    ]
    if unknown := [tag for flags, tag, _ in found if flags & _CRITICAL and tag not in _TAGS]:
        return f"nobody who doesn't understand {unknown[0]}"
    issuers = [value.partition(";")[0].strip().lower() for _, tag, value in found if tag == "issue"]
    if not issuers or AMAZON & set(issuers):
        return ""
    return ", ".join(sorted(set(filter(None, issuers)))) or "nobody"


def _records(planned: Planned) -> Iterator[Finding]:
    client, zone = planned.client("route53"), _chosen(planned)
    made = {(item.get("fqdn"), item.get("type")) for item in planned.made("aws_route53_record")}
    api, assets = planned.hosts
    there = []
    for host, kinds in ((api, ("A", "CNAME")), (assets, ("A", "AAAA", "CNAME"))):
        listed = client.list_resource_record_sets(
            HostedZoneId=zone, StartRecordName=f"{host}.", MaxItems="10"
        )["ResourceRecordSets"]
        there += [
            f"{host} {item['Type']}"
            for item in listed
            if item["Name"].rstrip(".").lower() == host
            and item["Type"] in kinds
            and (host, item["Type"]) not in made
        ]
    if there:
        yield Finding(
            AREA, _RECORDS, "error", "free, or made by Terraform",
            f"there already: {', '.join(there)}",
            "Delete them if nothing uses them any more, or set another domain_name.",
        )  # fmt: skip
    else:
        yield Finding(AREA, _RECORDS, "ok", "free, or made by Terraform",
                      "free, or made by Terraform")  # fmt: skip
