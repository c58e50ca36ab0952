from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from console.operations import progress
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.doctor.examination import Check, run
from console.operations.environments.doctor.finding import AREAS, Finding, State, in_order, severity
from console.operations.errors import OperationError


def finding(state: State, name: str = "thing", area: str = "API") -> Finding:
    return Finding(area, name, state, "a", "b", "" if state == "ok" else "Fix it.")


def check(key: str, state: State = "ok", **options: Any) -> Check:
    return Check("API", key, lambda: [finding(state, key)], **options)


def raising(key: str, error: Exception) -> Check:
    def run_it() -> Iterator[Finding]:
        yield finding("ok", "before")
        raise error

    return Check("Buckets", key, run_it)


def refused(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetThing")


def test_a_check_whose_prerequisite_is_broken_is_left_out_and_said_once() -> None:
    findings = run(
        [
            check("the door", "error"),
            check("the room", needs=("the door",)),
            check("the bed", needs=("the room",)),
            check("the roof"),
        ],
        progress.ignore,
    )
    assert [(found.name, found.state) for found in findings] == [
        ("the door", "error"),
        ("the roof", "ok"),
        ("because of: the door", "unknown"),
    ]
    assert findings[-1].area == "Not checked"
    assert findings[-1].found == "the bed, the room"


@pytest.mark.parametrize("state", ["ok", "warning", "unknown"])
def test_only_an_error_keeps_others_from_being_looked_at(state: State) -> None:
    findings = run([check("first", state), check("second", needs=("first",))], progress.ignore)
    assert [found.name for found in findings] == ["first", "second"]


def test_a_check_may_wait_for_another_whatever_that_finds() -> None:
    order: list[str] = []
    released = threading.Event()

    def slow() -> list[Finding]:
        released.wait(5)
        order.append("slow")
        return [finding("error")]

    def waiting() -> list[Finding]:
        order.append("waiting")
        return []

    def release() -> list[Finding]:
        released.set()
        return []

    run(
        [
            Check("API", "slow", slow),
            Check("API", "waiting", waiting, after=("slow",)),
            Check("API", "release", release),
        ],
        progress.ignore,
    )
    assert order == ["slow", "waiting"]


def test_many_more_checks_than_workers_in_one_long_row_do_not_lock_up() -> None:
    row = [check("0")]
    row += [check(str(number), needs=(str(number - 1),)) for number in range(1, 200)]
    assert len(run(row, progress.ignore)) == 200


def test_progress_counts_every_check() -> None:
    events: list[progress.Event] = []
    run([check("one"), check("two", "error"), check("three", needs=("two",))], events.append)
    advanced = [event for event in events if event.state == "advanced"]
    assert [(event.done, event.total) for event in advanced] == [(1, 3), (2, 3), (3, 3)]
    assert {event.detail for event in advanced} == {"one", "two", "three"}
    assert events[-1].state == "done"


@pytest.mark.parametrize(
    ("error", "state", "says"),
    [
        (refused("AccessDenied", "User is not authorized"), "unknown", "Ask for that permission"),
        (refused("Throttling", "Rate exceeded"), "unknown", "slow down"),
        (refused("ExpiredToken"), "unknown", "sign in again"),
        (refused("404", "Not Found"), "error", "make apply"),
        (refused("NoSuchBucket"), "error", "make apply"),
        (refused("ResourceNotFoundException"), "error", "make apply"),
        (refused("AWS.SimpleQueueService.NonExistentQueue"), "error", "make apply"),
        (NoCredentialsError(), "unknown", "Sign in"),
        (EndpointConnectionError(endpoint_url="https://x"), "unknown", "can be reached"),
        (OperationError("It did not answer.", "Start it."), "error", "Start it."),
        (KeyError("Surprise"), "unknown", "report"),
    ],
)
def test_a_check_that_ends_with_an_error_says_so_and_the_others_go_on(
    error: Exception, state: State, says: str
) -> None:
    findings = run([raising("a bucket", error), check("another")], progress.ignore)
    assert [found.name for found in findings] == ["before", "a bucket", "another"]
    assert findings[1].state == state
    assert says in findings[1].remedy


def test_an_explained_refusal_is_understood_as_the_refusal_itself() -> None:
    def sign_in() -> Iterator[Finding]:
        with aws_errors("sign in"):
            raise refused("AccessDeniedException", "User is not authorized.")
        yield

    (found,) = run([Check("Users", "signing in", sign_in)], progress.ignore)
    assert found.state == "unknown"
    assert found.found == "Could not sign in: User is not authorized."


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([], 0),
        (["ok"], 0),
        (["ok", "unknown"], 1),
        (["warning", "ok"], 1),
        (["warning", "error", "unknown"], 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst(states: list[State], code: int) -> None:
    assert severity([finding(state) for state in states]) == code


def test_findings_are_listed_by_area_in_the_order_they_were_found() -> None:
    mixed = [finding("ok", "1", "DNS"), finding("ok", "2", "Users"), finding("ok", "3", "DNS")]
    assert [found.name for found in in_order(mixed)] == ["2", "1", "3"]
    assert set(AREAS) >= {"DNS", "Users"}
