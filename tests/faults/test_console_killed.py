"""The process that acts is killed in the middle of each kind of action; then it is done again.

What it leaves is seen in the audit with how far it had come, and doing it again ends where a run
that nobody killed ends.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
import pytest

from console.operations.accounts import legal_hold
from console.operations.audit.access import Actor
from console.operations.audit.audit import Action, Audit
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters, reconcile, reviews
from console.operations.pipeline.reviews import Review
from console.operations.releases import aliases
from console.operations.uploads import locks, names, outcomes, test_users
from tests.integration import live, test_acceptance
from tests.integration.system import System, picture, unattended, wait_for_version, wait_until
from tests.integration.test_moderation import hold_uploads
from tests.integration.test_uploads import send

pytestmark = pytest.mark.long
ORIGINALS = [f"killed-{number}.jpg" for number in range(6)]
NAMES = [key.removesuffix(".jpg") for key in ORIGINALS]
HANDLE = "killed"
HELD = "killed-held"
SEEDS = itertools.count(5000)
REGISTERED: list[str] = []
"""The ids of users, the newest last: an erased one is found by nothing else."""


@dataclass(frozen=True)
class Kind:
    """One kind of action.

    Attributes
    ----------
    before
        Makes what it acts on.
    command
        Returns the command and its options.
    after
        Raises AssertionError unless it is done.
    around
        A fixture within which all this happens.
    """

    before: Callable[[System, Deployment], object]
    command: Callable[[System, Deployment], list[str]]
    after: Callable[[System, Deployment], object]
    around: str = ""


def show(_: System, here: Deployment) -> None:
    """Have all originals shown."""
    for number, key in enumerate(ORIGINALS):
        stored = here.s3.put_object(
            Bucket=here.uploads_bucket, Key=key, Body=picture(next(SEEDS), (64, 64))
        )
        wait_for_version(here, NAMES[number], stored["ETag"].strip('"'))


def lose(system: System, here: Deployment) -> None:
    """Have originals of which nothing was ever made."""
    show(system, here)
    for name in NAMES:
        key = f"avatars/{name}.jpg"
        listed = here.s3.list_object_versions(Bucket=here.assets_bucket, Prefix=key)
        for version in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
            here.s3.delete_object(
                Bucket=here.assets_bucket, Key=key, VersionId=version["VersionId"]
            )


def bury(system: System, here: Deployment) -> None:
    """Have the messages of originals that were never processed as dead-letter messages."""
    lose(system, here)
    here.sqs.purge_queue(QueueUrl=here.dead_letter_queue_url)
    for key in ORIGINALS:
        body = json.dumps(reconcile.event(here, key, None))
        here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody=body)


def all_are_shown(_: System, here: Deployment) -> None:
    for name in NAMES:
        # a message whose function broke off comes again after minutes
        wait_until(partial(outcomes.shown_version, here, name), f"{name} being shown", 300)
    wait_until(lambda: not sum(dead_letters.counts(here).values()), "empty queues")


def letters_are_gone(_: System, here: Deployment) -> None:
    assert not dead_letters.counts(here)["dead"]
    for key in ORIGINALS:
        here.s3.head_object(Bucket=here.uploads_bucket, Key=key)


def is_taken_down(_: System, here: Deployment) -> None:
    assert outcomes.shown_version(here, NAMES[0]) is None
    for bucket, prefix in (
        (here.uploads_bucket, ORIGINALS[0]),
        (here.assets_bucket, f"variants/{NAMES[0]}/"),
    ):
        assert "Contents" not in here.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
    wait_until(partial(outcomes.shown_version, here, NAMES[1]), "another being shown")


def register(_: System, here: Deployment) -> None:
    """Have a user with an avatar, who may send more."""
    user = test_users.sign_in(here, HANDLE)
    REGISTERED.append(user.sub)
    locks.drop(here, user.sub)
    wait_for_version(here, user.sub, send(here, user, picture(next(SEEDS), (64, 64))))


def is_erased(_: System, here: Deployment) -> None:
    for bucket in (here.uploads_bucket, here.assets_bucket):
        listed = [
            item["Key"]
            for page in here.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            for item in page.get("Contents", [])
        ]
        of_user = [key for key in listed if REGISTERED[-1] in key]
        marks = {f"avatars/{name}.jpg" for name in names.of_user(REGISTERED[-1])}
        assert set(of_user) == (marks if bucket == here.assets_bucket else set())
    subs = here.cognito.list_users(
        UserPoolId=here.user_pool_id, Filter=f'sub = "{REGISTERED[-1]}"'
    )["Users"]
    assert not subs


def export_file(system: System) -> Path:
    return system.directory / "killed.zip"


def before_export(system: System, here: Deployment) -> None:
    register(system, here)
    export_file(system).unlink(missing_ok=True)


def is_exported(system: System, _: Deployment) -> None:
    with zipfile.ZipFile(export_file(system)) as written:
        assert written.testzip() is None
        assert any(name.endswith(".jpg") for name in written.namelist())


def hold(_: System, here: Deployment) -> None:
    """Have a picture that waits for a decision."""
    user = test_users.sign_in(here, HELD)
    reviews.drop(here, user.sub)
    send(here, user, picture(next(SEEDS), (64, 64)))
    wait_until(lambda: waiting(here, user.sub), "what is held")


def waiting(here: Deployment, name: str) -> list[Review]:
    return [each for each in reviews.of_avatar(here, name) if each.state in {"held", "reported"}]


def held_key(here: Deployment) -> str:
    user = test_users.sign_in(here, HELD)
    listed = here.s3.list_objects_v2(Bucket=here.uploads_bucket, Prefix=user.sub)["Contents"]
    return str(max(listed, key=lambda item: item["LastModified"])["Key"])


def is_decided(shown: bool, _: System, here: Deployment) -> None:
    user = test_users.sign_in(here, HELD)
    wait_until(lambda: not waiting(here, user.sub), "the decision")
    if shown:
        wait_until(partial(outcomes.shown_version, here, user.sub), "its being shown")


def migrations(system: System) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = json.loads(system.make("migrations", "JSON=1"))
    return listed


def latest(system: System, _: Deployment) -> None:
    system.make("migrate")


def rolled_back(system: System, _: Deployment) -> None:
    system.make("migrate")
    system.make("rollback", "STEPS=1", "YES=1")


def is_migrated(system: System, _: Deployment) -> None:
    assert {each["state"] for each in migrations(system)} == {"applied"}


def is_rolled_back(system: System, _: Deployment) -> None:
    *before, last = (each["state"] for each in migrations(system))
    assert (set(before), last) == ({"applied"}, "pending")


@pytest.fixture
def migrated_afterwards(system: System) -> Iterator[None]:
    yield
    system.make("migrate")


@pytest.fixture
def holding_all(here: Deployment) -> Iterator[None]:
    with hold_uploads(here):
        yield


@pytest.fixture
def version(system: System, here: Deployment) -> Iterator[None]:
    """A version that was published, and is called by nobody."""
    good = system.built("resize")
    with live.published(here, "resize", live.changed(good), good):
        yield


def unreleased(_: System, here: Deployment) -> None:
    name = here.function_names["resize"]
    alias = here.functions.get_alias(FunctionName=name, Name=aliases.ALIAS)
    here.functions.update_alias(
        FunctionName=name,
        Name=aliases.ALIAS,
        FunctionVersion=alias["FunctionVersion"],
        RoutingConfig={"AdditionalVersionWeights": {}},
    )


def is_released(_: System, here: Deployment) -> None:
    assert aliases.read(here, "resize").trial


def of_user(*command: str) -> Callable[[System, Deployment], list[str]]:
    return lambda *_: [*command, "--name", REGISTERED[-1]]


def is_locked(_: System, here: Deployment) -> None:
    assert locks.locked_since(here, REGISTERED[-1])


def held_by_nobody(system: System, here: Deployment) -> None:
    register(system, here)
    if legal_hold.held_since(here, REGISTERED[-1]) or copies(here):
        system.make("release-legal-hold", f"NAME={REGISTERED[-1]}", "YES=1")


def held_by_law(system: System, here: Deployment) -> None:
    register(system, here)
    system.make("legal-hold", f"NAME={REGISTERED[-1]}", "REASON=case 4711")


def copies(here: Deployment) -> list[str]:
    listed = here.s3.list_objects_v2(Bucket=here.legal_holds_bucket, Prefix=REGISTERED[-1])
    return [item["Key"] for item in listed.get("Contents", [])]


def is_held_by_law(system: System, here: Deployment) -> None:
    assert any(key.endswith("/manifest.json") for key in copies(here))
    assert any(key.endswith(".jpg") for key in copies(here))
    assert "is held by law" in system.make("erase", f"NAME={REGISTERED[-1]}", "YES=1", status=2)


def is_free(_: System, here: Deployment) -> None:
    assert legal_hold.held_since(here, REGISTERED[-1]) is None
    assert not copies(here)


def is_invalidated(_: System, here: Deployment) -> None:
    listed = here.cloudfront.list_invalidations(DistributionId=here.distribution_id)
    items = listed["InvalidationList"]["Items"]
    assert {each["Status"] for each in items} == {"Completed"}


def logs_in(system: System, here: Deployment) -> None:
    """What the function reads is what Postgres knows."""
    stored = here.parameters.get_parameter(Name=here.database_url_parameter, WithDecryption=True)
    with psycopg.connect(stored["Parameter"]["Value"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def nothing_is_left(system: System, here: Deployment) -> None:
    """What a killed run has made is erased by the name that the audit has."""
    for handle in test_acceptance.accounts(here):
        status, output = run(system, 0, ["erase", "--name", handle.partition("@")[0], "--yes"])
        assert not status, output
    assert not test_acceptance.accounts(here)


@pytest.fixture
def removing_fast(here: Deployment) -> Iterator[None]:
    """A removal waits for as long as the resize function may run."""
    with live.configured(here, "resize", Timeout=test_acceptance.SHORT_SECONDS):
        yield


def named(*command: str) -> Callable[[System, Deployment], list[str]]:
    return lambda *_: list(command)


def once_seen_again(*command: str) -> Callable[[System, Deployment], list[str]]:
    """Wait for the messages that a killed run had received: SQS holds them back for a while."""

    def ready(_: System, here: Deployment) -> list[str]:
        asked = {"AttributeNames": ["ApproximateNumberOfMessagesNotVisible"]}
        url = here.dead_letter_queue_url

        def none_is_held() -> bool:
            found = here.sqs.get_queue_attributes(QueueUrl=url, **asked)["Attributes"]
            return found["ApproximateNumberOfMessagesNotVisible"] == "0"

        wait_until(none_is_held, "its messages being seen again", 120)
        return list(command)

    return ready


KINDS = {
    "redrive": Kind(bury, once_seen_again("redrive", "--rate", "50"), all_are_shown),
    "discard": Kind(bury, once_seen_again("discard", "--yes"), letters_are_gone),
    "reconcile": Kind(lose, named("reconcile"), all_are_shown),
    "reprocess": Kind(show, named("reprocess", "--yes"), all_are_shown),
    "clear": Kind(show, named("clear", "--name", NAMES[0], "--yes"), is_taken_down),
    "export": Kind(
        before_export,
        lambda system, _: ["export", "--name", REGISTERED[-1], "--file", str(export_file(system))],
        is_exported,
    ),
    "erase": Kind(register, of_user("erase", "--yes"), is_erased),
    "lock-user": Kind(register, of_user("lock-user"), is_locked),
    "legal-hold": Kind(
        held_by_nobody, of_user("legal-hold", "--reason", "case 4711"), is_held_by_law
    ),
    "release-legal-hold": Kind(held_by_law, of_user("release-legal-hold", "--yes"), is_free),
    "invalidate": Kind(
        lambda *_: None, named("invalidate", "--paths", "/avatars/killed.jpg"), is_invalidated
    ),
    "rotate-login": Kind(lambda *_: None, named("rotate-login", "--yes"), logs_in),
    "accept": Kind(lambda *_: None, named("accept"), nothing_is_left, "removing_fast"),
    "approve": Kind(
        hold,
        lambda _, here: ["approve", "--key", held_key(here)],
        partial(is_decided, True),
        "holding_all",
    ),
    "refuse": Kind(
        hold,
        lambda _, here: ["refuse", "--key", held_key(here), "--yes"],
        partial(is_decided, False),
        "holding_all",
    ),
    "rollback": Kind(
        latest,
        lambda system, _: ["rollback", "--to", migrations(system)[-2]["name"], "--yes"],
        is_rolled_back,
        "migrated_afterwards",
    ),
    "migrate": Kind(rolled_back, named("migrate"), is_migrated, "migrated_afterwards"),
    "release": Kind(
        unreleased,
        named("release", "--function", "resize", "--percent", "10", "--yes"),
        is_released,
        "version",
    ),
}


def run(system: System, at: int, command: list[str]) -> tuple[int, str]:
    words = [sys.executable, "-m", "tests.faults.killed", str(at), *command]
    status, output = unattended(words, system.environment | {"ENV": "local"})
    assert "Traceback" not in output, output
    return status, output


def counted(output: str) -> int:
    """Return how many calls a run says that it made."""
    return int(re.findall(r"calls: (\d+)", output)[-1])


def newest(system: System) -> Action:
    on = system.target()
    record = Audit(on.env, on.database_url, on.state / "audit")
    record.running(Actor("the next", may_operate=True))
    return record.actions(limit=1)[0]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", KINDS)
def test_killed_anywhere_it_is_seen_and_done_again_it_is_done(
    system: System, here: Deployment, name: str, request: pytest.FixtureRequest
) -> None:
    kind = KINDS[name]
    if kind.around:
        request.getfixturevalue(kind.around)
    kind.before(system, here)
    status, output = run(system, 0, kind.command(system, here))
    assert not status, output
    try:
        kind.after(system, here)
    except AssertionError as error:
        error.add_note(output)
        raise
    calls = counted(output)
    assert calls
    for at in sorted({1, (calls + 1) // 3, 2 * (calls + 1) // 3, calls} - {0}):
        kind.before(system, here)
        status, output = run(system, at, kind.command(system, here))
        while status != -9:  # it had fewer calls this time
            at = min(at - 1, counted(output))
            assert at, f"never killed: {output}"
            kind.before(system, here)
            status, output = run(system, at, kind.command(system, here))
        cut = newest(system)
        assert cut.outcome == "interrupted", f"before call {at} of {calls}: {cut}"
        assert "closed by the next" in cut.detail
        status, output = run(system, 0, kind.command(system, here))
        if status:  # all of it had been done
            assert "→" in output, output
        kind.after(system, here)
        print(f"{name}: killed before call {at} of {calls}, {cut.detail}")
