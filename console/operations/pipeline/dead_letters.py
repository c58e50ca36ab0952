"""Messages of the dead-letter queue: why they failed, sent to the queue again, or discarded."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote_plus

from console.operations import progress
from console.operations.environments import logs
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

SHOWN = 10
_LINES = 20
_HOLD_SECONDS = 60
_LOOK_SECONDS = 10
_LOG_ANSWERS = 10
_FRUITLESS_ANSWERS = 10


@dataclass(frozen=True)
class DeadLetter:
    """A message that was received too often without success.

    Attributes
    ----------
    keys
        The uploads it announces; empty if it is not an S3 event.
    sent_at
        Seconds since 1970, by SQS's clock.
    receipt
        What SQS wants for deleting it, valid while it is held.
    """

    message_id: str
    body: str
    keys: tuple[str, ...]
    sent_at: float
    receipt: str

    def __str__(self) -> str:
        return ", ".join(self.keys) or "not an S3 event"


@dataclass(frozen=True)
class Sample:
    """Some of the dead-letter messages, oldest first.

    Attributes
    ----------
    total
        About how many there are.
    at
        When they were counted, in seconds since 1970 by SQS's clock.
    """

    messages: tuple[DeadLetter, ...]
    total: int
    at: float


@dataclass(frozen=True)
class Cause:
    """Why a message failed the last time, as the resize function's log says it."""

    error: str
    sentence: str
    stack: str
    at: float


def counts(deployment: Deployment) -> dict[str, int]:
    """Return how many messages wait, are being processed, and are in the dead-letter queue."""
    with aws_errors("look at the queues"):
        queue, _ = _attributes(deployment, deployment.queue_url)
    return {
        "waiting": int(queue["ApproximateNumberOfMessages"]),
        "in_flight": int(queue["ApproximateNumberOfMessagesNotVisible"]),
        "dead": _count(deployment)[0],
    }


def sample(deployment: Deployment, limit: int | None = SHOWN) -> Sample:
    """Return some of the messages, or all, letting others see them again at once."""
    total, at = _count(deployment)
    most = None if limit is None else min(limit, total)
    found: list[DeadLetter] = []
    try:
        if total:
            hold = _HOLD_SECONDS if most is None else _LOOK_SECONDS
            for message in receive(deployment, most, hold):
                found.append(message)  # noqa: PERF402 - what came before a failure is released
    finally:
        release(deployment, found)
    return Sample(tuple(sorted(found, key=lambda message: message.sent_at)), total, at)


def causes(deployment: Deployment, messages: Collection[DeadLetter]) -> dict[str, Cause]:
    """Return the last failure of each message by its id, as far as the log tells."""
    if not messages:
        return {}
    since = min(message.sent_at for message in messages)
    lines = logs.read(deployment, ["resize"], since, "message failed", _LOG_ANSWERS)
    return {
        line.fields["message_id"]: Cause(
            error=str(line.fields.get("error", "unknown")),
            sentence=_last_line(str(line.fields.get("stack", ""))),
            stack=str(line.fields.get("stack", "")),
            at=line.time,
        )
        for line in lines
        if "message_id" in line.fields
    }


def drop(deployment: Deployment, url: str, name: str) -> int:
    """Delete what the messages of a queue say of a name as a whole word; return how many did.

    A message that is of others too, as an S3 event may be, is put back without that name.
    """
    naming = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    others: list[DeadLetter] = []
    count = 0
    try:
        for message in receive(deployment, url=url):
            if not naming.search(unquote_plus(message.body)):
                others.append(message)
                continue
            count += 1
            with aws_errors("delete a dead-letter message"):
                if rest := _without(naming, message.body):
                    deployment.sqs.send_message(QueueUrl=url, MessageBody=rest)
                deployment.sqs.delete_message(QueueUrl=url, ReceiptHandle=message.receipt)
    finally:
        release(deployment, others, url)
    return count


def _without(naming: re.Pattern[str], body: str) -> str:
    """Return the event without the records of a name; empty if none is left."""
    try:
        event = json.loads(body)
        rest = [
            record
            for record in event["Records"]
            if not naming.search(unquote_plus(json.dumps(record)))
        ]
    except (ValueError, KeyError, TypeError):
        return ""
    return json.dumps(event | {"Records": rest}) if rest else ""


def receive(
    deployment: Deployment,
    limit: int | None = None,
    hold_seconds: int = _HOLD_SECONDS,
    url: str = "",
) -> Iterator[DeadLetter]:
    """Yield messages, each once, and held back from other readers for a while.

    Parameters
    ----------
    limit
        Yield at most so many; None for all.
    url
        Another queue than that of uploads.
    """
    seen: set[str] = set()
    while limit is None or len(seen) < limit:
        with aws_errors("read the dead-letter queue"):
            answer = deployment.sqs.receive_message(
                QueueUrl=url or deployment.dead_letter_queue_url,
                MaxNumberOfMessages=10 if limit is None else min(10, limit - len(seen)),
                VisibilityTimeout=hold_seconds,
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
        found = [_message(item) for item in answer.get("Messages", [])]
        fresh = [message for message in found if message.message_id not in seen]
        if not fresh:
            return
        for position, message in enumerate(fresh):
            seen.add(message.message_id)
            try:
                yield message
            except GeneratorExit:
                release(deployment, fresh[position + 1 :], url)
                raise


def release(deployment: Deployment, messages: Sequence[DeadLetter], url: str = "") -> None:
    """Let others see messages again at once."""
    with aws_errors("release the dead-letter messages"):
        for start in range(0, len(messages), 10):
            deployment.sqs.change_message_visibility_batch(
                QueueUrl=url or deployment.dead_letter_queue_url,
                Entries=[
                    {
                        "Id": str(index),
                        "ReceiptHandle": message.receipt,
                        "VisibilityTimeout": 0,
                    }
                    for index, message in enumerate(messages[start : start + 10])
                ],
            )


@dataclass(frozen=True)
class _Selected:
    """A change of some messages: of these, or of all that were there at a time.

    Attributes
    ----------
    messages
        Those that were shown.
    everything
        Also those that were not shown but are as old. What fails again, or is new, is none of
        them: each message is tried once, and the run ends.
    """

    target: Target
    deployment: Deployment
    sample: Sample
    everything: bool = False

    action: ClassVar[str]
    _verb: ClassVar[str]

    @property
    def subject(self) -> str:
        """What the audit calls it."""
        if self.everything:
            return f"all {self.sample.total} dead-letter messages"
        names = [str(message) for message in self.sample.messages]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        return ", ".join(names[:5]) + more

    def lines(self) -> Iterable[str]:
        """Yield how many messages it touches, and the first of them."""
        messages = self.sample.messages
        total = self.sample.total if self.everything else len(messages)
        yield f"{_counted(total)} of {self.deployment.dead_letter_queue_url}"
        for message in messages[:_LINES]:
            yield f"{message.message_id}  {message}"
        if total > min(len(messages), _LINES):
            yield f"and {total - min(len(messages), _LINES)} more"

    def check(self) -> None:
        """Pass: no message is touched that was not there when this was shown."""

    def execute(self, report: progress.Report) -> str:
        """Handle each selected message once."""
        total = self.sample.total if self.everything else len(self.sample.messages)
        done = 0
        for message in self._received():
            with aws_errors(f"{self.action} message {message.message_id}"):
                self._handle(message)
            done += 1
            report(
                progress.Event(
                    self.action.capitalize(), "advanced", str(message), done=done, total=total
                )
            )
        missing = 0 if self.everything else total - done
        rest = f", {missing} no longer there" if missing else ""
        return f"{_counted(done)} {self._verb}{rest}."

    def _received(self) -> Iterator[DeadLetter]:
        """Yield the selected messages; the others are seen by everyone again at the end."""
        wanted = {message.message_id for message in self.sample.messages}
        others: list[DeadLetter] = []
        fruitless = 0
        try:
            for message in receive(self.deployment):
                if self.everything:
                    chosen = message.sent_at <= self.sample.at
                else:
                    chosen = message.message_id in wanted
                if chosen:
                    fruitless = 0
                    wanted.discard(message.message_id)
                    yield message
                else:
                    fruitless += 1
                    others.append(message)
                if not self.everything and not wanted:
                    break
                if self.everything and fruitless >= 10 * _FRUITLESS_ANSWERS:
                    break  # only what is newer comes
        finally:
            release(self.deployment, others)

    def _handle(self, message: DeadLetter) -> None:
        raise NotImplementedError

    def _delete(self, message: DeadLetter) -> None:
        self.deployment.sqs.delete_message(
            QueueUrl=self.deployment.dead_letter_queue_url, ReceiptHandle=message.receipt
        )


@dataclass(frozen=True)
class Redrive(_Selected):
    """Send messages to the queue again: sent first, deleted then, so that none can be lost."""

    action = "redrive"
    destructive: ClassVar[bool] = False
    _verb = "put back on the queue"

    def _handle(self, message: DeadLetter) -> None:
        self.deployment.sqs.send_message(
            QueueUrl=self.deployment.queue_url, MessageBody=message.body
        )
        self._delete(message)


@dataclass(frozen=True)
class Discard(_Selected):
    """Delete messages; their originals stay in the uploads bucket."""

    action = "discard"
    destructive: ClassVar[bool] = True
    _verb = "discarded"

    def _handle(self, message: DeadLetter) -> None:
        self._delete(message)


def _count(deployment: Deployment) -> tuple[int, float]:
    """Return how many messages there are, and when that was, by SQS's clock."""
    with aws_errors("look at the queues"):
        found, at = _attributes(deployment, deployment.dead_letter_queue_url)
    return int(found["ApproximateNumberOfMessages"]) + int(
        found["ApproximateNumberOfMessagesNotVisible"]
    ), at


def _attributes(deployment: Deployment, url: str) -> tuple[dict[str, str], float]:
    answer = deployment.sqs.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
    # it is cut to the second, and a message of this very second may be in the count
    at = parsedate_to_datetime(date).timestamp() + 1
    return answer["Attributes"], at  # type: ignore[return-value]


def _message(message: MessageTypeDef) -> DeadLetter:
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


def _last_line(stack: str) -> str:
    lines = stack.strip().splitlines()
    return lines[-1].strip() if lines else "the log says no more"


def _counted(number: int) -> str:
    return f"{number} message{'' if number == 1 else 's'}"
