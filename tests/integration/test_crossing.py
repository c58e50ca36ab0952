"""Commands that cross each other: never an outcome that no prompt announced."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from console.operations.avatars import takedown
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters
from tests.integration.small_environment import SmallEnvironment
from tests.integration.system import System, picture, wait_for_version, wait_until
from tests.terminal import Terminal

ELSEWHERE = "-elsewhere"
PROMPT = "to go on:"
LONG = pytest.mark.long
OPTIONS = {
    "apply": {"YES": "1"},
    "destroy": {"YES": "1"},
    "migrate": {"TO": "add_bio"},
    "redrive": {},
    "clear": {"YES": "1", "NAME": "crossing"},
}
STATES = "avatar-ops-terraform-state-000000000000-eu-central-1"


@pytest.fixture(scope="module")
def small(system: System, tmp_path_factory: pytest.TempPathFactory) -> SmallEnvironment:
    made = SmallEnvironment(system, tmp_path_factory.mktemp("small"), "small")
    made.run("bootstrap")
    return made


@pytest.fixture
def applied(small: SmallEnvironment, here: Deployment) -> SmallEnvironment:
    """The small environment as its tfvars say, applied only where a test has changed it."""
    small.set()
    try:
        as_set = api_url(here) == small.known["api_url"]
    except here.s3.exceptions.NoSuchKey:
        as_set = False
    if not as_set:
        small.run("apply", YES="1")
    return small


def state(here: Deployment, env: str = "small") -> dict[str, object]:
    answer = here.s3.get_object(Bucket=STATES, Key=f"{env}/terraform.tfstate")
    found: dict[str, object] = json.loads(answer["Body"].read())
    return found


def api_url(here: Deployment) -> object:
    """Return what the state says of the API: what was applied last."""
    outputs = state(here)["outputs"]
    assert isinstance(outputs, dict)
    return outputs["api_url"]["value"] if outputs else None


def processes_below(terminal: Terminal, words: str) -> list[int]:
    """Return those that the command in a terminal has started with these words."""
    found = []
    for child in psutil.Process(terminal.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if words in " ".join(child.cmdline()):
                found.append(child.pid)
    return found


def test_a_plan_that_waits_keeps_others_of_this_machine_out(
    applied: SmallEnvironment, here: Deployment
) -> None:
    applied.set(api_url="https://new.example")
    waiting = applied.terminal("apply")
    shown = waiting.expect(PROMPT)
    assert "apply on small, account 000000000000" in shown
    assert "/small" in shown, "the database"
    assert "https://new.example" in shown
    # such a run once put its own plan into the place of the one that waits
    refused = applied.run("destroy", status=1, YES="1")
    assert "Terraform is at work on small here already" in refused
    waiting.type("small")
    status, shown = waiting.end()
    assert (status, "Applied: 0 to add, 1 to change" in shown) == (0, True), shown
    assert api_url(here) == "https://new.example"
    folder = Path(applied.system.environment["AVATAR_OPS_STATE"])
    assert not list(folder.rglob("plan")), "plans are deleted"


@pytest.mark.parametrize(
    ("waits", "meanwhile"),
    [
        ("apply", "destroy"),
        pytest.param("apply", "apply", marks=LONG),
        pytest.param("destroy", "apply", marks=LONG),
        pytest.param("destroy", "destroy", marks=LONG),
    ],
)
def test_a_plan_is_refused_once_another_machine_has_changed_the_state(
    applied: SmallEnvironment, here: Deployment, waits: str, meanwhile: str
) -> None:
    applied.set(api_url="https://waits.example")
    waiting = applied.terminal(waits, host=ELSEWHERE)
    waiting.expect(PROMPT)
    applied.set(api_url="https://meanwhile.example")
    applied.run(meanwhile, YES="1")
    waiting.type("small")
    status, shown = waiting.end()
    assert status == 1, shown
    assert "has changed since the plan was shown" in shown
    assert api_url(here) == ("https://meanwhile.example" if meanwhile == "apply" else None)


@LONG
def test_migrations_and_terraform_do_not_touch_each_others_things(
    applied: SmallEnvironment, here: Deployment
) -> None:
    before = len(applied.applied())
    waiting = applied.terminal("destroy")
    waiting.expect(PROMPT)
    applied.run("migrate", TO="add_bio")
    waiting.type("small")
    assert waiting.end()[0] == 0
    assert state(here)["resources"] == []
    assert len(applied.applied()) == max(before, 2)
    assert "Nothing to delete" in applied.run("destroy", YES="1")


def test_a_rollback_that_waits_is_refused_once_somebody_migrated(
    applied: SmallEnvironment,
) -> None:
    applied.run("migrate", TO="add_bio")
    waiting = applied.terminal("rollback", STEPS="1")
    assert "- roll back 1790000100_add_bio" in waiting.expect(PROMPT)
    applied.run("migrate", TO="add_avatar_version")
    waiting.type("small")
    status, shown = waiting.end()
    assert (status, "Somebody else has migrated" in shown) == (1, True), shown
    assert len(applied.applied()) == 3
    # without a terminal nobody confirms, and nothing is rolled back
    refused = applied.run("rollback", status=1, STEPS="1")
    assert "YES=1" in refused
    assert len(applied.applied()) == 3
    applied.run("rollback", STEPS="2", YES="1")
    assert len(applied.applied()) == 1


@pytest.mark.parametrize(
    "meanwhile",
    [
        "clear",
        pytest.param("migrate redrive", marks=LONG),
        pytest.param("apply", marks=LONG),
        pytest.param("destroy", marks=LONG),
    ],
)
def test_a_clear_that_waits_deletes_what_it_listed_whatever_runs_meanwhile(
    applied: SmallEnvironment, here: Deployment, meanwhile: str
) -> None:
    stored = here.s3.put_object(Bucket=here.uploads_bucket, Key="crossing.jpg", Body=picture(91))
    wait_for_version(here, "crossing", stored["ETag"].strip('"'))
    before = api_url(here)
    waiting = applied.terminal("clear", host=ELSEWHERE, NAME="crossing")
    assert "crossing.jpg" in waiting.expect(PROMPT)
    for command in meanwhile.split():
        applied.run(command, **OPTIONS[command])
    waiting.type("small")
    status, shown = waiting.end()
    assert (status, "objects deleted" in shown) == (0, True), shown
    assert takedown.objects_of(here, "crossing") == []
    assert api_url(here) == (None if meanwhile == "destroy" else before)


def test_a_clear_is_refused_once_an_original_came_that_it_did_not_list(
    applied: SmallEnvironment, here: Deployment
) -> None:
    stored = here.s3.put_object(Bucket=here.uploads_bucket, Key="crossing.jpg", Body=picture(92))
    wait_for_version(here, "crossing", stored["ETag"].strip('"'))
    waiting = applied.terminal("clear", NAME="crossing")
    waiting.expect(PROMPT)
    newer = here.s3.put_object(Bucket=here.uploads_bucket, Key="crossing.jpg", Body=picture(93))
    wait_for_version(here, "crossing", newer["ETag"].strip('"'))
    waiting.type("small")
    assert waiting.end()[0] == 1
    kept = {item.key for item in takedown.objects_of(here, "crossing")}
    assert "crossing.jpg" in kept, "and nothing of it was deleted"


@LONG
@pytest.mark.parametrize("waits", ["apply", pytest.param("destroy", marks=LONG)])
def test_a_plan_that_waits_does_what_it_said_whatever_runs_meanwhile(
    applied: SmallEnvironment, here: Deployment, waits: str
) -> None:
    applied.set(api_url="https://waits.example")
    here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody='{"Records": []}')
    waiting = applied.terminal(waits)
    waiting.expect(PROMPT)
    for command in ("redrive", "clear"):
        applied.run(command, **OPTIONS[command])
    assert dead_letters.counts(here)["dead"] == 0
    waiting.type("small")
    status, shown = waiting.end()
    assert status == 0, shown
    assert api_url(here) == ("https://waits.example" if waits == "apply" else None)


@LONG
def test_a_rollback_that_waits_runs_although_messages_are_redriven(
    applied: SmallEnvironment, here: Deployment
) -> None:
    applied.run("migrate", TO="add_bio")
    waiting = applied.terminal("rollback", STEPS="1")
    waiting.expect(PROMPT)
    here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody='{"Records": []}')
    applied.run("redrive")
    waiting.type("small")
    assert waiting.end()[0] == 0
    assert len(applied.applied()) == 1
    assert dead_letters.counts(here)["dead"] == 0


@LONG
def test_a_half_applied_environment_is_named_and_destroyed(
    small: SmallEnvironment, here: Deployment
) -> None:
    small.run("destroy", YES="1")
    small.set(runs="false")
    assert "terraform apply failed" in small.run("apply", status=1, YES="1")
    assert "small is half applied" in small.run("env", status=1)
    assert "small is half applied" in " ".join(small.run("doctor", status=2).split())
    small.set()
    small.run("destroy", YES="1")
    assert state(here)["resources"] == []


@LONG
def test_a_killed_runs_lock_is_shown_and_removed_and_no_other(
    applied: SmallEnvironment, here: Deployment
) -> None:
    lock = {"Bucket": STATES, "Key": "small/terraform.tfstate.tflock"}
    applied.set(runs="sleep 600")
    killed = applied.terminal("apply")
    killed.expect(PROMPT)
    killed.type("small")
    sleeping = wait_until(lambda: processes_below(killed, "sleep 600"), "the apply's last step")
    os.killpg(os.getpgid(sleeping[0]), signal.SIGKILL)
    status, shown = killed.end()
    assert (status, "`make unlock`" in shown) == (1, True), shown
    applied.set()
    assert "`make unlock`" in applied.run("apply", status=1, YES="1")
    assert "Nobody is there to confirm it" in applied.run("unlock", status=1)

    waiting = applied.terminal("unlock", host=ELSEWHERE)
    assert "OperationTypeApply by" in waiting.expect(PROMPT)
    left = here.s3.get_object(**lock)["Body"].read()
    others = json.dumps({**json.loads(left), "ID": "11111111-2222-3333-4444-555555555555"})
    here.s3.put_object(**lock, Body=others.encode())
    waiting.type("small")
    status, shown = waiting.end()
    assert (status, "lock is another one now" in shown) == (1, True), shown
    assert here.s3.get_object(**lock)["Body"].read().decode() == others

    here.s3.put_object(**lock, Body=left)
    assert "Removed the lock" in applied.run("unlock", YES="1")
    assert "The state is not locked" in applied.run("unlock", YES="1")
    applied.run("destroy", YES="1")
    assert state(here)["resources"] == []


def test_another_accounts_credentials_are_refused_before_the_state_is_read(
    small: SmallEnvironment,
) -> None:
    for command in ("bootstrap", "apply", "destroy"):
        refused = small.run(command, status=1, YES="1", AWS_ACCESS_KEY_ID="111122223333")
        assert "are of the AWS account 111122223333" in refused
        assert "small is in 000000000000" in refused


@pytest.fixture
def filled(system: System, here: Deployment, tmp_path: Path) -> Iterator[SmallEnvironment]:
    made = SmallEnvironment(system, tmp_path / "filled", "filled", buckets=True)
    made.run("apply", YES="1")
    yield made
    assert not [name for name in buckets(here) if name.startswith("filled-")]


def buckets(here: Deployment) -> list[str]:
    return [bucket["Name"] for bucket in here.s3.list_buckets()["Buckets"]]


def test_a_destroy_touches_nothing_before_it_is_confirmed_and_then_all_that_it_named(
    filled: SmallEnvironment, here: Deployment
) -> None:
    refused = filled.run("destroy", status=1, YES="1", FORCE="1")
    assert "is protected from deletion" in refused
    assert "user_pool_deletion_protection = false" in refused
    pools = here.cognito.list_user_pools(MaxResults=60)["UserPools"]
    (pool,) = (pool["Id"] for pool in pools if pool["Name"] == "filled")
    here.cognito.update_user_pool(UserPoolId=pool, DeletionProtection="INACTIVE")

    here.s3.put_object(Bucket="filled-uploads", Key="ada.jpg", Body=b"picture")
    before = state(here, "filled")
    assert "filled-uploads holds objects" in filled.run("destroy", status=1, YES="1")
    waiting = filled.terminal("destroy", FORCE="1")
    assert "bucket filled-uploads with 1 objects and versions in it" in waiting.expect(PROMPT)
    waiting.type("no")
    status, shown = waiting.end()
    assert (status, "Nothing was changed" in shown) == (1, True)
    assert state(here, "filled") == before, "not even a flag of a bucket"
    read = here.s3.get_object(Bucket="filled-uploads", Key="ada.jpg")
    assert read["Body"].read() == b"picture"

    # a delete marker alone holds nothing, and stands in no way
    version = read["VersionId"]
    here.s3.delete_object(Bucket="filled-uploads", Key="ada.jpg")
    here.s3.delete_object(Bucket="filled-uploads", Key="ada.jpg", VersionId=version)
    waiting = filled.terminal("destroy")
    waiting.expect(PROMPT)
    here.s3.put_object(Bucket="filled-uploads", Key="late.jpg", Body=b"picture")
    waiting.type("filled")
    status, shown = waiting.end()
    assert (status, "was empty and now holds objects" in shown) == (1, True)
    assert "filled-uploads" in buckets(here)
    filled.run("destroy", YES="1", FORCE="1")
