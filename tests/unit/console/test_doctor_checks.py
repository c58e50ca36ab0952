"""Each area's judgement, on the smallest stand-in of AWS that shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from console.operations import web
from console.operations.environments import clients, settings_files
from console.operations.environments.deployment import Deployment
from console.operations.environments.doctor import (
    api,
    buckets,
    cdn,
    database,
    dns,
    examine,
    functions,
    permissions,
    terraform_state,
)
from console.operations.environments.doctor.examination import Check, run
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import Finding
from console.operations.environments.terraform_state import TerraformState
from console.operations.errors import OperationError
from console.operations.progress import ignore

REGION = "eu-central-1"
ACCOUNT = "123456789012"


def here(**changes: Any) -> Deployment:
    values: dict[str, Any] = {field.name: field.name for field in fields(Deployment)}
    values |= {
        "name": "prod",
        "region": REGION,
        "api_url": "https://api.example.com",
        "assets_url": "https://assets.example.com",
        "uploads_bucket": "ops-uploads",
        "assets_bucket": "ops-assets",
        "queue_url": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/ops-uploads",
        "dead_letter_queue_url": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/ops-dead",
        "topic_arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:ops-avatars",
        "function_names": {"authorizer": "ops-authorizer", "presign": "ops-presign"},
        "access": {},
    }
    return Deployment(**(values | changes))


def state(**instances: list[dict[str, Any]]) -> TerraformState:
    return TerraformState({"front_end_origins": [], "api_id": "abc"}, instances)


def only(checks: Iterator[Check], *keys: str) -> list[Check]:
    return [
        Check(check.area, check.key, check.run)
        for check in checks
        if any(key in check.key for key in keys)
    ]


def broken(findings: list[Finding]) -> dict[str, str]:
    return {found.name: found.found for found in findings if found.state != "ok"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        monkeypatch.setattr(
            clients,
            "client",
            lambda service, region, _access=(): boto3.client(service, region_name=region),
        )
        yield


@pytest.mark.usefixtures("aws")
class TestBuckets:
    @pytest.fixture
    def subject(self) -> Examined:
        s3 = boto3.client("s3", region_name=REGION)
        for name in ("ops-uploads", "ops-assets"):
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return Examined(here(), state())

    def test_a_bare_bucket_is_open_unversioned_and_silent(self, subject: Examined) -> None:
        checks = only(
            buckets.checks(subject), "the bucket", "public access", "versioning", "notification"
        )
        found = broken(run(checks, ignore))
        assert found["uploads versioning"] == "never enabled"
        assert "BlockPublicPolicy" in found["ops-assets public access"]
        assert found["uploads notification"] == "none"
        assert "the bucket ops-uploads" not in found

    def test_a_missing_bucket_is_the_only_thing_called_broken(self, subject: Examined) -> None:
        gone = Examined(here(uploads_bucket="nobody-has-this"), subject.state)
        checks = [
            check for check in buckets.checks(gone)
            if "assets" not in check.key or check.key == "the bucket ops-assets"
        ]  # fmt: skip
        errors = [item for item in run(checks, ignore) if item.state == "error"]
        assert [(item.name, item.found) for item in errors] == [
            ("the bucket nobody-has-this", "it does not exist")
        ]

    def test_a_bucket_policy_that_terraform_did_not_make_is_named(self, subject: Examined) -> None:
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "Anybody",
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "s3:GetObject",
                    "Resource": "arn:aws:s3:::ops-uploads/*",
                }
            ],
        }
        s3 = boto3.client("s3", region_name=REGION)
        s3.put_bucket_policy(Bucket="ops-uploads", Policy=json.dumps(policy))
        found = broken(run(only(permissions.checks(subject), "policy of the bucket"), ignore))
        assert found == {"the policy of the bucket ops-uploads": "added: Anybody"}


@pytest.mark.usefixtures("aws")
class TestDatabaseParameter:
    def parameter(self) -> Examined:
        known = state()
        known.outputs["database_url_parameter"] = "/ops/prod/database-url"
        return Examined(here(), known)

    def test_a_missing_parameter_is_named(self) -> None:
        (found,) = run(list(database.checks(self.parameter(), None)), ignore)
        assert (found.state, found.found) == ("error", "none")

    @pytest.mark.parametrize(("kind", "expected"), [("SecureString", "ok"), ("String", "error")])
    def test_the_url_must_be_encrypted_and_is_never_shown(self, kind: Any, expected: str) -> None:
        boto3.client("ssm", region_name=REGION).put_parameter(
            Name="/ops/prod/database-url", Value="postgresql://hunter22", Type=kind
        )
        (found,) = run(list(database.checks(self.parameter(), None)), ignore)
        assert found.state == expected
        assert "hunter22" not in repr(found)


@dataclass
class Migration:
    name: str
    state: str = "applied"
    drift: str = ""


@pytest.mark.parametrize(
    ("migrations", "expected", "says"),
    [
        ([Migration("one"), Migration("two")], "ok", "two"),
        ([Migration("one", "baseline"), Migration("two", "pending")], "warning", "pending: two"),
        ([Migration("one", drift="-a +b")], "error", "changed since: one"),
        ([Migration("one"), Migration("x", "no file")], "error", "no file: x"),
        ([Migration("one", "interrupted"), Migration("two", "pending")], "error", "interrupted"),
        ([], "ok", "none"),
    ],
)
def test_the_schema_is_judged_by_its_migrations(
    migrations: list[Migration], expected: str, says: str
) -> None:
    findings = run(list(database.checks(Examined(here(), None), lambda: migrations)), ignore)
    schema = findings[-1]
    assert schema.state == expected
    assert says in schema.found


@dataclass
class Difference:
    what: str
    name: str


def test_a_change_by_hand_is_a_warning_that_names_it() -> None:
    def findings(differences: list[Difference]) -> Any:
        checks = database.checks(Examined(here(), None), lambda: [], lambda: differences)
        return run(list(checks), ignore)[-1]

    found = findings([Difference("only here", "table public.notes")])
    assert (found.state, found.found) == ("warning", "only here: table public.notes")
    assert "make drift" in found.remedy
    assert findings([]).state == "ok"


def test_a_comparison_that_can_not_be_made_says_what_to_do() -> None:
    def refused() -> list[Difference]:
        raise OperationError("A scratch Postgres does not start.", "Free some disk.")

    checks = database.checks(Examined(here(), None), lambda: [], refused)
    found = run(list(checks), ignore)[-1]
    assert found.remedy == "Free some disk."


def test_a_database_that_does_not_answer_is_named_with_its_remedy() -> None:
    def stopped() -> list[Migration]:
        raise OperationError("The database does not answer.", "Start it: `make up`.")

    (found,) = run(list(database.checks(Examined(here(), None), stopped)), ignore)
    assert (found.area, found.state, found.remedy) == ("Database", "error", "Start it: `make up`.")


def test_without_a_database_nothing_is_said_of_one() -> None:
    assert list(database.checks(Examined(here(), state()), None)) == []


WANTED: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"]},
        {"Sid": "Write", "Effect": "Allow", "Action": ["s3:PutObject"]},
    ],
}


@pytest.mark.parametrize(
    ("live", "found"),
    [
        ({"State": "Active", "LastUpdateStatus": "Successful"}, {}),
        (
            {"State": "Active", "LastUpdateStatus": "InProgress"},
            {"presign state": ("warning", "Active, last update InProgress")},
        ),
        (
            {
                "State": "Failed",
                "StateReason": "The image is gone.",
                "LastUpdateStatus": "Successful",
            },
            {"presign state": ("error", "Failed, last update Successful: The image is gone.")},
        ),
        (
            {
                "State": "Active",
                "LastUpdateStatus": "Successful",
                "Environment": {"Error": {"ErrorCode": "AccessDenied", "Message": "No key."}},
            },
            {"presign variables": ("unknown", "No key.")},
        ),
    ],
)
def test_a_function_that_is_not_ready_says_why(
    live: dict[str, Any], found: dict[str, tuple[str, str]]
) -> None:
    client = SimpleNamespace(get_function_configuration=lambda **_: live)
    subject = Examined(
        SimpleNamespace(name="prod", functions=client, function_names={"presign": "ops-presign"}),  # type: ignore[arg-type]
        None,
    )
    findings = run(only(functions.checks(subject), "the function"), ignore)
    assert {item.name: (item.state, item.found) for item in findings if item.state != "ok"} == found


class TestPolicies:
    def said(self, live: dict[str, Any]) -> Finding:
        policy = SimpleNamespace(get_role_policy=lambda **_: {"PolicyDocument": live})
        subject = Examined(
            SimpleNamespace(  # type: ignore[arg-type]
                name="prod",
                iam=policy,
                uploads_bucket="u",
                assets_bucket="a",
                topic_arn="",
                function_names={},
            ),
            state(
                aws_iam_role_policy=[
                    {"role": "resize", "name": "function", "policy": json.dumps(WANTED)}
                ]
            ),
        )
        (found,) = run(only(permissions.checks(subject), "what the role"), ignore)
        return found

    def test_the_order_and_form_in_which_aws_gives_a_policy_do_not_matter(self) -> None:
        read, write = WANTED["Statement"]
        live = {
            "Statement": [
                write | {"Action": "s3:PutObject"},
                read | {"Action": read["Action"][::-1]},
            ]
        }
        assert self.said(live).state == "ok"

    def test_what_is_lacking_changed_or_added_is_named_by_its_statement(self) -> None:
        read, _ = WANTED["Statement"]
        wide = read | {"Action": ["s3:*"]}
        extra = {"Sid": "Delete", "Effect": "Allow", "Action": "s3:DeleteObject"}
        found = self.said({"Statement": [wide, extra]})
        assert found.state == "error"
        assert found.found == "without Write; changed: Read (Action); added: Delete"

    def test_a_policy_of_one_statement_that_is_no_list_is_understood(self) -> None:
        assert self.said({"Statement": WANTED["Statement"][0]}).found == "without Write"


@pytest.mark.parametrize(("days", "expected"), [(200, "ok"), (29, "warning"), (-2, "error")])
def test_a_certificate_is_judged_by_the_days_it_has_left(days: int, expected: str) -> None:
    expires = datetime.now(UTC) + timedelta(days=days, hours=1)
    asked = []

    def certificates_in(region: str) -> Any:
        asked.append(region)
        answer = {"Certificate": {"Status": "ISSUED", "NotAfter": expires}}
        return SimpleNamespace(describe_certificate=lambda **_: answer)

    subject = Examined(
        SimpleNamespace(  # type: ignore[arg-type]
            certificates_in=certificates_in, assets_bucket="a", assets_url="https://a.example.com"
        ),
        state(
            aws_acm_certificate=[
                {
                    "domain_name": "assets.example.com",
                    "arn": f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/1",
                }
            ]
        ),
    )
    findings = run(only(cdn.checks(subject), "certificate of"), ignore)
    assert [found.state for found in findings] == ["ok", expected]
    assert asked == ["us-east-1"]


def test_a_record_may_be_written_as_route_53s_console_writes_it() -> None:
    live = {
        "ResourceRecordSets": [
            {
                "Name": "API.example.com.",
                "Type": "A",
                "AliasTarget": {"DNSName": "dualstack.D-1.execute-api.amazonaws.com."},
            }
        ]
    }
    route53 = SimpleNamespace(list_resource_record_sets=lambda **_: live)
    record = {
        "fqdn": "api.example.com",
        "type": "A",
        "zone_id": "Z",
        "alias": [{"name": "d-1.execute-api.amazonaws.com"}],
        "records": None,
    }
    subject = Examined(
        SimpleNamespace(name="prod", route53=route53),  # type: ignore[arg-type]
        state(aws_route53_record=[record]),
    )
    assert broken(run(list(dns.checks(subject)), ignore)) == {}
    # the zone's next name, where ours is missing, is not ours
    record |= {"fqdn": "ap.example.com"}
    assert broken(run(list(dns.checks(subject)), ignore)) == {"ap.example.com A": "none"}


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (404, {"error": {"code": "not_found", "message": "…"}}, None),
        (500, {"message": "Internal Server Error"}, "500 Internal Server Error"),
        (200, {"profile": {}}, "200"),
    ],
)
def test_a_profile_is_read_where_there_is_a_function_for_it(
    monkeypatch: pytest.MonkeyPatch, status: int, body: Any, found: str | None
) -> None:
    asked = []

    def request(method: str, url: str, *_: Any) -> web.Response:
        asked.append((method, url))
        return web.Response(status, {}, json.dumps(body).encode())

    monkeypatch.setattr(web, "request", request)
    names = {"authorizer": "a", "presign": "p", "profiles": "ops-profiles"}
    subject = Examined(here(function_names=names), None)
    checks = only(api.checks(subject, None), "a profile")
    assert broken(run(checks, ignore)) == ({"a profile that isn't there": found} if found else {})
    assert asked[0][1].startswith("https://api.example.com/api/activities/doctor-")


def test_expired_credentials_are_one_error_and_the_rest_is_not_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    settings = "".join(
        f"{field.name.upper()}=x\n"
        for field in fields(Deployment)
        if field.name not in {"name", "access"}
    )
    (tmp_path / ".env.prod").write_text(f"{settings}ACCOUNT_ID=123456789012\n")
    (tmp_path / ".env.front-end.prod").write_text(
        "".join(f"{name}=x\n" for name in settings_files.FRONT_END)
    )

    class Sts:
        def get_caller_identity(self) -> None:
            raise ClientError(
                {"Error": {"Code": "ExpiredToken", "Message": "The token has expired."}}, "x"
            )

    monkeypatch.setattr(clients, "client", lambda *_: Sts())
    clients.caller.cache_clear()
    workspace = SimpleNamespace(target=SimpleNamespace(region=REGION, access={}))
    findings = examine("prod", lambda: workspace)  # type: ignore[arg-type,return-value]
    assert broken(findings) == {
        "AWS": "Could not ask AWS whose credentials these are: The token has expired.",
        "because of: the credentials": "everything that AWS would have to be asked",
    }
    (error,) = (found for found in findings if found.state == "error")
    assert error.remedy == "The credentials have expired: sign in again."


@pytest.mark.usefixtures("aws")
class TestTerraformState:
    class Workspace:
        state_bucket, state_key = "state", "prod/terraform.tfstate"
        target = SimpleNamespace(env="prod", region=REGION, access={})

        def client(self, service: str) -> Any:
            return boto3.client(service, region_name=REGION)

    def put(self, content: dict[str, Any]) -> None:
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket="state", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="state", Key="prod/terraform.tfstate", Body=json.dumps(content))

    def read(self) -> TerraformState:
        return terraform_state.read(self.Workspace())  # type: ignore[arg-type]

    def test_outputs_and_managed_resources_are_read(self) -> None:
        self.put(
            {
                "version": 4,
                "outputs": {"region": {"value": REGION, "type": "string"}},
                "resources": [
                    {
                        "mode": "managed",
                        "type": "aws_sqs_queue",
                        "instances": [{"attributes": {"name": "a"}}, {"attributes": {"name": "b"}}],
                    },
                    {"mode": "data", "type": "aws_region", "instances": [{"attributes": {}}]},
                ],
            }
        )
        found = self.read()
        assert found.outputs == {"region": REGION}
        assert [item["name"] for item in found.all("aws_sqs_queue")] == ["a", "b"]
        assert found.all("aws_region") == []

    def test_a_state_of_another_format_is_refused(self) -> None:
        self.put({"version": 5})
        with pytest.raises(OperationError, match="version 5"):
            self.read()

    def test_an_environment_that_was_never_applied_says_so_once(self) -> None:
        findings = examine("prod", self.Workspace)  # type: ignore[arg-type]
        assert [(found.area, found.state) for found in findings] == [
            ("Credentials", "ok"),
            ("Terraform", "error"),
            ("Not checked", "unknown"),
        ]

    def test_a_state_that_is_missing_or_empty_says_so(self) -> None:
        with pytest.raises(OperationError, match="make bootstrap apply ENV=prod"):
            self.read()
        self.put({"version": 4, "outputs": {}, "resources": []})
        with pytest.raises(OperationError, match="Nothing was applied"):
            self.read()
