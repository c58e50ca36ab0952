"""An account on the running system: exported, held, released, erased, and what is left then."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.operations import changes, web
from console.operations.accounts import account, erasure
from console.operations.accounts.account import Account
from console.operations.audit.access import Actor
from console.operations.audit.audit import Audit, pseudonym
from console.operations.avatars import takedown
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters
from console.operations.progress import ignore
from console.operations.uploads import locks, outcomes, test_users
from console.operations.uploads.test_users import SignIn
from tests.integration.system import System, picture, wait_for_version, wait_until
from tests.integration.test_uploads import ask, grant, send

HANDLE = "countess"


@pytest.fixture
def countess(system: System, here: Deployment) -> SignIn:
    """A user with two pictures, a rejected one, and a profile with activities."""
    user = test_users.sign_in(here, HANDLE)
    first, second = (send(here, user, picture(seed)) for seed in (901, 902))
    broken = send(here, user, b"no picture")
    wait_until(lambda: outcomes.rejection(here, user.sub, broken), "the rejection")
    wait_for_version(here, user.sub, second)
    assert first != second
    with psycopg.connect(system.target().database_url()) as connection:
        row = connection.execute(
            "INSERT INTO users (display_name, handle, email, cognito_user_id)"
            " VALUES ('Countess', %s, %s, %s) RETURNING uuid",
            (HANDLE, user.username, user.sub),
        ).fetchone()
        assert row
        connection.execute(
            "INSERT INTO activities (user_uuid, message) VALUES (%s, 'countess was here')", row
        )
    body = json.dumps({"Records": [{"eventName": "X", "s3": {"object": {"key": user.sub}}}]})
    for name in (here.dead_letter_queue_url, _cleanup_dead_letters(here)):
        here.sqs.send_message(QueueUrl=name, MessageBody=body)
    return user


def _cleanup_dead_letters(here: Deployment) -> str:
    name = here.queue_url.rpartition("/")[2].replace("-uploads", "-cleanup-dead-letters")
    url: str = here.sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return url


def traces(system: System, here: Deployment, *names: str) -> list[str]:
    """Return where any of the names stands: buckets, table, queues, pool, database."""
    found: list[str] = []
    for bucket in (here.uploads_bucket, here.assets_bucket, here.legal_holds_bucket):
        for page in here.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            items: Any = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            found += [f"{bucket}/{item['Key']}" for item in items]
    found += map(json.dumps, here.dynamodb.scan(TableName=here.limits_table)["Items"])
    for url in (here.dead_letter_queue_url, _cleanup_dead_letters(here), here.queue_url):
        letters = list(dead_letters.receive(here, hold_seconds=1, url=url))
        found += [f"{url}: {letter.body}" for letter in letters]
        dead_letters.release(here, letters, url)
    users = here.cognito.get_paginator("list_users").paginate(UserPoolId=here.user_pool_id)
    found += [json.dumps(user, default=str) for page in users for user in page["Users"]]
    with psycopg.connect(system.target().database_url()) as connection:
        tables = connection.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(f"SELECT t::text FROM {table} t")  # noqa: S608
            found += [f"{table}: {row}" for (row,) in rows]
    return [line for line in found if any(name in line for name in names)]


def test_an_account_is_exported_held_and_erased(
    system: System,
    here: Deployment,
    countess: SignIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sub = countess.sub
    names = (sub, countess.username, f"@{HANDLE}", f",{HANDLE},", f"{HANDLE} was here")
    assert len(traces(system, here, *names)) > 12
    granted = grant(here, countess, picture(903))

    # all of it, and nothing of others
    file = tmp_path / "countess.zip"
    said = json.loads(
        system.make("export", f"NAME=@{HANDLE}", f"FILE={file}", "JSON=1").splitlines()[-1]
    )
    assert said["file"] == str(file)
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    originals = [body for name, body in contents.items() if name.startswith("originals/")]
    assert {picture(901), picture(902), b"no picture"} <= set(originals)
    assert json.loads(contents["profile.json"])[0]["handle"] == HANDLE
    assert b"countess was here" in contents["activities.jsonl"]
    assert any(name.startswith("rejections/") for name in contents)
    assert zipfile.is_zipfile(io.BytesIO(file.read_bytes()))

    # held: nobody erases it, nobody deletes the copies
    assert "reason" in system.make("legal-hold", f"NAME={HANDLE}", status=2)
    system.make("legal-hold", f"NAME={HANDLE}", "REASON=case 4711")
    assert "held by law" in system.make("erase", f"NAME={sub}", "YES=1", status=2)
    held = here.s3.list_object_versions(Bucket=here.legal_holds_bucket, Prefix=f"{sub}/")
    copy = held["Versions"][0]
    with pytest.raises(here.s3.exceptions.ClientError, match="AccessDenied"):
        here.s3.delete_object(
            Bucket=here.legal_holds_bucket, Key=copy["Key"], VersionId=copy["VersionId"]
        )
    refused = system.make("destroy", "FORCE=1", status=2)
    assert "must be kept by law" in refused
    system.make("release-legal-hold", f"NAME={HANDLE}", "YES=1")

    # nobody confirms: listed, and left alone
    refused = system.make("erase", f"NAME=@{HANDLE}", status=2)
    assert f"delete {here.uploads_bucket}/{sub}" in refused
    assert "0.015 USD" in refused
    assert locks.locked_since(here, sub) is None

    # As if a run had been killed while it waited: so this one need not wait for six minutes
    erasure._begin(here, Account(sub))
    began = {"N": str(locks.item(here, sub)["erased"] - erasure.ADDRESS_SECONDS)}
    here.dynamodb.update_item(
        TableName=here.limits_table,
        Key=locks.key(sub),
        UpdateExpression="SET erased = :at",
        ExpressionAttributeValues={":at": began},
    )
    answer = ask(here, countess.token, {"extension": "jpg", "size": 1000})
    assert (answer.status, (answer.json() or {})["error"]["code"]) == (403, "locked")
    target = system.target()
    change = erasure.erase(target, here, account.find(target, here, f"@{HANDLE}"))
    # nothing is in the making here; `make clear` is tried with the whole wait
    monkeypatch.setattr(takedown, "_longest_run", lambda _: 2)
    audit = Audit("local", target.database_url, tmp_path / "audit")
    operator = Actor("olga", may_operate=True)
    outcome = changes.carry_out(change, lambda _: None, audit, operator, ignore)
    assert "1 profiles, 1 activities" in outcome

    left = traces(system, here, *names)
    mark = f"{here.assets_bucket}/avatars/{sub}.jpg"
    assert [line for line in left if line != mark and '"erased"' not in line] == []
    assert len(left) == 2
    shown = web.request("GET", f"{here.assets_url}/avatars/{sub}.jpg")
    default = web.request("GET", f"{here.assets_url}/avatars/_default.jpg")
    assert shown.body.startswith(default.body)
    assert web.request("GET", f"{here.api_url}/api/activities/{HANDLE}").status == 404
    with psycopg.connect(system.target().database_url()) as connection:
        entries = connection.execute(
            "SELECT action FROM avatar_ops.audit_entries WHERE target = %s AND outcome = 'started'",
            (pseudonym(sub),),
        ).fetchall()
    actions = {action for (action,) in entries}
    assert {"export an account", "place a legal hold", "erase an account"} <= actions

    # What is sent by the address from before is neither shown nor rejected, and expires
    stored = web.request("PUT", granted["url"], granted["headers"], picture(903))
    assert stored.status == 200
    version = stored.headers["x-amz-version-id"]

    def tags() -> Any:
        return here.s3.get_object_tagging(Bucket=here.uploads_bucket, Key=sub, VersionId=version)[
            "TagSet"
        ]

    assert wait_until(tags, "the tag") == [{"Key": "avatar-erased", "Value": "true"}]
    assert outcomes.shown_version(here, sub) is None
    here.s3.delete_object(Bucket=here.uploads_bucket, Key=sub, VersionId=version)
    assert len(traces(system, here, *names)) == 2
