"""What doctor says of a living system, and of the same one after each thing is broken by hand."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.client
import psycopg
import pytest

from console.operations import migrations, web
from console.operations.environments import databases
from console.operations.environments.deployment import Deployment
from console.operations.environments.doctor import Finding, all_checks, examine, terraform_state
from console.operations.environments.doctor.database import PARAMETER
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.settings_files import front_end_file
from console.operations.environments.terraform import Workspace
from console.operations.errors import OperationError
from console.operations.migrations import postgres_server as postgres
from console.operations.releases.aliases import ALIAS
from tests.conftest import DOCTOR
from tests.integration.system import System, wait_until

Break = Callable[[Deployment], contextlib.AbstractContextManager[None]]
Table = Callable[[str, list[Finding]], None]


def workspace(system: System) -> Workspace:
    return Workspace(system.target())


def look(system: System) -> list[Finding]:
    try:
        here = system.deployment()
    except OperationError:  # a broken settings file is what the test is about
        return examine("local", lambda: workspace(system))
    return examine(
        "local",
        lambda: workspace(system),
        migrations=lambda: migrations.migrations(databases.operator_url(here)),
    )


def named(findings: list[Finding]) -> set[str]:
    return {f"{found.area}: {found.name}" for found in findings if found.state != "ok"}


@pytest.fixture
def table(record_property: Callable[[str, object], None]) -> Table:
    """Return a function that adds a row to the table that the summary of the run prints."""

    def add(what: str, findings: list[Finding]) -> None:
        for found in findings:
            record_property(
                DOCTOR,
                f"{what:<46} {found.state:<8} {found.area}: {found.name}"
                f" | {found.expected} → {found.found}",
            )
            what = ""

    return add


def test_everything_is_ok_on_a_new_system(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def counted(client: Any, operation: str, parameters: Any) -> Any:
        calls.append(operation)
        return call(client, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", counted)
    findings = look(system)
    assert named(findings) == set()
    areas = {found.area for found in findings}
    assert areas >= {"Console settings", "Front-end settings", "Functions", "API", "CDN", "DNS"}
    print(f"\n{len(findings)} findings, {len(calls)} AWS calls")
    assert len(calls) < 10 * len(system.deployment().function_names)


def test_an_examination_without_a_test_user_changes_nothing(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    sent: list[str] = []
    call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]
    request = web.request

    def recorded(client: Any, operation: str, parameters: Any) -> Any:
        calls.append(operation)
        return call(client, operation, parameters)

    def asked(method: str, *arguments: Any, **options: Any) -> web.Response:
        sent.append(method)
        return request(method, *arguments, **options)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", recorded)
    monkeypatch.setattr(web, "request", asked)
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(system.directory))
    url = system.target().database_url() + "?options=-c%20default_transaction_read_only%3Don"
    findings = examine(
        "local",
        lambda: workspace(system),
        who=None,
        migrations=lambda: migrations.migrations(url),
    )
    assert named(findings) == set()
    assert [name for name in calls if not re.match("Get|List|Describe|Head", name)] == []
    # without a token the API refuses what it is asked, and that is what is tried
    assert set(sent) <= {"GET", "HEAD", "OPTIONS", "POST"}


def test_every_prerequisite_is_a_check_that_comes_before(system: System, here: Deployment) -> None:
    subject = Examined(here, terraform_state.read(workspace(system)))
    seen: set[str] = set()
    for check in all_checks(subject, "doctor", list):
        assert seen >= {*check.needs, *check.after} - {PARAMETER}, check.key
        assert check.key not in seen
        seen.add(check.key)


def test_the_command_prints_the_same_and_ends_with_the_severity(system: System) -> None:
    findings = json.loads(system.make("doctor", "JSON=1"))
    assert {found["state"] for found in findings} == {"ok"}
    assert set(findings[0]) == {"area", "name", "state", "expected", "found", "remedy"}
    with settings_changed(system, "USER_POOL_CLIENT_ID", "another"):
        shown = system.make("doctor", status=2)
    assert "✗ 1 error" in shown
    assert "make env ENV=local" in shown
    assert re.search(r"AWS_SECRET_ACCESS_KEY +•••• *$", shown, re.MULTILINE)


@contextlib.contextmanager
def settings_changed(system: System, name: str, value: str | None) -> Iterator[None]:
    """Change a variable of .env.local; None removes it, and `name=` in the value renames it."""
    path = system.directory / ".env.local"
    before = path.read_text()
    line = "" if value is None else value if "=" in value else f"{name}={value}"
    path.write_text(re.sub(rf"(?m)^{name}=.*$", line, before))
    try:
        yield
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("USER_POOL_CLIENT_ID", "1234567890abcdef", "1234567890abcdef"),
        ("USER_POOL_ID", "", "empty"),
        ("ASSETS_BUCKET", None, "missing"),
        ("QUEUE_URL", "QUEUE_ULR=http://localhost/0/q", "missing; misspelt as QUEUE_ULR?"),
        ("FUNCTION_NAMES", "{", "{"),
    ],
)
def test_each_fault_in_the_settings_is_named_and_nothing_else(
    system: System,
    name: str,
    value: str | None,
    found: str,
    table: Table,
) -> None:
    with settings_changed(system, name, value):
        findings = look(system)
    assert named(findings) == {f"Console settings: {name}"}
    (fault,) = (item for item in findings if item.state != "ok")
    assert fault.found == found
    assert "make env" in fault.remedy
    table(f".env.local: {name} {found.split(';')[0]}", [fault])


def test_a_variable_that_nothing_reads_is_a_warning(system: System) -> None:
    with settings_changed(system, "REGION", "REGION=eu-central-1\nOLD_BUCKET=x"):
        findings = look(system)
    assert {(found.name, found.state) for found in findings if found.state != "ok"} == {
        ("OLD_BUCKET", "warning")
    }


def test_a_missing_front_end_file_is_named(system: System, table: Table) -> None:
    path = front_end_file("local")
    text = path.read_text()
    path.unlink()
    try:
        findings = look(system)
    finally:
        path.write_text(text)
    assert named(findings) == {"Front-end settings: .env.front-end.local"}
    path.write_text(text.replace("REACT_APP_CLIENT_ID=", "REACT_APP_CLIENT_ID=stale"))
    try:
        stale = look(system)
    finally:
        path.write_text(text)
    assert named(stale) == {"Front-end settings: REACT_APP_CLIENT_ID"}
    table("the front end's file deleted", [f for f in findings if f.state != "ok"])
    table("the front end's client id stale", [f for f in stale if f.state != "ok"])


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("AWS_ACCESS_KEY_ID", "AKIANOBODYKNOWSTHIS0", "does not know these credentials"),
        ("AWS_ENDPOINT_URL", "http://localhost:9", "make up"),
    ],
)
def test_without_access_one_thing_is_broken_and_the_rest_not_checked(
    system: System,
    name: str,
    value: str,
    says: str,
    table: Table,
) -> None:
    with settings_changed(system, name, value):
        findings = look(system)
    broken = [found for found in findings if found.state == "error"]
    assert [(found.area, found.name) for found in broken] == [("Credentials", "AWS")]
    assert says in broken[0].remedy
    assert named(findings) == {"Credentials: AWS", "Not checked: because of: the credentials"}
    table(f"{name} wrong", [f for f in findings if f.state != "ok"])


def test_what_an_operator_may_not_see_is_unknown_and_the_rest_is_checked(
    system: System, here: Deployment, table: Table
) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {
                "Effect": "Deny",
                "Action": ["iam:Get*", "sns:GetTopicAttributes", "cognito-idp:Admin*"],
                "Resource": "*",
            },
        ],
    }
    here.iam.create_user(UserName="viewer")
    here.iam.put_user_policy(
        UserName="viewer", PolicyName="view", PolicyDocument=json.dumps(policy)
    )
    key = here.iam.create_access_key(UserName="viewer")["AccessKey"]
    keys = f"AWS_ACCESS_KEY_ID={key['AccessKeyId']}\nAWS_SECRET_ACCESS_KEY={key['SecretAccessKey']}"
    try:
        with (
            settings_changed(system, "AWS_SECRET_ACCESS_KEY", None),
            settings_changed(system, "AWS_ACCESS_KEY_ID", keys),
        ):
            findings = look(system)
    finally:
        here.iam.delete_access_key(UserName="viewer", AccessKeyId=key["AccessKeyId"])
        here.iam.delete_user_policy(UserName="viewer", PolicyName="view")
        here.iam.delete_user(UserName="viewer")
    unsure = [found for found in findings if found.state != "ok"]
    table("an operator who may not see all", unsure)
    assert {found.state for found in unsure} == {"unknown"}
    roles = [found for found in unsure if " the role " in found.name]
    assert len(roles) == 2 * len(here.function_names)
    assert all("permission" in found.remedy for found in roles)
    assert named(unsure) - named(roles) == {
        "Permissions: the policy of the topic avatar-ops-local-avatars",
        "Users: signing in",
        "API: with a right token",
    }


def test_a_misspelt_endpoint_never_turns_to_aws_itself(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        pytest.fail("AWS was called")

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", refuse)
    with settings_changed(system, "AWS_ENDPOINT_URL", "AWS_ENDPIONT_URL=http://localhost:1"):
        findings = examine("local", lambda: workspace(system))
    assert "Console settings: AWS_ENDPOINT_URL" in named(findings)
    assert {found.area for found in findings if found.state == "error"} <= {
        "Console settings",
        "Credentials",
    }


# What is broken in AWS, each with its rollback


@contextlib.contextmanager
def function(here: Deployment, name: str, **change: Any) -> Iterator[None]:
    name = here.function_names[name]

    def update(**values: Any) -> None:
        here.functions.update_function_configuration(FunctionName=name, **values)
        here.functions.get_waiter("function_updated_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 1}
        )

    before: Any = here.functions.get_function_configuration(FunctionName=name)
    update(**change)
    try:
        yield
    finally:
        update(**{key: before[key] for key in change})


@contextlib.contextmanager
def variables(here: Deployment, name: str, change: dict[str, str | None]) -> Iterator[None]:
    before = here.functions.get_function_configuration(FunctionName=here.function_names[name])
    changed = before["Environment"]["Variables"] | change
    after = {key: value for key, value in changed.items() if value is not None}
    with function(here, name, Environment={"Variables": after}):
        yield


@contextlib.contextmanager
def cors(here: Deployment, change: Callable[[dict[str, Any]], None] | None) -> Iterator[None]:
    rules: Any = here.s3.get_bucket_cors(Bucket=here.uploads_bucket)["CORSRules"]
    if change is None:
        here.s3.delete_bucket_cors(Bucket=here.uploads_bucket)
    else:
        changed = json.loads(json.dumps(rules))
        change(changed[0])
        here.s3.put_bucket_cors(
            Bucket=here.uploads_bucket, CORSConfiguration={"CORSRules": changed}
        )
    try:
        yield
    finally:
        here.s3.put_bucket_cors(Bucket=here.uploads_bucket, CORSConfiguration={"CORSRules": rules})


@contextlib.contextmanager
def queue_policy(here: Deployment) -> Iterator[None]:
    before = here.sqs.get_queue_attributes(QueueUrl=here.queue_url, AttributeNames=["Policy"])[
        "Attributes"
    ]
    other = before["Policy"].replace(here.uploads_bucket, "another-bucket")
    here.sqs.set_queue_attributes(QueueUrl=here.queue_url, Attributes={"Policy": other})
    try:
        yield
    finally:
        here.sqs.set_queue_attributes(QueueUrl=here.queue_url, Attributes=before)


@contextlib.contextmanager
def revoked(here: Deployment, sid: str | None) -> Iterator[None]:
    role = here.function_names["resize"]
    before: Any = here.iam.get_role_policy(RoleName=role, PolicyName="function")["PolicyDocument"]
    if sid is None:
        here.iam.delete_role_policy(RoleName=role, PolicyName="function")
    else:
        kept = [item for item in before["Statement"] if item["Sid"] != sid]
        assert len(kept) < len(before["Statement"])
        here.iam.put_role_policy(
            RoleName=role,
            PolicyName="function",
            PolicyDocument=json.dumps(before | {"Statement": kept}),
        )
    try:
        yield
    finally:
        here.iam.put_role_policy(
            RoleName=role, PolicyName="function", PolicyDocument=json.dumps(before)
        )


@contextlib.contextmanager
def bucket_policy(here: Deployment) -> Iterator[None]:
    before = here.s3.get_bucket_policy(Bucket=here.assets_bucket)["Policy"]
    here.s3.delete_bucket_policy(Bucket=here.assets_bucket)
    try:
        yield
    finally:
        here.s3.put_bucket_policy(Bucket=here.assets_bucket, Policy=before)


@contextlib.contextmanager
def dns_record(here: Deployment, name: str, action: Any) -> Iterator[None]:
    (zone,) = here.route53.list_hosted_zones_by_name(DNSName="avatars.test")["HostedZones"]
    before: Any = here.route53.list_resource_record_sets(
        HostedZoneId=zone["Id"], StartRecordName=name, StartRecordType="A", MaxItems="1"
    )["ResourceRecordSets"][0]
    target = before["AliasTarget"] | {"DNSName": "elsewhere.example."}
    wrong = before if action == "DELETE" else before | {"AliasTarget": target}

    def change(action: Any, record: Any) -> None:
        here.route53.change_resource_record_sets(
            HostedZoneId=zone["Id"],
            ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]},
        )

    change(action, wrong)
    try:
        yield
    finally:
        change("UPSERT", before)


@contextlib.contextmanager
def versioning(here: Deployment) -> Iterator[None]:
    def put(status: Any) -> None:
        here.s3.put_bucket_versioning(
            Bucket=here.uploads_bucket, VersioningConfiguration={"Status": status}
        )

    put("Suspended")
    try:
        yield
    finally:
        put("Enabled")


@contextlib.contextmanager
def public_access(here: Deployment) -> Iterator[None]:
    before = here.s3.get_public_access_block(Bucket=here.assets_bucket)[
        "PublicAccessBlockConfiguration"
    ]
    here.s3.delete_public_access_block(Bucket=here.assets_bucket)
    try:
        yield
    finally:
        here.s3.put_public_access_block(
            Bucket=here.assets_bucket, PublicAccessBlockConfiguration=before
        )


@contextlib.contextmanager
def notification(here: Deployment, bucket: str) -> Iterator[None]:
    name = getattr(here, bucket)
    before: Any = here.s3.get_bucket_notification_configuration(Bucket=name)
    before.pop("ResponseMetadata")
    here.s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={})
    try:
        yield
    finally:
        here.s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=before)


@contextlib.contextmanager
def mapping(here: Deployment) -> Iterator[None]:
    name = here.function_names["resize"]
    alias = here.functions.get_alias(FunctionName=name, Name=ALIAS)["AliasArn"]
    (found,) = here.functions.list_event_source_mappings(FunctionName=alias)["EventSourceMappings"]
    here.functions.update_event_source_mapping(UUID=found["UUID"], Enabled=False)
    try:
        yield
    finally:
        here.functions.update_event_source_mapping(UUID=found["UUID"], Enabled=True)


@contextlib.contextmanager
def limits_stay(here: Deployment) -> Iterator[None]:
    def expire(*, enabled: bool) -> None:
        here.dynamodb.update_time_to_live(
            TableName=here.limits_table,
            TimeToLiveSpecification={"Enabled": enabled, "AttributeName": "expires"},
        )

    expire(enabled=False)
    try:
        yield
    finally:
        expire(enabled=True)


def api_id(here: Deployment) -> str:
    return here.api_url.split("/")[-2]


@contextlib.contextmanager
def authorizer_reads(here: Deployment) -> Iterator[None]:
    (found,) = here.apis.get_authorizers(ApiId=api_id(here))["Items"]

    def put(source: str) -> None:
        here.apis.update_authorizer(
            ApiId=api_id(here), AuthorizerId=found["AuthorizerId"], IdentitySource=[source]
        )

    put("$request.header.X-Token")
    try:
        yield
    finally:
        put("$request.header.Authorization")


@contextlib.contextmanager
def open_route(here: Deployment) -> Iterator[None]:
    routes = here.apis.get_routes(ApiId=api_id(here))["Items"]
    (route,) = (item for item in routes if item["RouteKey"] == "POST /avatars/key_upload")
    known = {"ApiId": api_id(here), "RouteId": route["RouteId"]}
    here.apis.update_route(**known, AuthorizationType="NONE")
    try:
        yield
    finally:
        here.apis.update_route(
            **known, AuthorizationType="CUSTOM", AuthorizerId=route["AuthorizerId"]
        )


@contextlib.contextmanager
def api_cors(here: Deployment) -> Iterator[None]:
    before = here.apis.get_api(ApiId=api_id(here))["CorsConfiguration"]
    origins = [origin for origin in before["AllowOrigins"] if "3000" not in origin]
    here.apis.update_api(ApiId=api_id(here), CorsConfiguration=before | {"AllowOrigins": origins})
    try:
        yield
    finally:
        here.apis.update_api(ApiId=api_id(here), CorsConfiguration=before)


@contextlib.contextmanager
def dead_letter(here: Deployment) -> Iterator[None]:
    here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody="no event")
    try:
        yield
    finally:
        here.sqs.purge_queue(QueueUrl=here.dead_letter_queue_url)


@contextlib.contextmanager
def distribution(here: Deployment) -> Iterator[None]:
    def enable(value: bool) -> None:
        found: Any = here.cloudfront.get_distribution_config(Id=here.distribution_id)
        here.cloudfront.update_distribution(
            Id=here.distribution_id,
            IfMatch=found["ETag"],
            DistributionConfig=found["DistributionConfig"] | {"Enabled": value},
        )

    enable(False)
    try:
        yield
    finally:
        enable(True)


@contextlib.contextmanager
def client_flows(here: Deployment) -> Iterator[None]:
    known = {"UserPoolId": here.user_pool_id, "ClientId": here.user_pool_client_id}
    flows: Any = here.cognito.describe_user_pool_client(**known)["UserPoolClient"][
        "ExplicitAuthFlows"
    ]
    here.cognito.update_user_pool_client(
        **known, ExplicitAuthFlows=[flow for flow in flows if "SRP" not in flow]
    )
    try:
        yield
    finally:
        here.cognito.update_user_pool_client(**known, ExplicitAuthFlows=flows)


@contextlib.contextmanager
def invocation(here: Deployment) -> Iterator[None]:
    name = here.function_names["authorizer"]
    (statement,) = json.loads(
        here.functions.get_policy(FunctionName=name, Qualifier=ALIAS)["Policy"]
    )["Statement"]
    here.functions.remove_permission(
        FunctionName=name, Qualifier=ALIAS, StatementId=statement["Sid"]
    )
    try:
        yield
    finally:
        here.functions.add_permission(
            FunctionName=name,
            Qualifier=ALIAS,
            StatementId=statement["Sid"],
            Action=statement["Action"],
            Principal=statement["Principal"]["Service"],
            SourceArn=next(iter(statement["Condition"]["ArnLike"].values())),
        )


@contextlib.contextmanager
def topic_policy(here: Deployment) -> Iterator[None]:
    before = here.sns.get_topic_attributes(TopicArn=here.topic_arn)["Attributes"]["Policy"]

    def put(policy: str) -> None:
        here.sns.set_topic_attributes(
            TopicArn=here.topic_arn, AttributeName="Policy", AttributeValue=policy
        )

    put(before.replace(here.assets_bucket, "another-bucket"))
    try:
        yield
    finally:
        put(before)


def without_etag(rule: dict[str, Any]) -> None:
    rule["ExposeHeaders"] = []


def for_everyone(rule: dict[str, Any]) -> None:
    rule["AllowedOrigins"] = ["*"]


# Of the settings; the console and the demo listen on other ports in the tests
FRONT_ENDS = (
    "http://localhost:3000",
    "http://localhost:8501",
    "http://127.0.0.1:8501",
    "http://localhost:3001",
)


def at_its_ports(system: System, name: str) -> str:
    """Return what is said of an origin of FRONT_ENDS with the ports of this system."""
    return name.replace(":8501", f":{system.console_port}").replace(":3001", f":{system.demo_port}")


@pytest.mark.parametrize(
    ("what", "broken", "says"),
    [
        (
            "resize: AVATAR_VARIANTS changed",
            lambda here: variables(here, "resize", {"AVATAR_VARIANTS": "64.jpg"}),
            {"Functions: resize AVATAR_VARIANTS"},
        ),
        (
            "authorizer: CLIENT_ID changed",
            lambda here: variables(here, "authorizer", {"CLIENT_ID": "another"}),
            {"Functions: authorizer CLIENT_ID"},
        ),
        (
            "authorizer: JWKS_URL added to",
            lambda here: variables(here, "authorizer", {"JWKS_URL": "http://localhost:9/x"}),
            {"Functions: authorizer JWKS_URL"},
        ),
        (
            "presign: UPLOADS_BUCKET_NAME misspelt",
            lambda here: variables(
                here, "presign", {"UPLOADS_BUCKET_NAME": None, "UPLOAD_BUCKET_NAME": "x"}
            ),
            {"Functions: presign UPLOADS_BUCKET_NAME"},
        ),
        (
            "resize: memory changed",
            lambda here: function(here, "resize", MemorySize=256),
            {"Functions: resize configuration"},
        ),
        (
            "the uploads bucket's CORS rule deleted",
            lambda here: cors(here, None),
            {"Buckets: uploads CORS rule"}
            | {f"Buckets: uploads CORS for {origin}" for origin in FRONT_ENDS},
        ),
        (
            "the CORS rule exposes no ETag",
            lambda here: cors(here, without_etag),
            {"Buckets: uploads CORS rule"},
        ),
        (
            "the CORS rule admits everybody",
            lambda here: cors(here, for_everyone),
            {"Buckets: uploads CORS rule", "Buckets: uploads CORS for https://foreign.invalid"},
        ),
        (
            "the queue's policy admits another bucket",
            queue_policy,
            {"Permissions: the policy of the queue avatar-ops-local-uploads"},
        ),
        (
            "resize may no longer write images",
            lambda here: revoked(here, "WriteImages"),
            {"Permissions: what the role avatar-ops-local-resize may do"},
        ),
        (
            "resize may do nothing",
            lambda here: revoked(here, None),
            {"Permissions: what the role avatar-ops-local-resize may do"},
        ),
        (
            "the assets bucket's policy deleted",
            bucket_policy,
            {
                "Permissions: the policy of the bucket avatar-ops-local-assets-000000000000",
            },
        ),
        (
            "DNS: assets points elsewhere",
            lambda here: dns_record(here, "assets.avatars.test", "UPSERT"),
            {"DNS: assets.avatars.test A"},
        ),
        (
            "DNS: api deleted",
            lambda here: dns_record(here, "api.avatars.test", "DELETE"),
            {"DNS: api.avatars.test A"},
        ),
        ("versioning suspended", versioning, {"Buckets: uploads versioning"}),
        (
            "public access no longer blocked",
            public_access,
            {"Buckets: avatar-ops-local-assets-000000000000 public access"},
        ),
        (
            "uploads tell nobody",
            lambda here: notification(here, "uploads_bucket"),
            {"Buckets: uploads notification"},
        ),
        (
            "avatars tell nobody",
            lambda here: notification(here, "assets_bucket"),
            {"Buckets: assets notification"},
        ),
        ("the event source mapping disabled", mapping, {"Queue: event source mapping to resize"}),
        ("limits stay for ever", limits_stay, {"Queue: table of limits"}),
        ("the authorizer reads another header", authorizer_reads, {"API: authorizer reads"}),
        (
            "the route without authorizer",
            open_route,
            {"API: route POST /avatars/key_upload"},
        ),
        ("the API's CORS lacks an origin", api_cors, {"API: CORS for http://localhost:3000"}),
        ("a dead-letter message", dead_letter, {"Queue: dead-letter messages"}),
        ("the distribution disabled", distribution, {"CDN: distribution is"}),
        ("the client's SRP flow removed", client_flows, {"Users: client's flows"}),
        (
            "the API may not call the authorizer",
            invocation,
            {"Permissions: who may call avatar-ops-local-authorizer"},
        ),
        (
            "the topic's policy admits another bucket",
            topic_policy,
            {"Permissions: the policy of the topic avatar-ops-local-avatars"},
        ),
    ],
)
def test_each_broken_thing_is_named_and_nothing_else(
    system: System,
    here: Deployment,
    what: str,
    broken: Break,
    says: set[str],
    table: Table,
) -> None:
    with broken(here):
        findings = look(system)
    says = {at_its_ports(system, name) for name in says}
    faults = [found for found in findings if found.state in {"warning", "error"}]
    table(what, [found for found in findings if found.state != "ok"])
    assert named(faults) == says
    assert all(found.remedy for found in faults)
    # what was left out is said once, and why
    unknown = [found for found in findings if found.state == "unknown"]
    assert {found.area for found in unknown} <= {"Not checked"}
    assert len(unknown) <= 1


@pytest.fixture
def repaired_database(system: System) -> Iterator[Path]:
    """Postgres's folder; whatever a test did to it is repaired afterwards."""
    directory = system.directory / "state/local/postgres"
    yield directory
    url = postgres.start(directory, system.postgres_port)
    databases.ensure_login(system.deployment(), url)
    # the function reads its parameter again at most every five seconds
    profile = f"{system.deployment().api_url}/api/activities/ada"
    wait_until(lambda: web.request("GET", profile).status == 200, "the function's new login")


def test_a_changed_database_password_is_named(
    system: System, here: Deployment, repaired_database: Path, table: Table
) -> None:
    # the login of the local database, which is named postgres
    with psycopg.connect(databases.operator_url(here), autocommit=True) as connection:
        connection.execute("ALTER ROLE profiles_postgres PASSWORD 'another'")
    findings = look(system)
    table("the database password changed", [f for f in findings if f.state != "ok"])
    faults = {f"{found.area}: {found.name}" for found in findings if found.state == "error"}
    assert faults == {"Database: the function's login"}


def test_a_stopped_database_is_named(
    system: System, here: Deployment, repaired_database: Path, table: Table
) -> None:
    postgres.stop(repaired_database)
    findings = look(system)
    table("the database stopped", [f for f in findings if f.state != "ok"])
    faults = {f"{found.area}: {found.name}" for found in findings if found.state == "error"}
    assert faults == {"Database: the schema"}


def test_everything_is_ok_again_after_every_repair(system: System) -> None:
    assert named(look(system)) == set()


def test_a_checkout_without_terraform_compares_what_it_can(
    system: System, here: Deployment
) -> None:
    def missing() -> Workspace:
        raise OperationError("Terraform is not installed.", "Install it.")

    findings = examine("local", missing)
    assert {(found.area, found.state) for found in findings if found.state != "ok"} == {
        ("Terraform", "unknown")
    }
    with variables(here, "authorizer", {"CLIENT_ID": "another"}):
        assert "Functions: authorizer CLIENT_ID" in named(examine("local", missing))
