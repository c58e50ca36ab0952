"""Messages that failed for good: look at them, put them back, discard them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from console.operations import progress
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_HOLD_SECONDS = 60


@dataclass(frozen=True)
class DeadLetter:
    """A message that was received too often without success.

    Attributes
    ----------
    keys
        The uploads it announces; empty if it is no S3 event.
    receipt
        What SQS wants for deleting it, valid while it is held.
    """

    message_id: str
    body: str
    keys: tuple[str, ...]
    sent_at: float
    receipt: str


def counts(deployment: Deployment) -> dict[str, int]:
    """Return how many messages wait, are being processed, and are dead."""
    with aws_errors("look at the queues"):
        queue = _attributes(deployment, deployment.queue_url)
        dead = _attributes(deployment, deployment.dead_letter_queue_url)
    return {
        "waiting": int(queue["ApproximateNumberOfMessages"]),
        "in_flight": int(queue["ApproximateNumberOfMessagesNotVisible"]),
        "dead": int(dead["ApproximateNumberOfMessages"])
        + int(dead["ApproximateNumberOfMessagesNotVisible"]),
    }


def receive(
    deployment: Deployment, limit: int | None = None, hold_seconds: int = _HOLD_SECONDS
) -> Iterator[DeadLetter]:
    """Yield dead letters, each held back from other readers for a while.

    Parameters
    ----------
    limit
        Yield at most so many; None for all.
    """
    seen: set[str] = set()
    while limit is None or len(seen) < limit:
        with aws_errors("read the dead letters"):
            messages = deployment.sqs.receive_message(
                QueueUrl=deployment.dead_letter_queue_url,
                MaxNumberOfMessages=10 if limit is None else min(10, limit - len(seen)),
                VisibilityTimeout=hold_seconds,
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["SentTimestamp"],
            ).get("Messages", [])
        fresh = [_letter(message) for message in messages if message["MessageId"] not in seen]
        if not fresh:
            return
        for position, letter in enumerate(fresh):
            seen.add(letter.message_id)
            try:
                yield letter
            except GeneratorExit:
                release(deployment, fresh[position + 1 :])
                raise


def release(deployment: Deployment, letters: Sequence[DeadLetter]) -> None:
    """Let others see letters again at once."""
    with aws_errors("release the dead letters"):
        for start in range(0, len(letters), 10):
            deployment.sqs.change_message_visibility_batch(
                QueueUrl=deployment.dead_letter_queue_url,
                Entries=[
                    {
                        "Id": str(index),
                        "ReceiptHandle": letter.receipt,
                        "VisibilityTimeout": 0,
                    }
                    for index, letter in enumerate(letters[start : start + 10])
                ],
            )


def redrive(deployment: Deployment, letter: DeadLetter) -> None:
    """Put a letter back on the queue: sent first, deleted then, so that it can't be lost."""
    with aws_errors(f"redrive message {letter.message_id}"):
        deployment.sqs.send_message(QueueUrl=deployment.queue_url, MessageBody=letter.body)
        _delete(deployment, letter)


def discard(deployment: Deployment, letter: DeadLetter) -> None:
    """Delete a letter; its original stays in the uploads bucket."""
    with aws_errors(f"discard message {letter.message_id}"):
        _delete(deployment, letter)


def redrive_all(deployment: Deployment, report: progress.Report) -> int:
    """Put every dead letter back; return how many."""
    done = 0
    for letter in receive(deployment):
        redrive(deployment, letter)
        done += 1
        report(progress.Event("Redrive", "advanced", ", ".join(letter.keys), done=done))
    return done


def _delete(deployment: Deployment, letter: DeadLetter) -> None:
    deployment.sqs.delete_message(
        QueueUrl=deployment.dead_letter_queue_url, ReceiptHandle=letter.receipt
    )


def _attributes(deployment: Deployment, url: str) -> dict[str, str]:
    return deployment.sqs.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]  # type: ignore[return-value]


def _letter(message: MessageTypeDef) -> DeadLetter:
    return DeadLetter(
        message_id=message["MessageId"],
        body=message["Body"],
        keys=_keys(message["Body"]),
        sent_at=int(message["Attributes"]["SentTimestamp"]) / 1000,
        receipt=message["ReceiptHandle"],
    )


def _keys(body: str) -> tuple[str, ...]:
    try:
        records = json.loads(body)["Records"]
        return tuple(unquote_plus(record["s3"]["object"]["key"]) for record in records)
    except (ValueError, KeyError, TypeError):
        return ()
