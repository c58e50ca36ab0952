"""`make redrive`, `make discard` and `make reconcile`, on moto."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner

from console import terminal
from console.commands import queue
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.pipeline import reconcile
from tests.unit.console import deployments
from tests.unit.console.deployments import waiting
from tests.unit.console.move_tasks import MoveTasks

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(here: Deployment, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ENV", "local")

    def run_it(*arguments: str) -> tuple[int, str]:
        with terminal.out.capture() as shown, terminal.err.capture() as wrong:
            result = CliRunner().invoke(queue.app, [*arguments])
        return result.exit_code, result.stdout + shown.get() + wrong.get()

    return run_it


def test_a_dry_run_shows_how_many_failed_of_each_cause_and_changes_nothing(
    here: Deployment, run: Run
) -> None:
    for number in range(3):
        deployments.fail(here, f"{number}.jpg", "NoSuchBucket")
    deployments.fail(here, "ada.jpg", "AccessDenied")
    code, shown = run("redrive", "--dry-run")
    assert code == 0, shown
    counted = [line.split()[:2] for line in shown.splitlines()[:2]]
    assert counted == [["3", "NoSuchBucket"], ["1", "AccessDenied"]]
    assert "4 messages of " in shown
    code, shown = run("redrive", "--dry-run", "--json")
    assert {group["value"]: group["count"] for group in json.loads(shown)["groups"]} == {
        "NoSuchBucket": 3,
        "AccessDenied": 1,
    }
    assert waiting(here, here.dead_letter_queue_url) == 4


def test_one_cause_is_redriven_and_said_in_json(here: Deployment, run: Run) -> None:
    deployments.fail(here, "grace.jpg", "NoSuchBucket")
    deployments.fail(here, "ada.jpg", "AccessDenied")
    code, shown = run("redrive", "--cause", "AccessDenied", "--rate", "500", "--json")
    assert code == 0, shown
    answer = json.loads(shown.splitlines()[0])
    assert answer["outcome"] == "1 message put back on the queue."
    assert waiting(here, here.dead_letter_queue_url) == 1


def test_what_failed_within_a_time_is_not_all(here: Deployment, run: Run) -> None:
    deployments.bury(here, "killed.jpg")
    code, shown = run("redrive", "--since", "1h", "--dry-run")
    assert code == 0, shown
    assert "any cause: 0 messages by the log since " in shown


def test_records_of_a_code_are_discarded(here: Deployment, run: Run) -> None:
    deployments.reject(here, "ada.jpg", "damaged")
    deployments.reject(here, "grace.jpg", "too_many_pixels")
    code, shown = run("discard", "--code", "damaged", "--yes")
    assert code == 0, shown
    assert "1 record discarded." in shown


def test_all_are_redriven_though_the_log_can_not_be_asked(here: Deployment, run: Run) -> None:
    deployments.bury(here, "ada.jpg")
    here.logs.delete_log_group(logGroupName=deployments.RESIZE_LOGS)
    code, shown = run("redrive")
    assert code == 0, shown
    assert "By cause: Could not ask the log of resize" in shown
    assert "1 message put back on the queue." in shown


def test_sqs_own_redrive_is_stopped_where_there_is_one(here: Deployment, run: Run) -> None:
    code, shown = run("redrive", "--stop")
    assert code != 0
    MoveTasks(here, each_time=0)
    here.sqs.start_message_move_task(SourceArn="arn:aws:sqs:eu-central-1:123456789012:dead")
    code, shown = run("redrive", "--stop")
    assert code == 0, shown
    assert "Stopped: 0 messages" in shown


def test_a_cause_and_a_code_together_are_refused(run: Run) -> None:
    code, _shown = run("redrive", "--cause", "NoSuchBucket", "--code", "damaged")
    assert code != 0


def test_reconcile_walks_once_and_says_what_it_queued(here: Deployment, run: Run) -> None:
    here.s3.put_object(Bucket=here.uploads_bucket, Key="ada.jpg", Body=b"1")
    asked = deployments.calls(here.s3)
    code, shown = run("reconcile")
    assert code == 0, shown
    assert "1 originals: 0 shown, 0 rejected, 1 put on the queue." in shown
    assert asked.count("ListObjectsV2") == 1
    assert waiting(here, here.queue_url) == 1


def test_a_walk_that_is_cut_off_says_how_to_go_on(
    here: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def walk(*_: object, **__: object) -> Iterator[reconcile.Findings]:
        yield reconcile.Findings(shown=999, queued=1, last_key="people/o'hara.jpg")
        raise OperationError("S3 is away.", "Try again.")

    monkeypatch.setattr(reconcile, "reconcile", walk)
    for options, said in {
        ("--dry-run", "--until", "q"): "make reconcile DRY_RUN=1 AFTER=",
        (): "make reconcile AFTER=",
    }.items():
        code, shown = run("reconcile", *options)
        assert code != 0
        one_line = " ".join(shown.split())
        assert "1000 originals: 999 shown" in one_line
        assert said + shlex.quote("people/o'hara.jpg") in one_line
        assert (" UNTIL=q" in one_line) is bool(options)


def test_a_range_without_keys_is_refused(run: Run) -> None:
    code, _shown = run("reconcile", "--after", "q", "--until", "b")
    assert code != 0
