"""Dead-letter messages: listed, redriven, discarded, on moto."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from console.operations import progress
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.pipeline import dead_letters
from console.operations.pipeline.dead_letters import Discard, Redrive, Sample
from tests.integration.system import wait_until
from tests.unit.console import deployments
from tests.unit.console.deployments import waiting


def chosen(here: Deployment, ids: list[str]) -> Sample:
    found = dead_letters.sample(here, limit=None)
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


def test_the_cause_is_the_last_line_of_the_logged_stack(here: Deployment) -> None:
    message_id = deployments.bury(here, "ada.jpg")
    line = {
        "message": "message failed",
        "message_id": message_id,
        "error": "EventError",
        "stack": "Traceback\n  File x\nresize.events.EventError: the message is not an S3 event",
    }
    here.logs.create_log_stream(logGroupName=deployments.RESIZE_LOGS, logStreamName="s")
    here.logs.put_log_events(
        logGroupName=deployments.RESIZE_LOGS,
        logStreamName="s",
        logEvents=[{"timestamp": int(time.time() * 1000) + 1000, "message": json.dumps(line)}],
    )
    cause = dead_letters.causes(here, dead_letters.sample(here).messages)[message_id]
    assert cause.sentence == "resize.events.EventError: the message is not an S3 event"


def fail_again(here: Deployment) -> None:
    """Do what the queue does with messages that still fail: they are dead again, under new ids."""
    while found := here.sqs.receive_message(QueueUrl=here.queue_url).get("Messages"):
        for message in found:
            here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody=message["Body"])
            here.sqs.delete_message(QueueUrl=here.queue_url, ReceiptHandle=message["ReceiptHandle"])


def test_redriving_all_tries_each_message_once_though_all_fail_again(
    here: Deployment, target: Target
) -> None:
    for number in range(25):
        deployments.bury(here, f"{number}.jpg")
    change = Redrive(target, here, dead_letters.sample(here), everything=True)
    wait_until(lambda: time.time() > change.sample.at, "the next second")
    done = change.execute(lambda _event: fail_again(here))
    assert done == "25 messages put back on the queue."
    assert dead_letters.counts(here)["dead"] == 25


def test_a_redrive_of_all_leaves_what_came_after_it_was_shown(
    here: Deployment, target: Target
) -> None:
    deployments.bury(here, "before.jpg")
    change = Redrive(target, here, dead_letters.sample(here), everything=True)
    wait_until(lambda: time.time() > change.sample.at, "the next second")
    deployments.bury(here, "after.jpg")
    assert change.execute(progress.ignore) == "1 message put back on the queue."
    assert [m.keys for m in dead_letters.sample(here).messages] == [("after.jpg",)]


def test_a_change_of_many_messages_says_how_many_and_names_the_first(
    here: Deployment, target: Target
) -> None:
    for number in range(12):
        deployments.bury(here, f"{number}.jpg")
    change = Redrive(target, here, dead_letters.sample(here), everything=True)
    lines = list(change.lines())
    assert lines[0].startswith("12 messages of ")
    assert lines[-1] == "and 2 more"
    assert len(lines) == 12
    assert change.subject == "all 12 dead-letter messages"
