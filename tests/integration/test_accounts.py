"""An account on the running system: exported, held, released, erased, and what is left then."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.operations import changes, web
from console.operations.accounts import account, erasure
from console.operations.accounts.account import Account
from console.operations.audit.access import Actor
from console.operations.audit.audit import Audit, pseudonym
from console.operations.avatars import moderation, takedown
from console.operations.environments.deployment import Deployment
from console.operations.errors import StaleChangeError
from console.operations.pipeline import dead_letters, reviews
from console.operations.progress import ignore
from console.operations.uploads import locks, outcomes, test_users
from console.operations.uploads.test_users import SignIn
from tests.integration.system import System, picture, wait_for_version, wait_until
from tests.integration.test_moderation import hold_uploads, report
from tests.integration.test_uploads import ask, grant, send

HANDLE = "countess"
NAME = "Lady Lovelace of Ockham"
WORDS = "what a neighbour says"
BROKEN = b"a file that is not a picture"


@dataclass(frozen=True)
class Countess:
    """A user, and by what they would be known wherever it is found.

    Attributes
    ----------
    marks
        Their id, handle, display name, address and token, what others say of them, and each of
        their pictures: as they sent it, and as it is shown.
    """

    signed_in: SignIn
    marks: dict[str, bytes]


@pytest.fixture
def countess(system: System, here: Deployment, ada: SignIn) -> Countess:
    """A user with two pictures, a banner, one held, one rejected, a report, and a profile."""
    user = test_users.sign_in(here, HANDLE)
    first, second = (send(here, user, picture(seed)) for seed in (901, 902))
    broken = send(here, user, BROKEN)
    wait_until(lambda: outcomes.rejection(here, user.sub, broken), "the rejection")
    wait_for_version(here, user.sub, second)
    banner = send(here, user, picture(905), kind="banner")
    wait_for_version(here, f"banners/{user.sub}", banner)
    assert first != second
    assert report(here, ada, user.sub, text=WORDS).status == 202
    with hold_uploads(here):
        send(here, user, picture(904))
        wait_until(lambda: len(reviews.of_avatar(here, user.sub)) == 2, "what waits")
    with psycopg.connect(system.target().database_url()) as connection:
        row = connection.execute(
            "INSERT INTO users (display_name, handle, email, cognito_user_id)"
            " VALUES (%s, %s, %s, %s) RETURNING uuid",
            (NAME, HANDLE, user.username, user.sub),
        ).fetchone()
        assert row
        connection.execute(
            "INSERT INTO activities (user_uuid, message) VALUES (%s, 'countess was here')", row
        )
    body = json.dumps({"Records": [{"eventName": "X", "s3": {"object": {"key": user.sub}}}]})
    for url in (here.dead_letter_queue_url, _cleanup_dead_letters(here)):
        here.sqs.send_message(QueueUrl=url, MessageBody=body)
    marks = {"broken": BROKEN} | {str(seed): picture(seed) for seed in (901, 902, 904, 905)}
    for name in (user.sub, f"banners/{user.sub}"):
        of_name = here.s3.list_objects_v2(Bucket=here.assets_bucket, Prefix=f"variants/{name}/")[
            "Contents"
        ]
        for key in (f"avatars/{name}.jpg", *(item["Key"] for item in of_name)):
            found = here.s3.get_object(Bucket=here.assets_bucket, Key=key)
            marks[key] = found["Body"].read()
    texts = {"id": user.sub, "handle": HANDLE, "name": NAME, "address": user.username}
    texts |= {"token": user.token, "words": WORDS, "activity": f"{HANDLE} was here"}
    return Countess(user, marks | {what: text.encode() for what, text in texts.items()})


def _cleanup_dead_letters(here: Deployment) -> str:
    name = here.queue_url.rpartition("/")[2].replace("-uploads", "-cleanup-dead-letters")
    url: str = here.sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return url


def stored(system: System, here: Deployment) -> Iterator[tuple[str, bytes]]:
    """Yield all that is stored, of everybody: what kind of place, and what is there."""
    for bucket in (here.uploads_bucket, here.assets_bucket, here.legal_holds_bucket):
        for page in here.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for marker in page.get("DeleteMarkers", []):
                yield bucket, marker["Key"].encode()
            for item in page.get("Versions", []):
                which: Any = {"Bucket": bucket, "Key": item["Key"], "VersionId": item["VersionId"]}
                try:
                    found = here.s3.get_object(**which)
                except here.s3.exceptions.ClientError:
                    continue  # it was deleted meanwhile
                facts = json.dumps([item["Key"], found["Metadata"]])
                yield bucket, facts.encode() + found["Body"].read()
    for table in (here.limits_table, here.reviews_table):
        for page in here.dynamodb.get_paginator("scan").paginate(TableName=table):
            for each in page["Items"]:
                yield table, json.dumps(each).encode()
    for url in (here.dead_letter_queue_url, _cleanup_dead_letters(here), here.queue_url):
        letters = list(dead_letters.receive(here, hold_seconds=1, url=url))
        for letter in letters:
            yield url, letter.body.encode()
        dead_letters.release(here, letters, url)
    for users in here.cognito.get_paginator("list_users").paginate(UserPoolId=here.user_pool_id):
        for user in users["Users"]:
            yield "pool", json.dumps(user, default=str).encode()
    with psycopg.connect(system.target().database_url()) as connection:
        tables = connection.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (name,) in tables:
            for (row,) in connection.execute(f"SELECT t::text FROM {name} t"):  # noqa: S608
                yield "database", f"{name}: {row}".encode()
    for groups in here.logs.get_paginator("describe_log_groups").paginate():
        for group in groups["logGroups"]:
            for lines in here.logs.get_paginator("filter_log_events").paginate(
                logGroupName=group["logGroupName"]
            ):
                for line in lines["events"]:
                    yield "logs", line["message"].encode()


def traces(
    system: System, here: Deployment, countess: Countess
) -> list[tuple[str, set[str], bytes]]:
    """Return where anything of the user is found: what kind of place, by which marks, and what."""
    found = []
    for place, content in stored(system, here):
        marks = {what for what, mark in countess.marks.items() if mark in content}
        if marks:
            found.append((place, marks, content))
    return found


def check_that_no_more_is_left_than_is_said(
    system: System, here: Deployment, countess: Countess
) -> None:
    """Compare with "What is kept" in docs/erasure.md: marks, the lock, and logs with the id."""
    left = traces(system, here, countess)
    assert [(place, marks) for place, marks, _ in left if marks != {"id"}] == []
    elsewhere = sorted((place, content) for place, _, content in left if place != "logs")
    sub = countess.signed_in.sub
    expected = sorted(
        [
            (here.assets_bucket, f'"avatars/{sub}.jpg"'.encode()),
            (here.assets_bucket, f'"avatars/banners/{sub}.jpg"'.encode()),
            (here.limits_table, b'"erased"'),
        ]
    )
    assert [place for place, _ in elsewhere] == [place for place, _ in expected]
    for (_, content), (_, part) in zip(elsewhere, expected, strict=True):
        assert part in content


def test_an_account_is_exported_held_and_erased(
    system: System,
    here: Deployment,
    countess: Countess,
    ada: SignIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sub = countess.signed_in.sub
    before = traces(system, here, countess)
    assert {mark for _, marks, _ in before for mark in marks} == countess.marks.keys() - {"token"}
    assert {place for place, _, _ in before} >= {
        here.uploads_bucket,
        here.assets_bucket,
        here.limits_table,
        here.reviews_table,
        here.dead_letter_queue_url,
        _cleanup_dead_letters(here),
        "pool",
        "database",
        "logs",
    }
    assert {"id"} == {mark for place, marks, _ in before if place == "logs" for mark in marks}
    waiting = reviews.of_avatar(here, sub)
    assert {review.state for review in waiting} == {"held", "reported"}
    granted = grant(here, countess.signed_in, picture(903))

    # all of it, and nothing of others
    file = tmp_path / "account.zip"
    said = json.loads(
        system.make("export", f"NAME=@{HANDLE}", f"FILE={file}", "JSON=1").splitlines()[-1]
    )
    assert said["file"] == str(file)
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    originals = [body for name, body in contents.items() if name.startswith("originals/")]
    assert {picture(901), picture(902), picture(904), BROKEN} <= set(originals)
    banners = [body for name, body in contents.items() if name.startswith("banner/originals/")]
    assert banners == [picture(905)]
    assert json.loads(contents["profile.json"])[0]["handle"] == HANDLE
    assert b"countess was here" in contents["activities.jsonl"]
    assert any(name.startswith("rejections/") for name in contents)
    assert len(json.loads(contents["reviews.json"])) == 2
    assert WORDS.encode() not in b"".join(contents.values())
    assert zipfile.is_zipfile(io.BytesIO(file.read_bytes()))

    # held: nobody erases it, nobody deletes the copies
    assert "reason" in system.make("legal-hold", f"NAME={HANDLE}", status=2)
    system.make("legal-hold", f"NAME={HANDLE}", "REASON=case 4711")
    assert "held by law" in system.make("erase", f"NAME={sub}", "YES=1", status=2)
    held = here.s3.list_object_versions(Bucket=here.legal_holds_bucket, Prefix=f"{sub}/")
    copy = held["Versions"][0]
    kept = traces(system, here, countess)
    assert {
        mark for place, marks, _ in kept if place == here.legal_holds_bucket for mark in marks
    } == (countess.marks.keys() - {"token"})
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
    assert f"delete {here.uploads_bucket}/banners/{sub}" in refused
    assert "0.030 USD" in refused
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
    answer = ask(here, countess.signed_in.token, {"extension": "jpg", "size": 1000})
    assert (answer.status, (answer.json() or {})["error"]["code"]) == (403, "locked")
    target = system.target()
    change = erasure.erase(target, here, account.find(target, here, f"@{HANDLE}"))
    # nothing is in the making here; `make clear` is tried with the whole wait
    monkeypatch.setattr(takedown, "_longest_run", lambda _: 2)
    audit = Audit("local", target.database_url, tmp_path / "audit")
    operator = Actor("olga", may_operate=True)
    outcome = changes.carry_out(change, lambda _: None, audit, operator, ignore)
    assert "1 profiles, 1 activities" in outcome

    check_that_no_more_is_left_than_is_said(system, here, countess)
    shown = web.request("GET", f"{here.assets_url}/avatars/{sub}.jpg")
    default = web.request("GET", f"{here.assets_url}/avatars/_default.jpg")
    assert shown.body.startswith(default.body)
    shown = web.request("GET", f"{here.assets_url}/avatars/banners/{sub}.jpg")
    default = web.request("GET", f"{here.assets_url}/banners/banner.jpg")
    assert shown.body.startswith(default.body)
    assert web.request("GET", f"{here.api_url}/api/activities/{HANDLE}").status == 404
    with psycopg.connect(system.target().database_url()) as connection:
        entries = connection.execute(
            "SELECT action FROM avatar_ops.audit_entries WHERE target = %s AND outcome = 'started'",
            (pseudonym(sub),),
        ).fetchall()
    actions = {action for (action,) in entries}
    assert {"export an account", "place a legal hold", "erase an account"} <= actions

    # Who decides or reports now finds nothing, and leaves nothing
    for review in waiting:
        for decide in (moderation.approve, partial(moderation.refuse, lock=False)):
            with pytest.raises(StaleChangeError):
                decide(target, here, review).check()
    assert report(here, ada, sub, text=WORDS).status == 202

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
    check_that_no_more_is_left_than_is_said(system, here, countess)
