"""Erasing, exporting and holding an account, on moto and a real Postgres."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.client
import psycopg
import pytest
from botocore.exceptions import ClientError

from console.operations import changes
from console.operations.accounts import account, erasure, export, legal_hold, rows
from console.operations.accounts.account import Account
from console.operations.accounts.erasure import Erase
from console.operations.audit.access import Actor
from console.operations.audit.audit import Audit, pseudonym
from console.operations.avatars import cdn, takedown
from console.operations.environments.deployment import ROOT, Deployment
from console.operations.environments.target import Database, Target
from console.operations.errors import OperationError
from console.operations.pipeline import reviews
from console.operations.progress import ignore
from console.operations.uploads import locks
from tests.unit.console import deployments

OPERATOR = Actor("olga", may_operate=True)


class Died(BaseException):
    """The process is gone."""


@dataclass
class World:
    """An environment, and what is known of it from outside."""

    here: Deployment
    target: Target
    database: str
    invalidated: list[str]
    slept: list[float]

    def user(self, handle: str) -> str:
        """Make a user with a picture of each kind, a rejection, two activities; return the sub."""
        created = self.here.cognito.admin_create_user(
            UserPoolId=self.here.user_pool_id, Username=f"{handle}@example.com"
        )["User"]
        sub = next(item["Value"] for item in created["Attributes"] if item["Name"] == "sub")
        for body in (b"first", b"second"):
            self.upload(sub, body)
        self.upload(f"banners/{sub}", b"a banner")
        deployments.reject(self.here, f"{sub}.gif")
        self.here.s3.delete_object(Bucket="uploads", Key=f"{sub}.gif")
        self.here.dynamodb.put_item(
            TableName="reviews",
            Item={
                "name": {"S": sub},
                "version": {"S": f"of {handle}"},
                "state": {"S": "reported"},
                "queue": {"S": "review"},
                "since": {"N": "1767323045000"},
                "key": {"S": sub},
                "etag": {"S": "e"},
                "uploaded": {"S": "2026-01-02T03:04:05+00:00"},
                "report 0123": {
                    "M": {
                        "reason": {"S": "hate"},
                        "text": {"S": "words of a neighbour"},
                        "at": {"N": "1767323045"},
                    }
                },
            },
        )
        deployments.bury(self.here, sub)
        for key in (sub, f"removals/{sub}"):
            counts: Any = {"s1": {"SS": ["0123"]}, "p1": {"N": "3"}}
            self.here.dynamodb.put_item(TableName="limits", Item={"user": {"S": key}, **counts})
        with psycopg.connect(self.database) as connection:
            row = connection.execute(
                "INSERT INTO users (display_name, handle, email, cognito_user_id, bio)"
                " VALUES (%s, %s, %s, %s, 'née Byron ✍') RETURNING uuid",
                (handle.title(), handle, f"{handle}@example.com", sub),
            ).fetchone()
            assert row
            connection.cursor().executemany(
                "INSERT INTO activities (user_uuid, message) VALUES (%s, %s)",
                [(row[0], f"{handle} says {number}") for number in range(2)],
            )
        return sub

    def upload(self, sub: str, body: bytes) -> None:
        stored = self.here.s3.put_object(
            Bucket="uploads", Key=sub, Body=body, ContentType="image/png"
        )
        version = stored["ETag"].strip('"')
        for key, metadata in (
            (f"variants/{sub}/{version}/512.jpg", {}),
            (f"avatars/{sub}.jpg", {"version": version}),
        ):
            self.here.s3.put_object(Bucket="assets", Key=key, Metadata=metadata, Body=b"jpeg")

    def account(self, name: str) -> Account:
        return account.find(self.target, self.here, name)

    def erase(self, name: str, **options: bool) -> str:
        return self.carry_out(erasure.erase(self.target, self.here, self.account(name), **options))

    def carry_out(self, change: changes.Change) -> str:
        return changes.carry_out(change, lambda _: None, self.audit(), OPERATOR, ignore)

    def audit(self) -> Audit:
        return Audit("local", lambda: self.database, self.target.state / "audit")

    def traces(self, *names: str) -> list[str]:
        """Return where any of the names still stands: in S3, tables, queues, pool, database."""
        found = []
        for bucket in ("uploads", "assets", "legal-holds"):
            page: Any = self.here.s3.list_object_versions(Bucket=bucket)
            items = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            found += [f"{bucket}/{item['Key']}" for item in items]
        for name in ("limits", "reviews"):
            found += map(json.dumps, self.here.dynamodb.scan(TableName=name)["Items"])
        messages = self.here.sqs.receive_message(
            QueueUrl=self.here.dead_letter_queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        found += [message["Body"] for message in messages.get("Messages", [])]
        users = self.here.cognito.list_users(UserPoolId=self.here.user_pool_id)["Users"]
        found += [json.dumps(user, default=str) for user in users]
        with psycopg.connect(self.database) as connection:
            for table in ("users", "activities", "activity_changes", "avatar_ops.audit_entries"):
                if connection.execute("SELECT to_regclass(%s)", (table,)).fetchone() != (None,):
                    found += [
                        f"{table}: {row}"
                        for (row,) in connection.execute(f"SELECT t::text FROM {table} t")  # noqa: S608
                    ]
        return [line for line in found if any(name in line for name in names)]


def _as_moto_asks(params: dict[str, Any], **_: Any) -> None:
    """Say of a copy what moto asks for, and S3 with uploads alone."""
    params["headers"]["x-amz-sdk-checksum-algorithm"] = "CRC32"


@pytest.fixture
def world(
    here: Deployment, migrated_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> World:
    monkeypatch.setattr(takedown, "_longest_run", lambda _: 0)
    invalidated: list[str] = []
    monkeypatch.setattr(cdn, "invalidate", lambda _, paths, _r: invalidated.extend(paths))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)

    clock = SimpleNamespace(monotonic=lambda: sum(slept), sleep=sleep)
    monkeypatch.setattr(erasure, "time", clock)
    pool = here.cognito.create_user_pool(PoolName="users", UsernameAttributes=["email"])
    here = replace(
        here, user_pool_id=pool["UserPool"]["Id"], database_url_parameter="/database-url"
    )
    here.s3.put_object(Bucket="assets", Key="avatars/_default.jpg", Body=b"default")
    here.s3.meta.events.register("before-call.s3.CopyObject", _as_moto_asks, "as moto asks")
    database = Database("127.0.0.1", 5432, "test", "owner", url=lambda: migrated_database)
    target = Target("local", "123456789012", deployments.REGION, database, tmp_path / "state")
    return World(here, target, migrated_database, invalidated, slept)


@pytest.fixture
def ada(world: World) -> str:
    return world.user("ada")


# Whose account it is


def test_an_account_is_found_by_handle_or_sub(world: World, ada: str) -> None:
    assert world.account("ada") == world.account("@ada") == world.account(f" {ada} ")
    assert world.account("ada").sub == ada
    assert world.account("ada").activities == 2


def test_a_handle_like_a_sub_leads_to_nobody_elses_account(world: World, ada: str) -> None:
    mallory = world.user("mallory")
    with psycopg.connect(world.database) as connection:
        connection.execute("UPDATE users SET handle = %s WHERE handle = 'mallory'", (ada,))
    assert world.account(ada).sub == ada
    assert world.account(f"@{ada}").sub == mallory


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "No account"), ("@", "No account"), ("nobody", "no user @nobody"), ("a\0", "no user")],
)
def test_nobody_is_said_to_be_nobody(world: World, name: str, said: str) -> None:
    with pytest.raises(OperationError, match=said):
        world.account(name)


def test_a_handle_of_two_is_refused(world: World, ada: str) -> None:
    world.user("grace")
    with psycopg.connect(world.database) as connection:
        connection.execute("UPDATE users SET handle = 'ada'")
    with pytest.raises(OperationError, match="2 accounts have the handle") as refused:
        world.account("ada")
    assert ada in refused.value.message


def test_without_a_database_a_sub_is_asked_for(world: World) -> None:
    here = replace(world.here, database_url_parameter="")
    with pytest.raises(OperationError, match="no handles"):
        account.find(world.target, here, "ada")


# Erasure


def test_nothing_of_the_user_is_left_but_a_lock_and_a_mark(world: World, ada: str) -> None:
    grace = world.user("grace")
    of_grace = len(world.traces(grace, "@grace"))
    assert len(world.traces(ada)) > 10
    outcome = world.erase("ada")
    left = world.traces(ada, "ada@", '"ada"', "(ada", "Byron ada")
    assert len(left) == 3, left
    marks = left[:2]
    assert set(marks) == {f"assets/avatars/{ada}.jpg", f"assets/avatars/banners/{ada}.jpg"}
    item = locks.item(world.here, ada)
    assert item.keys() == {"user", "locked", "erased", "expires"}
    assert item["expires"] - item["erased"] == pytest.approx(30 * 86_400, abs=2)
    for mark in marks:
        assert "removed" in world.here.s3.head_object(Bucket="assets", Key=mark[7:])["Metadata"]
    assert world.invalidated[:3] == cdn.paths_of(ada)
    assert world.invalidated[-3:] == cdn.paths_of(f"banners/{ada}")
    assert sum(world.slept) == pytest.approx(erasure.ADDRESS_SECONDS)
    assert "1 users of the pool; 1 profiles, 2 activities" in outcome
    assert len(world.traces(grace, "@grace")) == of_grace


def test_each_count_of_the_user_goes(world: World, ada: str) -> None:
    """Of uploads and reports, which are in the item that the lock replaces, and of removals."""
    lines = [line for line in world.traces(ada) if '"user"' in line]
    assert [("p1" in line, "removals/" in line) for line in sorted(lines)] == [
        (True, False),
        (True, True),
    ]
    world.erase("ada")
    (line,) = [line for line in world.traces(ada) if '"user"' in line]
    assert '"erased"' in line
    assert "removals/" not in line
    assert not {"s1", "p1"} & locks.item(world.here, ada).keys()


def test_what_is_held_or_reported_of_them_goes_and_of_others_stays(world: World, ada: str) -> None:
    grace = world.user("grace")
    change = erasure.erase(world.target, world.here, world.account("ada"))
    assert f"take what is held or reported of {ada} off the list" in list(change.lines())
    world.erase("ada")
    assert reviews.of_avatar(world.here, ada) == []
    assert [each.name for each in reviews.page(world.here).reviews] == [grace]


def test_without_moderation_an_account_is_erased_and_exported(
    world: World, ada: str, tmp_path: Path
) -> None:
    world.here = replace(world.here, reviews_table="")
    assert "reviews.json" not in exported(world, "ada", tmp_path / "ada.zip")
    change = erasure.erase(world.target, world.here, world.account("ada"))
    assert "held or reported" not in "\n".join(change.lines())
    assert "1 profiles" in world.carry_out(change)


def test_all_that_goes_is_said_before(world: World, ada: str) -> None:
    lines = list(erasure.erase(world.target, world.here, world.account("ada")).lines())
    text = "\n".join(lines)
    assert f"lock {ada} @ada" in lines[0]
    assert text.count(f"delete uploads/{ada}") == 4
    assert text.count(f"delete uploads/banners/{ada}") == 1
    assert f"delete the user {world.account('ada').usernames[0]} of the pool" in text
    assert "which costs 0.030 USD" in text
    assert lines[-1] == "delete 1 profiles, 2 activities"


def test_the_cdn_may_be_left_to_its_time(world: World, ada: str) -> None:
    change = erasure.erase(world.target, world.here, world.account("ada"), drops_caches=False)
    assert "USD" not in "\n".join(change.lines())
    change.execute(ignore)
    assert world.invalidated == []


def test_the_user_of_another_applications_pool_may_stay(world: World, ada: str) -> None:
    world.erase("ada", keeps_user=True)
    assert account.users(world.here, ada)


def test_the_audit_keeps_the_fact_and_not_the_person(world: World, ada: str) -> None:
    lock = locks.set_lock(world.target, world.here, ada, locked=True)
    world.carry_out(lock)
    grace = world.user("grace")
    world.carry_out(locks.set_lock(world.target, world.here, grace, locked=True))
    said = f"@ada, @ada. {ada}.jpg; @adamant, @ada.l, x@ada, {ada}0"
    world.audit().perform(OPERATOR, "redrive", f"{ada}, {grace}", "k1", lambda: said)
    world.erase("ada")
    actions = {each.action: each for each in world.audit().actions()}
    who = pseudonym(ada)
    assert actions["erase an account"].target == who
    assert actions["erase an account"].actor == "olga"
    assert actions["redrive"].target == f"{who}, {grace}"
    assert actions["redrive"].detail == f"{who}, {who}. {who}.jpg; @adamant, @ada.l, x@ada, {ada}0"
    targets = {each.target for each in world.audit().actions() if each.action == "lock"}
    assert targets == {who, grace}


def test_what_fails_names_nobody_in_the_audit(
    world: World, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationError(f"Could not delete {ada} of @ada.", f"See to {ada}.")

    change = erasure.erase(world.target, world.here, world.account("ada"))
    monkeypatch.setattr(erasure, "_take_down", fail)
    with pytest.raises(OperationError, match="erased-") as failed:
        world.carry_out(change)
    assert ada not in str(failed.value)
    (action, *_) = world.audit().actions()
    assert (action.outcome, action.target) == ("failed", pseudonym(ada))
    assert ada not in action.detail


STEPS: list[tuple[Any, str]] = [
    (erasure, "_wait"),
    (takedown, "_write_mark"),
    (takedown, "delete"),
    (reviews, "drop"),
    (erasure, "_delete_others"),
    (erasure.dead_letters, "drop"),
    (Audit, "pseudonymise"),
    (rows, "delete"),
    (rows, "_delete_users"),
]
FEW = [STEPS[0], STEPS[2], STEPS[3], STEPS[-1]]


@pytest.mark.parametrize(
    "step",
    [pytest.param(step, marks=() if step in FEW else pytest.mark.long) for step in STEPS],
    ids=lambda step: step[1],
)
@pytest.mark.parametrize(
    "late", [False, pytest.param(True, marks=pytest.mark.long)], ids=["before", "after"]
)
def test_killed_anywhere_the_same_command_finishes_it(
    world: World, ada: str, monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str], late: bool
) -> None:
    where, name = step
    work = getattr(where, name)

    def die(*arguments: Any, **options: Any) -> None:
        if late:
            work(*arguments, **options)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(where, name, die)
        with pytest.raises(Died):
            world.erase("@ada")
    # the handle leads to the account until its rows are gone, and nothing else is left then
    world.erase(ada if late and where is rows else "@ada")
    assert len(world.traces(ada, "@ada")) == 3


def test_run_again_it_waits_no_longer_than_is_left(world: World, ada: str) -> None:
    world.erase(ada)
    world.slept.clear()
    item = locks.item(world.here, ada)
    world.here.dynamodb.put_item(
        TableName="limits",
        Item={
            "user": {"S": ada},
            "locked": {"N": "1"},
            "erased": {"N": str(item["erased"] - 300)},
            "expires": {"N": str(item["expires"])},
        },
    )
    world.erase(ada)
    assert 0 < sum(world.slept) <= 60


def test_a_picture_that_comes_meanwhile_goes_too(
    world: World, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an address that was given before, and made into an avatar as limits could not be asked."""
    begin = erasure._wait

    def late(*arguments: Any) -> None:
        begin(*arguments)
        world.upload(ada, b"third")

    monkeypatch.setattr(erasure, "_wait", late)
    world.erase("ada")
    assert len(world.traces(ada)) == 3


def test_an_erased_account_stays_locked(world: World, ada: str) -> None:
    world.erase("ada")
    with pytest.raises(OperationError, match="stays locked"):
        locks.set_lock(world.target, world.here, ada, locked=False).execute(ignore)
    assert locks.locked_since(world.here, ada)


def test_what_is_stored_of_them_in_other_folders_goes_too(world: World, ada: str) -> None:
    kept = [f"reports/x{ada}.json", f"reports/{ada}0/1.json"]
    for key in (f"reports/{ada}.json", f"held/{ada}/1/2.json", *kept):
        world.here.s3.put_object(Bucket="assets", Key=key, Body=b"{}")
    world.erase("ada")
    left = world.here.s3.list_objects_v2(Bucket="assets")["Contents"]
    shown = {"avatars/_default.jpg", f"avatars/{ada}.jpg", f"avatars/banners/{ada}.jpg"}
    assert {item["Key"] for item in left} - shown == set(kept)


def test_messages_of_others_stay(world: World, ada: str) -> None:
    other = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "grace"}}}
    mine = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": f"{ada}.png"}}}
    for body in ({"Records": [mine, other]}, {"Records": [other]}, {"name": ada}):
        world.here.sqs.send_message(
            QueueUrl=world.here.dead_letter_queue_url, MessageBody=json.dumps(body)
        )
    world.erase("ada")
    marks = {f"assets/avatars/{ada}.jpg", f"assets/avatars/banners/{ada}.jpg"}
    assert set(world.traces(ada)) == marks | set(world.traces('"erased"'))
    assert world.traces("grace") == [json.dumps({"Records": [other]})] * 2


def test_a_table_of_the_application_that_refers_to_the_account_is_named(
    world: World, ada: str
) -> None:
    with psycopg.connect(world.database) as connection:
        connection.execute("CREATE TABLE badges (of_user uuid REFERENCES users (uuid))")
        connection.execute("INSERT INTO badges SELECT uuid FROM users")
    with pytest.raises(OperationError, match=r"public\.badges refer"):
        world.erase("ada")
    with psycopg.connect(world.database) as connection:
        connection.execute("DELETE FROM badges")
    world.erase("ada")
    assert len(world.traces(ada)) == 3


def test_without_a_database_the_rest_is_erased(world: World, ada: str) -> None:
    here = replace(world.here, database_url_parameter="")
    whose = account.find(world.target, here, ada)
    erasure.erase(world.target, here, whose).execute(ignore)
    assert len([line for line in world.traces(ada) if "users:" not in line]) == 3


# Legal hold


def hold(world: World, name: str = "ada", reason: str = "case 4711") -> str:
    return world.carry_out(legal_hold.place(world.target, world.here, world.account(name), reason))


def release(world: World, name: str = "ada") -> str:
    return world.carry_out(legal_hold.release(world.target, world.here, world.account(name)))


def held(world: World) -> dict[str, Any]:
    page: Any = world.here.s3.list_object_versions(Bucket="legal-holds")
    return {item["Key"]: item for item in page.get("Versions", [])}


def test_what_is_held_is_not_erased(world: World, ada: str) -> None:
    before = len(world.traces(ada))
    shown = erasure.erase(world.target, world.here, world.account("ada"))
    hold(world)
    for attempt in (shown.check, lambda: shown.execute(ignore), lambda: world.erase("ada")):
        with pytest.raises(OperationError, match="held by law since"):
            attempt()
    assert len([line for line in world.traces(ada) if "legal-hold" not in line]) >= before
    assert locks.locked_since(world.here, ada) is None


def test_a_held_copy_outlives_all_that_becomes_of_the_account(world: World, ada: str) -> None:
    hold(world)
    world.here.s3.delete_object(Bucket="uploads", Key=ada)
    takedown.take_down(world.target, world.here, ada).execute(ignore)
    copies = held(world)
    bodies = set()
    for key, item in copies.items():
        with pytest.raises(ClientError, match=r"AccessDenied|Access Denied"):
            world.here.s3.delete_object(Bucket="legal-holds", Key=key, VersionId=item["VersionId"])
        found = world.here.s3.get_object(Bucket="legal-holds", Key=key)
        bodies.add(found["Body"].read())
    assert {b"first", b"second", b"no picture"} <= bodies
    assert any(b"ada says 1" in body for body in bodies)
    assert reviews.of_avatar(world.here, ada) == []
    (copied,) = [json.loads(body) for body in bodies if b"neighbour" in body]
    (said,) = copied[0]["reports"]
    assert (said["reason"], said["text"]) == ("hate", "words of a neighbour")
    assert said["reporter"] == "0123"
    (manifest,) = [json.loads(body) for body in bodies if b'"files"' in body]
    assert manifest["reason"] == "case 4711"
    assert len(manifest["files"]) == len(copies) - 1


def test_what_no_listing_finds_again_is_copied_first(
    world: World, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports and their words, which a take-down deletes, before any picture is copied."""
    copy = legal_hold._copy

    def pictures_fail(here: Deployment, record: Any, path: str) -> bool:
        if record.stored:
            raise Died
        return copy(here, record, path)

    monkeypatch.setattr(legal_hold, "_copy", pictures_fail)
    with pytest.raises(Died):
        hold(world)
    takedown.take_down(world.target, world.here, ada).execute(ignore)
    (key,) = held(world)
    assert key.endswith("/reviews.json")
    found = world.here.s3.get_object(Bucket="legal-holds", Key=key)
    assert b"words of a neighbour" in found["Body"].read()


def test_a_second_hold_adds_what_has_come_since(world: World, ada: str) -> None:
    hold(world)
    before = held(world)
    world.upload(ada, b"third")
    hold(world)
    added = held(world).keys() - before.keys()
    assert held(world).items() >= before.items()  # nothing is copied twice
    assert len([key for key in added if key.endswith(".png")]) == 1


def test_a_hold_that_died_half_way_is_finished_and_refuses_already(
    world: World, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(legal_hold, "_copy", die)
        with pytest.raises(Died):
            hold(world)
    with pytest.raises(OperationError, match="held by law"):
        world.erase("ada")
    hold(world)
    assert held(world)


def test_a_released_account_can_be_erased(
    world: World, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(world)
    change = legal_hold.release(world.target, world.here, world.account("ada"))
    assert change.destructive
    assert len(list(change.lines())) == len(held(world)) + 1

    def die(**_: Any) -> None:
        raise Died

    with monkeypatch.context() as patch:  # half-way, the account is held still
        patch.setattr(world.here.dynamodb, "delete_item", die)
        with pytest.raises(Died):
            release(world)
    with pytest.raises(OperationError, match="held by law"):
        world.erase("ada")
    release(world)
    assert held(world) == {}
    world.erase("ada")
    assert len(world.traces(ada)) == 3


def test_an_account_that_is_being_erased_is_not_held(
    world: World, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "_wait", die)
        with pytest.raises(Died):
            world.erase("ada")
    with pytest.raises(OperationError, match="is being erased"):
        hold(world)


def test_of_a_hold_and_an_erasure_at_once_one_wins(
    world: World, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looks before the other writes."""
    change = erasure.erase(world.target, world.here, world.account("ada"))
    look = legal_hold.held_since

    def slow(here: Deployment, sub: str) -> Any:
        found = look(here, sub)
        if not found:
            hold(world)
        return found

    monkeypatch.setattr(legal_hold, "held_since", slow)
    with pytest.raises(OperationError, match="held by law"):
        change.execute(ignore)
    assert locks.locked_since(world.here, ada) is None


def test_a_hold_wants_a_reason_and_a_release_a_hold(world: World, ada: str) -> None:
    with pytest.raises(OperationError, match="needs a reason"):
        hold(world, reason=" ")
    with pytest.raises(OperationError, match="is not held"):
        release(world)


# Export


def exported(world: World, name: str, file: Path) -> dict[str, bytes]:
    change = export.export(world.target, world.here, world.account(name), file)
    world.carry_out(change)
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_an_export_has_all_of_the_user_and_nothing_of_another(
    world: World, ada: str, tmp_path: Path
) -> None:
    grace = world.user("grace")
    world.carry_out(locks.set_lock(world.target, world.here, ada, locked=True))
    world.carry_out(locks.set_lock(world.target, world.here, grace, locked=True))
    world.here.s3.put_object(Bucket="uploads", Key=f"{ada}0", Body=b"another's")
    file = tmp_path / "ada.zip"
    files = exported(world, "ada", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    whole = b"\n".join(files.values())
    assert grace.encode() not in whole
    assert b"another's" not in whole
    assert b"olga" not in whole
    originals = {body for name, body in files.items() if name.startswith("originals/")}
    assert {b"first", b"second", b"no picture"} <= originals
    banner = {name for name in files if name.startswith("banner/")}
    assert {name.split("/")[1] for name in banner} == {"originals", "public"}
    assert "banner/public/avatar.jpg" in banner
    assert b"a banner" in {files[name] for name in banner}
    assert json.loads(files["profile.json"])[0]["bio"] == "née Byron ✍"
    assert files["activities.jsonl"].count(b"ada says") == 2
    assert json.loads(files["audit.json"])[0]["action"] == "lock"
    limits = json.loads(files["limits.json"])
    assert limits[0]["s1"] == limits[1]["s1"] == ["0123"]
    (review,) = json.loads(files["reviews.json"])
    assert (review["version_id"], review["state"]) == ("of ada", "reported")
    at = "2026-01-02T03:04:05+00:00"
    assert review["reports"] == [{"reason": "hate", "at": at}]
    assert b"neighbour" not in whole
    (user,) = json.loads(files["sign-in.json"])
    assert user["attributes"]["sub"] == ada
    manifest = json.loads(files["manifest.json"])
    assert {entry["file"] for entry in manifest["files"]} == files.keys() - {"manifest.json"}
    for entry in manifest["files"]:
        body = files[entry["file"]]
        assert entry["sha256"] == hashlib.sha256(body).hexdigest()
        assert entry["bytes"] == len(body)
    public = [entry["public_at"] for entry in manifest["files"] if "public_at" in entry]
    assert f"{world.here.assets_url}/avatars/{ada}.jpg" in public


def test_names_in_an_export_lead_nowhere_else(world: World, ada: str, tmp_path: Path) -> None:
    for key in (f"{ada}.../../../etc/passwd", f"{ada}.a\nb"):
        world.here.s3.put_object(Bucket="uploads", Key=key, Body=b"x", ContentType="../../x")
    for name in exported(world, "ada", tmp_path / "a.zip"):
        assert not name.startswith(("/", "."))
        assert ".." not in name
        assert name.isprintable()


def test_a_file_that_is_there_is_not_replaced(world: World, ada: str, tmp_path: Path) -> None:
    file = tmp_path / "ada.zip"
    file.write_text("mine")
    with pytest.raises(OperationError, match="is there already"):
        exported(world, "ada", file)
    assert file.read_text() == "mine"
    with pytest.raises(OperationError, match="no folder"):
        exported(world, "ada", tmp_path / "nowhere/ada.zip")


def test_an_export_that_fails_leaves_no_file(
    world: World, ada: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> Iterator[Any]:
        raise Died
        yield

    monkeypatch.setattr(rows, "activities", die)
    with pytest.raises(Died):
        exported(world, "ada", tmp_path / "ada.zip")
    assert list(tmp_path.glob("*.zip*")) == []
    assert ada


def test_of_nobody_nothing_is_exported(world: World, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="Nothing is stored"):
        exported(world, str(uuid.uuid4()), tmp_path / "ada.zip")


def test_what_went_meanwhile_is_said_to_be_gone(world: World, ada: str, tmp_path: Path) -> None:
    change = export.export(world.target, world.here, world.account("ada"), tmp_path / "a.zip")
    read = export.records.of_account

    def going(*arguments: Any, **options: Any) -> Iterator[Any]:
        for record in read(*arguments, **options):
            if record.path.startswith("public/"):
                world.here.s3.delete_object(Bucket="assets", Key=record.stored.key)
            yield record

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export.records, "of_account", going)
        change.execute(ignore)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        files = json.loads(archive.read("manifest.json"))["files"]
    assert {entry["file"] for entry in files if entry.get("gone")} == {
        entry["file"] for entry in files if entry["file"].startswith("public/")
    }


def test_an_erasure_is_destructive_and_an_export_is_not() -> None:
    assert Erase.destructive
    assert not export.Export.destructive
    assert not legal_hold.PlaceHold.destructive


_ACTIONS = {
    "HeadObject": ["GetObject", "GetObjectVersion"],
    "GetObject": ["GetObject", "GetObjectVersion"],
    "GetObjectTagging": ["GetObjectVersionTagging"],
    "CopyObject": ["GetObjectVersion", "GetObjectVersionTagging", "PutObject", "PutObjectTagging"],
    "PutObject": ["PutObject", "PutObjectTagging"],
    "DeleteObject": ["DeleteObject", "DeleteObjectVersion"],
    "DeleteObjects": ["DeleteObject", "DeleteObjectVersion"],
    "ListObjectsV2": ["ListBucket"],
    "ListObjectVersions": ["ListBucketVersions"],
    "TransactWriteItems": ["PutItem", "ConditionCheckItem"],
    "ChangeMessageVisibilityBatch": ["ChangeMessageVisibility"],
}
_NOT_TRIED_HERE = {
    "lambda:GetFunctionConfiguration",
    "cloudfront:CreateInvalidation",
    "cloudfront:GetInvalidation",
    "ssm:GetParameter",
}


def test_the_documented_rights_are_what_is_asked_for(
    world: World, ada: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = ({"s3": {"object": {"key": key}}} for key in (ada, "grace"))
    for records in ([other], [mine, other]):
        world.here.sqs.send_message(
            QueueUrl=world.here.dead_letter_queue_url, MessageBody=json.dumps({"Records": records})
        )
    asked: set[str] = set()
    ask = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def recorded(client: Any, operation: str, parameters: Any) -> Any:
        service = client.meta.service_model.service_name
        asked.update(f"{service}:{name}" for name in _ACTIONS.get(operation, [operation]))
        return ask(client, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", recorded)
    exported(world, "ada", tmp_path / "ada.zip")
    hold(world)
    release(world)
    world.erase("ada")
    page = (ROOT / "docs/erasure.md").read_text()
    documented = set(re.findall(r"^\| `([a-z0-9-]+:[A-Za-z]+)` \|", page, re.MULTILINE))
    assert documented == asked | _NOT_TRIED_HERE
