"""What would stop an apply is said before it, on the smallest stand-in of AWS that shows it."""

from __future__ import annotations

import functools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from console.commands import preflight as command
from console.operations.environments import clients, preflight, tfvars
from console.operations.environments import target as targets
from console.operations.environments.doctor import Finding, State
from console.operations.environments.preflight import account, public_dns, settings
from console.operations.environments.preflight.planned import Planned
from console.operations.environments.target import MismatchError, Target
from console.operations.environments.terraform_state import NothingAppliedError, TerraformState
from console.operations.errors import OperationError
from console.operations.progress import ignore

REGION, ACCOUNT = "eu-central-1", "123456789012"
NAME = "avatar-ops-prod"


@dataclass
class NameServer:
    """A name server on this machine; a name without an entry does not exist."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            packet, address = self._socket.recvfrom(4096)
            if not packet:
                return
            query = dns.message.from_wire(packet)
            self._socket.sendto(self._answer(query).to_wire(), address)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True)
        kind = question.rdtype.name
        self.asked.append(f"{name} {kind}")
        answer = dns.message.make_response(query)
        if name in self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif texts := self.records.get((name, kind)):
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
        elif not any(known == name or known.endswith(f".{name}") for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer

    def close(self) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(public_dns, "SERVERS", ("127.0.0.1",))
    monkeypatch.setattr(public_dns, "PORT", server.port)
    monkeypatch.setattr(public_dns, "_TRY_SECONDS", 0.3)
    monkeypatch.setattr(public_dns, "_SECONDS", 0.5)
    yield server
    server.close()


@functools.cache
def made_client(service: str, region: str) -> Any:
    """Return a client for all tests: making one takes a tenth of a second."""
    return boto3.client(
        service, region, aws_access_key_id="testing", aws_secret_access_key="testing"
    )


class Cloud:
    """moto, with answers of its own where moto has none."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[..., Any]] = {
            "get_account_settings": lambda: self.concurrency(1000, 1000),
            "list_cache_policies": lambda **_: {"CachePolicyList": {"Quantity": 0}},
            "list_response_headers_policies": lambda **_: {
                "ResponseHeadersPolicyList": {"Quantity": 0}
            },
        }

    @staticmethod
    def concurrency(total: int, unreserved: int) -> dict[str, Any]:
        return {
            "AccountLimit": {
                "ConcurrentExecutions": total,
                "UnreservedConcurrentExecutions": unreserved,
            }
        }

    def client(self, service: str, region: str | None = None, _access: object = ()) -> Any:
        real = made_client(service, region or REGION)
        replaced = {name: answer for name, answer in self.answers.items() if hasattr(real, name)}

        class Client:
            def __getattr__(self, name: str) -> Any:
                return replaced.get(name) or getattr(real, name)

        return Client()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(targets, "TFVARS", tmp_path)
    made = Cloud()
    clients.forget_clients()
    with mock_aws():
        monkeypatch.setattr(clients, "client", made.client)
        yield made
    clients.forget_clients()


def state(**instances: list[dict[str, Any]]) -> TerraformState:
    return TerraformState({}, instances)


def look(tmp_path: Path, applied: TerraformState | None = None, **given: Any) -> dict[str, Finding]:
    """Write the settings, and return what preflight says of them by name."""
    values = {"environment": "prod", "region": REGION, "account_id": ACCOUNT,
              "front_end_origins": ["https://example.com"], **given}  # fmt: skip
    (tmp_path / "prod.tfvars").write_text(
        "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    )
    place = Target("prod", ACCOUNT, str(values["region"]), None, tmp_path)

    def read(_workspace: object) -> TerraformState:
        if applied is None:
            raise NothingAppliedError("prod")
        return applied

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight.terraform_state, "read", read)
        found = preflight.examine("prod", lambda: place, lambda _: SimpleNamespace())  # type: ignore[arg-type,return-value]
    return {finding.name: finding for finding in found}


def wrong(found: dict[str, Finding]) -> dict[str, str]:
    """Return what is wrong, but for the state's bucket, which no test makes."""
    return {
        name: finding.found
        for name, finding in found.items()
        if finding.state in {"error", "warning"} and name != "the state's bucket"
    }


def zone(name: str = "example.com", comment: str = "") -> tuple[str, list[str]]:
    """Make a public zone; return its id and its name servers."""
    made = made_client("route53", REGION).create_hosted_zone(
        Name=name,
        CallerReference=f"{name} {comment}",
        HostedZoneConfig={"Comment": comment, "PrivateZone": False},
    )
    return made["HostedZone"]["Id"].rpartition("/")[2], made["DelegationSet"]["NameServers"]


def delegate(name_server: NameServer, name: str, servers: list[str]) -> None:
    name_server.records[name, "NS"] = [f"{server}." for server in servers]


@pytest.mark.usefixtures("cloud")
def test_nothing_is_wrong_with_an_empty_account_and_a_delegated_domain(
    tmp_path: Path, name_server: NameServer
) -> None:
    delegate(name_server, "example.com", zone()[1])
    found = look(tmp_path, domain_name="example.com", database={"url_parameter_name": "/x"})
    assert wrong(found) == {}
    assert found["the state's bucket"].remedy == "Run `make bootstrap ENV=prod`."
    assert {finding.area for finding in found.values()} == {
        "Settings", "Account", "Names", "Domain",
    }  # fmt: skip
    assert "example.com CAA" in name_server.asked


# Domain


@pytest.mark.usefixtures("cloud")
def test_a_domain_without_a_zone_is_named(tmp_path: Path, name_server: NameServer) -> None:
    found = look(tmp_path, domain_name="example.com")
    assert wrong(found) == {"zone": "none in this account"}
    assert "hosted_zone_name" in found["zone"].remedy
    assert "delegation" in found["because of: zone"].found


@pytest.mark.usefixtures("cloud")
def test_of_two_zones_of_one_name_the_setting_decides(
    tmp_path: Path, name_server: NameServer
) -> None:
    first, servers = zone(comment="old")
    second, _ = zone(comment="new")
    delegate(name_server, "example.com", servers)
    found = look(tmp_path, domain_name="example.com")
    assert set(wrong(found)) == {"zone"}
    assert f"{first} old" in found["zone"].found
    assert "hosted_zone_id" in found["zone"].remedy
    assert wrong(look(tmp_path, domain_name="example.com", hosted_zone_id=first)) == {}
    assert set(wrong(look(tmp_path, domain_name="example.com", hosted_zone_id=f"{second}X"))) == {
        "zone"
    }


@pytest.mark.usefixtures("cloud")
def test_a_private_zone_of_the_same_name_is_another_matter(
    tmp_path: Path, name_server: NameServer
) -> None:
    made_client("route53", REGION).create_hosted_zone(
        Name="example.com",
        CallerReference="private",
        VPC={"VPCRegion": REGION, "VPCId": "vpc-0123456789abcdef0"},
        HostedZoneConfig={"PrivateZone": True},
    )
    assert wrong(look(tmp_path, domain_name="example.com")) == {"zone": "none in this account"}
    delegate(name_server, "example.com", zone()[1])
    assert wrong(look(tmp_path, domain_name="example.com")) == {}


@pytest.mark.usefixtures("cloud")
def test_a_zone_that_the_world_does_not_know_is_named(
    tmp_path: Path, name_server: NameServer
) -> None:
    _, servers = zone()
    name_server.records["example.com", "A"] = ["192.0.2.1"]
    found = look(tmp_path, domain_name="example.com")
    assert wrong(found) == {"delegation": "not delegated"}
    assert found["delegation"].expected == ", ".join(sorted(servers))
    assert "75 minutes" in found["delegation"].remedy
    delegate(name_server, "example.com", ["ns1.elsewhere.example"])
    assert wrong(look(tmp_path, domain_name="example.com")) == {
        "delegation": "ns1.elsewhere.example"
    }
    name_server.failing.add("example.com")
    said = wrong(look(tmp_path, domain_name="example.com"))
    assert said["delegation"] == "name servers that don't answer for it"


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("place", "records", "admits"),
    [
        ("example.com", ['0 issue "letsencrypt.org"'], "letsencrypt.org"),
        ("api.app.example.com", ['0 issue ";"'], "nobody"),
        ("app.example.com", ['0 issue "letsencrypt.org"', '0 issue "amazonaws.com; x=y"'], ""),
        ("app.example.com", ['0 iodef "mailto:a@example.com"'], ""),
        ("app.example.com", ['0 issuewild "letsencrypt.org"'], ""),
        ("app.example.com", ['128 tbs "unknown"'], "nobody who doesn't understand tbs"),
    ],
)
def test_a_caa_record_that_excludes_amazon_is_named(
    tmp_path: Path, name_server: NameServer, place: str, records: list[str], admits: str
) -> None:
    delegate(name_server, "app.example.com", zone("app.example.com")[1])
    name_server.records[place, "CAA"] = records
    found = look(tmp_path, domain_name="app.example.com")
    assert wrong(found) == ({"CAA records": f"{place} admits {admits}"} if admits else {})
    if admits:
        assert 'issue "amazon.com"' in found["CAA records"].remedy


@pytest.mark.usefixtures("cloud")
def test_the_nearest_caa_record_counts(tmp_path: Path, name_server: NameServer) -> None:
    delegate(name_server, "app.example.com", zone("app.example.com")[1])
    name_server.records["example.com", "CAA"] = ['0 issue "letsencrypt.org"']
    name_server.records["app.example.com", "CAA"] = ['0 issue "amazontrust.com"']
    assert wrong(look(tmp_path, domain_name="app.example.com")) == {}


@pytest.mark.usefixtures("cloud")
def test_without_a_network_the_domain_is_unknown_not_broken(
    tmp_path: Path, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setattr(public_dns, "PORT", silent.getsockname()[1])
        found = look(tmp_path, domain_name="example.com")
    assert wrong(found) == {}
    for name in ("delegation", "CAA records"):
        assert found[name].state == "unknown"
        assert "no public name server answers" in found[name].found


@pytest.mark.usefixtures("cloud")
def test_once_certificates_are_issued_public_dns_is_left_alone(
    tmp_path: Path, name_server: NameServer
) -> None:
    zone()
    applied = state(aws_acm_certificate_validation=[{}, {}])
    assert wrong(look(tmp_path, applied, domain_name="example.com")) == {}
    assert name_server.asked == []


@pytest.mark.usefixtures("cloud")
def test_records_that_are_there_already_are_named(tmp_path: Path, name_server: NameServer) -> None:
    identity, servers = zone()
    delegate(name_server, "example.com", servers)
    made_client("route53", REGION).change_resource_record_sets(
        HostedZoneId=identity,
        ChangeBatch={
            "Changes": [
                {
                    "Action": "CREATE",
                    "ResourceRecordSet": {
                        "Name": "api.example.com",
                        "Type": "A",
                        "TTL": 60,
                        "ResourceRecords": [{"Value": "192.0.2.1"}],
                    },
                }
            ]
        },
    )
    found = look(tmp_path, domain_name="example.com")
    assert wrong(found) == {"records": "there already: api.example.com A"}
    own = state(aws_route53_record=[{"fqdn": "api.example.com", "type": "A"}])
    assert wrong(look(tmp_path, own, domain_name="example.com")) == {}


def test_an_emulators_domain_is_in_no_public_dns(
    tmp_path: Path, cloud: Cloud, name_server: NameServer
) -> None:
    zone()
    there = Target("prod", ACCOUNT, REGION, None, tmp_path, endpoint="http://localhost:1")
    planned = Planned(there, {"domain_name": "example.com"}, None)
    found = preflight.examination.run(list(preflight.domain.checks(planned)), lambda _: None)
    assert {finding.name for finding in found if finding.state == "unknown"} == {
        "delegation", "CAA records",
    }  # fmt: skip
    assert name_server.asked == []


# Names


def make_names() -> None:
    """Make what another environment of the same name has."""
    made_client("iam", REGION).create_role(RoleName=f"{NAME}-resize", AssumeRolePolicyDocument="{}")
    made_client("sqs", REGION).create_queue(QueueName=f"{NAME}-uploads")
    made_client("sqs", REGION).create_queue(QueueName=f"{NAME}-cleanup")
    made_client("sns", "us-east-1").create_topic(Name=f"{NAME}-cdn-alarms")
    made_client("dynamodb", REGION).create_table(
        TableName=f"{NAME}-limits",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "user", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "user", "AttributeType": "S"}],
    )
    logs = made_client("logs", REGION)
    logs.create_log_group(logGroupName=f"/aws/lambda/{NAME}-resize")
    logs.create_log_group(logGroupName=f"/aws/lambda/{NAME}-other")  # nobody's business
    made_client("s3", REGION).create_bucket(
        Bucket=f"{NAME}-uploads-{ACCOUNT}",
        CreateBucketConfiguration={"LocationConstraint": REGION},
    )


def test_names_that_exist_already_are_named(tmp_path: Path, cloud: Cloud) -> None:
    make_names()
    cloud.answers["list_cache_policies"] = lambda **_: {
        "CachePolicyList": {"Items": [{"CachePolicy": {"CachePolicyConfig": {"Name": NAME}}}]}
    }
    found = look(tmp_path, alarm_email="a@example.com")
    assert wrong(found) == {
        f"{NAME}-uploads-{ACCOUNT}": "there already, in this account",
        "roles": f"there already: {NAME}-resize",
        "queues": f"there already: {NAME}-cleanup, {NAME}-uploads",
        "topics": f"there already: {NAME}-cdn-alarms",
        "tables": f"there already: {NAME}-limits",
        "log groups": f"there already: /aws/lambda/{NAME}-resize",
        "CloudFront's policies": f"there already: cache policy {NAME}",
    }
    assert all(found[name].remedy for name in wrong(found))
    assert wrong(look(tmp_path, project="other")) == {}


@pytest.mark.usefixtures("cloud")
def test_what_terraform_made_is_not_in_its_own_way(tmp_path: Path) -> None:
    make_names()
    own = state(
        aws_iam_role=[{"name": f"{NAME}-resize"}],
        aws_sqs_queue=[{"name": f"{NAME}-{end}"} for end in ("uploads", "cleanup")],
        aws_dynamodb_table=[{"name": f"{NAME}-limits"}],
        aws_sns_topic=[{"arn": f"arn:aws:sns:us-east-1:{ACCOUNT}:{NAME}-cdn-alarms"}],
        aws_cloudwatch_log_group=[{"name": f"/aws/lambda/{NAME}-resize"}],
        aws_s3_bucket=[{"bucket": f"{NAME}-uploads-{ACCOUNT}"}],
    )
    assert wrong(look(tmp_path, own, alarm_email="a@example.com")) == {}


@pytest.mark.parametrize(
    ("code", "says"),
    [("403", "another account's"), ("301", "another region"), ("400", "another region")],
)
def test_a_bucket_name_taken_elsewhere_is_named(
    tmp_path: Path, cloud: Cloud, code: str, says: str
) -> None:
    def head(Bucket: str, **_: str) -> None:  # noqa: N803 - S3's own name
        raise ClientError({"Error": {"Code": code if "assets" in Bucket else "404"}}, "HeadBucket")

    cloud.answers["head_bucket"] = head
    found = wrong(look(tmp_path))
    assert set(found) == {f"{NAME}-assets-{ACCOUNT}"}
    assert says in found[f"{NAME}-assets-{ACCOUNT}"]


def test_what_may_not_be_asked_is_unknown_and_the_rest_is_checked(
    tmp_path: Path, cloud: Cloud
) -> None:
    make_names()

    def denied(**_: str) -> None:
        raise ClientError(
            {"Error": {"Code": "AccessDenied", "Message": "no iam:GetRole"}}, "GetRole"
        )

    cloud.answers["get_role"] = cloud.answers["get_account_settings"] = denied
    found = look(tmp_path)
    assert {"queues", "log groups"} <= set(wrong(found))
    for name in ("roles", "Lambda's concurrency"):
        assert (found[name].state, "permission" in found[name].remedy) == ("unknown", True)


# Account


@pytest.mark.parametrize(
    ("unreserved", "given", "applied", "says"),
    [
        (1000, {}, None, {}),
        (10, {}, None, {"Lambda's concurrency": "10 of 1000"}),
        (40, {"resize": {"maximum_concurrency": 50}}, None, {"Lambda's concurrency": "40 of 1000"}),
        (
            1000,
            {"database": {"url_parameter_name": "/x", "maximum_concurrency": 950}},
            None,
            {"database.maximum_concurrency": "50 left unreserved"},
        ),
        (
            50,
            {"database": {"url_parameter_name": "/x", "maximum_concurrency": 950}},
            state(aws_lambda_function=[{"reserved_concurrent_executions": 950},
                                       {"reserved_concurrent_executions": -1}]),
            {},
        ),
    ],
)  # fmt: skip
def test_the_concurrency_quota_is_held_against_the_settings(
    tmp_path: Path,
    cloud: Cloud,
    unreserved: int,
    given: dict[str, Any],
    applied: TerraformState | None,
    says: dict[str, str],
) -> None:
    cloud.answers["get_account_settings"] = lambda: cloud.concurrency(1000, unreserved)
    planned = Planned(Target("prod", ACCOUNT, REGION, None, tmp_path), given, applied)
    found = {finding.name: finding for finding in account._quota(planned)}
    assert wrong(found) == says
    assert all("Service Quotas" in found[name].remedy for name in says)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("minutes", "domain", "says"),
    [
        (None, False, "they don't say until when"),
        (10, False, "for 9 minutes"),
        (30, False, ""),
        (30, True, "for 29 minutes"),
        (120, True, ""),
    ],
)
def test_credentials_must_outlast_the_apply(
    tmp_path: Path,
    name_server: NameServer,
    monkeypatch: pytest.MonkeyPatch,
    minutes: int | None,
    domain: bool,
    says: str,
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "temporary")
    if minutes:
        end = datetime.now(UTC) + timedelta(minutes=minutes)
        monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", end.isoformat())
    clients.forget_clients()
    delegate(name_server, "example.com", zone()[1])
    found = look(tmp_path, **({"domain_name": "example.com"} if domain else {}))["credentials"]
    assert found.state == ("ok" if not says else "warning" if minutes else "unknown")
    assert says in found.found
    assert bool(says) == ("Sign in again" in found.remedy)


@pytest.mark.parametrize(
    ("token", "state_", "says"),
    [
        ({"expiresAt": "2020-01-01T00:00:00+00:00"}, "warning", "for 0 minutes"),
        (
            {"expiresAt": "2020-01-01T00:00:00+00:00", "refreshToken": "x"},
            "ok",
            "renewed by themselves",
        ),
    ],
)
def test_a_sign_in_by_sso_ends_with_its_session(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    token: dict[str, str],
    state_: str,
    says: str,
) -> None:
    name = "c2a5ceb0d0a0a9ce9bfb6ba5fa9c8d2cbc8a3c9e"
    frozen = SimpleNamespace(token="temporary")
    core = SimpleNamespace(
        profile="prod", full_config={"profiles": {"prod": {"sso_session": "company"}}}
    )
    session = SimpleNamespace(
        _session=core,
        get_credentials=lambda: SimpleNamespace(
            method="sso", get_frozen_credentials=lambda: frozen, _expiry_time=None
        ),
    )
    monkeypatch.setattr(clients, "session", lambda *_: session)
    monkeypatch.setattr(account.Path, "home", lambda: tmp_path)
    name = account.hashlib.sha1(b"company").hexdigest()
    folder = tmp_path / ".aws/sso/cache"
    folder.mkdir(parents=True)
    (folder / f"{name}.json").write_text(json.dumps(token))
    planned = Planned(Target("prod", ACCOUNT, REGION, None, tmp_path), {}, None)
    (found,) = account._credentials(planned)
    assert (found.state, says in found.found) == (state_, True)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "eusc-de-east-1"])
def test_another_partition_is_refused_before_anything_is_asked(tmp_path: Path, region: str) -> None:
    found = look(tmp_path, region=region)
    assert list(wrong(found)) == ["region"]
    assert "CloudFront" in found["region"].remedy


def refused_by_aws() -> OperationError:
    error = OperationError("Could not ask AWS.", "AWS does not know these credentials.")
    error.__cause__ = ClientError({"Error": {"Code": "InvalidClientTokenId"}}, "GetCallerIdentity")
    return error


@pytest.mark.parametrize(
    ("region", "status", "says"),
    [
        ("me-central-1", "DISABLED", "me-central-1 is disabled"),
        ("me-central-1", "ENABLED", "Could not ask AWS."),
        ("eu-centrall-1", "", "eu-centrall-1"),
    ],
)
def test_a_region_that_is_not_enabled_is_told_from_wrong_credentials(
    cloud: Cloud, region: str, status: str, says: str
) -> None:
    cloud.answers["get_region_opt_status"] = lambda **_: {"RegionOptStatus": status}
    found = account.refused(region, refused_by_aws())
    assert (found.state, found.found) == ("error", says)


@pytest.mark.usefixtures("cloud")
def test_an_existing_pool_that_is_not_there_is_named(tmp_path: Path) -> None:
    cognito = made_client("cognito-idp", "eu-west-1")
    pool = cognito.create_user_pool(PoolName="app")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="web")["UserPoolClient"]
    given = {"id": pool, "client_id": client["ClientId"]}
    assert wrong(look(tmp_path, user_pool=given)) == {}
    assert set(wrong(look(tmp_path, user_pool={**given, "client_id": "another"}))) == {"user_pool"}


# Settings


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"alarm_mail": "a@example.com"}, {"alarm_mail": "nothing reads it"}),
        ({"resize": {"maximum_concurency": 5}}, {"resize.maximum_concurency": "nothing reads it"}),
        ({"hosted_zone_id": "Z1"}, {"hosted_zone_id": "without domain_name nothing reads it"}),
        ({"s3_use_path_style": True}, {"s3_use_path_style": "an emulator's setting, on AWS"}),
        ({"deny_insecure_transport": False},
         {"deny_insecure_transport": "an emulator's setting, on AWS"}),
        ({"viewer_protocol_policy": "allow-all"},
         {"viewer_protocol_policy": "pictures over plain HTTP"}),
        ({"log_kms_key_arn": f"arn:aws:kms:us-west-2:{ACCOUNT}:key/x"},
         {"log_kms_key_arn": "in us-west-2"}),
        ({"alarm_topic_arns": [f"arn:aws:sns:{REGION}:999999999999:ops"]},
         {"alarm_topic_arns": "of 999999999999"}),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_named(
    tmp_path: Path, given: dict[str, Any], says: dict[str, str]
) -> None:
    planned = Planned(Target("prod", ACCOUNT, REGION, None, tmp_path), given, None)
    checked = [finding for check in settings.checks(planned) for finding in check.run()]
    found = {finding.name: finding for finding in checked}
    assert wrong(found) == says
    assert all(found[name].remedy for name in says)


def test_settings_of_a_pool_that_is_not_made_here_are_named(tmp_path: Path) -> None:
    planned = Planned(
        Target("prod", ACCOUNT, REGION, None, tmp_path),
        {"user_pool": {"id": "x"}, "user_pool_tier": "PLUS", "other_app_clients": ["ios"]},
        None,
    )
    assert [finding.name for finding in settings._found(planned)] == [
        "other_app_clients", "user_pool_tier",
    ]  # fmt: skip


def test_every_example_is_read_as_it_is_written() -> None:
    root = targets.TFVARS.parent
    files = [*root.glob("envs/*.tfvars"), *root.glob("examples/**/*.tfvars")]
    assert len(files) > 3
    known = tfvars.declared()
    assert {"environment", "region", "resize", "database"} <= known.keys()
    assert "maximum_concurrency" in known["resize"]
    for path in files:
        values = tfvars.read(path)
        assert values.keys() <= known.keys(), path
        assert isinstance(values["front_end_origins"], list)


def test_tfvars_hold_every_kind_of_literal(tmp_path: Path) -> None:
    path = tmp_path / "x.tfvars"
    path.write_text(
        '# one\na = "b \\"c\\" # not a comment" // two\n/* three\n lines */\nn = -1.5\n'
        'l = [\n  "x", # why\n  true,\n]\no = { "512" = ["jpg"], k : null }\n'
        "h = <<-EOT\n  text\n  EOT\nempty = {}\n"
    )
    assert tfvars.read(path) == {
        "a": 'b "c" # not a comment', "n": -1.5, "l": ["x", True], "h": "  text",
        "o": {"512": ["jpg"], "k": None}, "empty": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ['a = \nb = "c"', "a = var.b", 'a "b"', "a = [1 2]", 'a = "b', "a = {", "a = 1 b = 2", "?"],
)
def test_what_is_not_a_setting_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.tfvars"
    path.write_text(f"# first\n{text}")
    with pytest.raises(OperationError, match=r"Line \d of x\.tfvars"):
        tfvars.read(path)


@pytest.mark.usefixtures("cloud")
def test_settings_that_cannot_be_read_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "prod.tfvars").write_text("region =")

    def resolved() -> Target:
        pytest.fail("nothing is asked")

    (found,) = preflight.examine("prod", resolved)
    assert (found.area, found.state) == ("Settings", "error")
    (found,) = preflight.examine("other", resolved)
    assert "Copy example.tfvars" in found.remedy


@pytest.mark.usefixtures("cloud")
def test_an_environment_whose_parts_disagree_is_named_as_that(tmp_path: Path) -> None:
    (tmp_path / "prod.tfvars").write_text(f'environment = "staging"\nregion = "{REGION}"\n')

    def resolved() -> Target:
        raise MismatchError("ENV is prod, but prod.tfvars is of 'staging'.", "Set it.")

    (found,) = preflight.examine("prod", resolved)
    assert (found.name, found.state, found.remedy) == ("environment", "error", "Set it.")


# The commands


def test_a_plan_ends_where_an_apply_would_fail_unless_it_is_wanted_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        Finding("Domain", "zone", "error", "one public zone", "none", "Make one."),
        Finding("Settings", "colour", "warning", "", "nothing reads it", "Delete it."),
        Finding("Account", "credentials", "ok", "", ""),
    ]
    monkeypatch.setattr(preflight, "examine", lambda *_, **__: found)
    with pytest.raises(OperationError, match=r"Domain, zone: none.*Make one.*FORCE=1"):
        command.before_plan(ignore, force=False)
    command.before_plan(ignore, force=True)
    shown = capsys.readouterr().out
    assert "Make one." in shown
    assert "Delete it." in shown
    assert "credentials" not in shown
    found.pop(0)
    command.before_plan(ignore, force=False)


@pytest.mark.parametrize(("state", "status"), [("error", 1), ("warning", 0), ("unknown", 0)])
def test_the_command_ends_with_1_only_where_an_apply_would_fail(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    state: State,
    status: int,
) -> None:
    found = [Finding("Domain", "zone", state, "one", "none", "Make one.")]
    monkeypatch.setattr(preflight, "examine", lambda *_, **__: found)
    with pytest.raises(SystemExit) as ended:
        command.preflight(as_json=True)
    assert ended.value.code == status
    assert json.loads(capsys.readouterr().out)[0]["remedy"] == "Make one."
