"""Dead-letter messages: listed, redriven, discarded, on moto."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest

from console.operations import progress
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError, StaleChangeError
from console.operations.pipeline import causes, dead_letters
from console.operations.pipeline.causes import Selection
from console.operations.pipeline.dead_letters import Discard, Redrive, Sample
from console.operations.progress import StoppedError
from tests.integration.system import wait_until
from tests.unit.console import deployments
from tests.unit.console.deployments import waiting
from tests.unit.console.move_tasks import MoveTasks
from tests.unit.console.queues_in_memory import QueuesInMemory


def chosen(here: Deployment, ids: list[str]) -> Sample:
    found = dead_letters.sample(here, limit=100)
    messages = tuple(message for message in found.messages if message.message_id in ids)
    return Sample(messages, len(messages), found.at)


def test_listing_messages_hides_none_of_them(here: Deployment) -> None:
    ids = {deployments.bury(here, f"{number}.jpg") for number in range(3)}
    for _ in range(2):
        found = dead_letters.sample(here)
        assert ({letter.message_id for letter in found.messages}, found.total) == (ids, 3)
    assert waiting(here, here.dead_letter_queue_url) == 3


def test_only_the_chosen_messages_are_redriven_and_the_rest_stays_visible(
    here: Deployment, target: Target
) -> None:
    ids = [deployments.bury(here, f"{number}.jpg") for number in range(12)]
    done = Redrive(target, here, chosen(here, ids[:2])).execute(progress.ignore)
    assert done == "2 messages put back on the queue."
    assert waiting(here, here.queue_url) == 2
    assert waiting(here, here.dead_letter_queue_url) == 10


def test_only_the_chosen_messages_are_discarded(here: Deployment, target: Target) -> None:
    ids = [deployments.bury(here, f"{number}.jpg") for number in range(3)]
    Discard(target, here, chosen(here, ids[:1])).execute(progress.ignore)
    assert waiting(here, here.queue_url) == 0
    assert {message.message_id for message in dead_letters.sample(here).messages} == set(ids[1:])


def test_a_message_that_is_gone_is_said_to_be_gone(here: Deployment, target: Target) -> None:
    kept = deployments.bury(here, "kept.jpg")
    gone = replace(dead_letters.sample(here).messages[0], message_id="gone")
    done = Redrive(target, here, Sample((gone,), 1, 0)).execute(progress.ignore)
    assert done == "0 messages put back on the queue, 1 no longer there."
    assert [message.message_id for message in dead_letters.sample(here).messages] == [kept]


def fail_again(here: Deployment) -> None:
    """Do what the queue does with messages that still fail: they are dead again, under new ids."""
    while found := here.sqs.receive_message(QueueUrl=here.queue_url).get("Messages"):
        for message in found:
            here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody=message["Body"])
            here.sqs.delete_message(QueueUrl=here.queue_url, ReceiptHandle=message["ReceiptHandle"])


def everything(at: float) -> Selection:
    return Selection(0, at, everything=True)


def redrive_all(target: Target, here: Deployment) -> Redrive:
    """Return the redrive of all that is there now, when later messages can be told from it."""
    found = dead_letters.sample(here)
    wait_until(lambda: time.time() > found.at, "the next second")
    return Redrive(target, here, found, everything(found.at), rate=500)


def keys(here: Deployment, url: str) -> list[str]:
    return sorted(str(message) for message in dead_letters.receive(here, url=url, hold_seconds=0))


def test_redriving_all_tries_each_message_once_though_all_fail_again(
    here: Deployment, target: Target
) -> None:
    for number in range(25):
        deployments.bury(here, f"{number}.jpg")
    change = redrive_all(target, here)
    done = change.execute(lambda _event: fail_again(here))
    assert done == "25 messages put back on the queue."
    fail_again(here)
    assert dead_letters.counts(here)["dead"] == 25


@pytest.mark.long
@pytest.mark.timeout(300)
def test_twenty_thousand_messages_that_fail_again_are_tried_once_each(
    here: Deployment, target: Target
) -> None:
    queues = QueuesInMemory(here)
    queues.bury(20_000)
    change = redrive_all(target, here)
    started = time.monotonic()
    assert change.execute(lambda _: queues.fail_again()) == "20,000 messages put back on the queue."
    assert time.monotonic() - started > 20_000 / 500 - 1
    queues.fail_again()
    assert len(queues.tried) == 20_000
    assert set(queues.tried.values()) == {1}
    assert queues.counted() == (0, 20_000)


def test_a_redrive_of_all_leaves_what_came_after_it_was_shown(
    here: Deployment, target: Target
) -> None:
    deployments.bury(here, "before.jpg")
    change = redrive_all(target, here)
    deployments.bury(here, "after.jpg")
    assert change.execute(progress.ignore) == "1 message put back on the queue."
    assert [m.keys for m in dead_letters.sample(here).messages] == [("after.jpg",)]


def test_sqs_itself_redrives_all_at_the_pace_that_was_chosen(
    here: Deployment, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "_TASK_SECONDS", 0.01)
    for number in range(5):
        deployments.bury(here, f"{number}.jpg")
    tasks = MoveTasks(here, each_time=2)
    steps: list[progress.Event] = []
    done = redrive_all(target, here).execute(steps.append)
    assert done == "5 messages put back on the queue."
    (asked,) = tasks.started
    assert asked["SourceArn"].endswith(":dead")
    assert asked["DestinationArn"].endswith(":queue")
    assert asked["MaxNumberOfMessagesPerSecond"] == 500
    assert [step.done for step in steps] == [2, 4]


def test_what_sqs_has_moved_by_the_time_that_some_may_be_dead_again_is_not_moved_again(
    here: Deployment, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "_TASK_SECONDS", 0.01)
    for number in range(9):
        deployments.bury(here, f"{number}.jpg")
    tasks = MoveTasks(here, each_time=2)
    change = redrive_all(target, here)
    change = replace(change, sample=replace(change.sample, cycle_seconds=60))
    steps: list[progress.Event] = []

    def report(event: progress.Event) -> None:
        steps.append(event)
        fail_again(here)

    assert change.execute(report) == "9 messages put back on the queue."
    assert (tasks.status, tasks.moved) == ("CANCELLED", 2)
    fail_again(here)
    assert keys(here, here.dead_letter_queue_url) == [f"{number}.jpg" for number in range(9)]
    assert steps[-1].done == 9


@pytest.mark.parametrize("by_sqs", [True, False])
def test_a_redrive_ends_where_it_is_stopped(
    here: Deployment, target: Target, monkeypatch: pytest.MonkeyPatch, by_sqs: bool
) -> None:
    monkeypatch.setattr(dead_letters, "_TASK_SECONDS", 0.01)
    for number in range(30):
        deployments.bury(here, f"{number}.jpg")
    tasks = MoveTasks(here, each_time=10) if by_sqs else None

    def report(event: progress.Event) -> None:
        if event.may_stop and (event.done or 0) >= 10:
            raise StoppedError("ada")

    change = redrive_all(target, here)
    done = change.execute(report)
    (said,) = re.findall(r"^Stopped by ada: (\d+) messages put back on the queue", done)
    assert 10 <= int(said) < 20  # SQS answers with up to ten
    assert deployments.waiting(here, here.queue_url) == int(said)
    assert deployments.waiting(here, here.dead_letter_queue_url) == 30 - int(said)
    assert not tasks or tasks.status == "CANCELLED"


def test_a_redrive_that_another_has_started_is_seen_and_stopped(
    here: Deployment, target: Target
) -> None:
    assert dead_letters.move_task(here) is None
    tasks = MoveTasks(here, each_time=0)
    here.sqs.start_message_move_task(SourceArn="arn:aws:sqs:eu-central-1:123456789012:dead")
    task = dead_letters.move_task(here)
    assert task
    assert (task.status, task.handle) == ("RUNNING", "task 1")
    change = dead_letters.stop_move_task(target, here, task)
    assert change.execute(progress.ignore).startswith("Stopped: 0 messages of about 0")
    assert tasks.status == "CANCELLED"
    change.execute(progress.ignore)  # somebody else was faster


def test_messages_of_one_cause_alone_are_redriven_or_discarded(
    here: Deployment, target: Target
) -> None:
    for number in range(12):
        deployments.fail(here, f"{number}.jpg", "NoSuchBucket")
    for name in ("b.jpg", "c.jpg"):
        deployments.fail(here, name, "AccessDenied")
    deployments.bury(here, "killed.jpg")
    found = dead_letters.sample(here)
    wait_until(lambda: time.time() > found.at, "the next second")
    of_cause = Selection(found.at - 3600, found.at, "NoSuchBucket")
    counted = {group.value: group.count for group in causes.groups(here, of_cause, found.receives)}
    assert counted == {"NoSuchBucket": 12}
    change = Redrive(target, here, found, of_cause, 12)
    assert change.subject == "dead-letter messages: NoSuchBucket"
    assert next(iter(change.lines())).startswith("NoSuchBucket: 12 messages by the log since ")
    assert change.execute(progress.ignore) == "12 messages put back on the queue."
    assert keys(here, here.dead_letter_queue_url) == ["b.jpg", "c.jpg", "killed.jpg"]
    of_key = Selection(found.at - 3600, found.at, text="B.j")
    assert (
        Discard(target, here, found, of_key, 1)
        .execute(progress.ignore)
        .startswith("1 message discarded")
    )
    assert keys(here, here.dead_letter_queue_url) == ["c.jpg", "killed.jpg"]


def test_discarding_all_is_one_call_unless_more_have_come(here: Deployment, target: Target) -> None:
    for number in range(12):
        deployments.bury(here, f"{number}.jpg")
    found = dead_letters.sample(here)
    change = Discard(target, here, found, everything(found.at))
    change.check()
    calls = deployments.calls(here.sqs)
    assert change.execute(progress.ignore) == "All messages discarded, about 12."
    assert calls == ["PurgeQueue"]
    assert dead_letters.counts(here)["dead"] == 0
    for number in range(13):
        deployments.bury(here, f"{number}.jpg")
    with pytest.raises(StaleChangeError, match="13 messages now, more than were shown"):
        change.check()


def test_a_change_of_many_messages_says_how_many_and_names_the_first(
    here: Deployment, target: Target
) -> None:
    for number in range(12):
        deployments.bury(here, f"{number}.jpg")
    change = redrive_all(target, here)
    lines = list(change.lines())
    assert lines[0].startswith("12 messages of ")
    assert lines[1].startswith("at most 500 a second, each once")
    assert lines[-1] == "and 2 more"
    assert len(lines) == 13
    assert change.subject == "all 12 dead-letter messages"


@pytest.mark.parametrize(("rate", "said"), [(0, "no pace"), (501, "no pace"), (1, "12 hours")])
def test_a_pace_that_can_not_be_kept_is_refused(
    here: Deployment, target: Target, rate: int, said: str
) -> None:
    found = Sample((), 100_000, time.time())
    with pytest.raises(OperationError, match=said):
        Redrive(target, here, found, everything(found.at), rate=rate).check()
