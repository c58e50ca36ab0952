"""Messages of the dead-letter queue: why they failed, sent to the queue again, or discarded.

SQS can neither be searched nor listed: a queue is read by receiving, which holds each message back
from other readers for a while. So what is asked of all messages (how many, of which cause) comes
from the queue's counters and from the log (`causes`); what is done to all of them is done by SQS
itself where it can; and what is done to a part receives each message once, and holds those of no
concern until it ends.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from console.operations import progress
from console.operations.changes import Operation
from console.operations.environments.aws_errors import aws_errors, suppressed
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError, StaleChangeError
from console.operations.pipeline import causes
from console.operations.pipeline.causes import Selection
from console.operations.pipeline.pace import Pace
from console.operations.progress import StoppedError

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

SHOWN = 10
RATE = 50
"""Messages a second unless told otherwise: what `resize` does beside a day's uploads."""
_LINES = 20
_WORKERS = 8
_HOLD_SECONDS = 60
_LOOK_SECONDS = 10
_LONGEST_HOLD = 12 * 3600
_BATCH_BYTES = 200_000
_TASK_SECONDS = 2.0
_MARGIN_SECONDS = 60
_NO_SUCH_ACTION = "InvalidAction"
_ENDED = frozenset({"ResourceNotFoundException", "ResourceNotFound"})


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
    receives
        After how many tries a message is dead; 0 if the queue doesn't say.
    cycle_seconds
        How long a message takes at least from the queue until it is dead.
    """

    messages: tuple[DeadLetter, ...]
    total: int
    at: float
    receives: int = 0
    cycle_seconds: float = 0


@dataclass(frozen=True)
class MoveTask:
    """A redrive that SQS carries out by itself.

    Attributes
    ----------
    handle
        What cancels it; empty once it has ended.
    status
        RUNNING, COMPLETED, CANCELLING, CANCELLED or FAILED.
    """

    handle: str
    status: str
    moved: int
    total: int
    reason: str = ""


def counts(deployment: Deployment) -> dict[str, int]:
    """Return how many messages wait, are being processed, and are in the dead-letter queue."""
    with aws_errors("look at the queues"):
        queue, _ = _attributes(deployment, deployment.queue_url)
        dead, _ = _attributes(deployment, deployment.dead_letter_queue_url)
    return {
        "waiting": int(queue["ApproximateNumberOfMessages"]),
        "in_flight": int(queue["ApproximateNumberOfMessagesNotVisible"]),
        "dead": _count(dead),
    }


def sample(deployment: Deployment, limit: int = SHOWN) -> Sample:
    """Return some of the messages, letting others see them again at once."""
    with aws_errors("look at the queues"):
        queue, _ = _attributes(deployment, deployment.queue_url)
        dead, at = _attributes(deployment, deployment.dead_letter_queue_url)
    total = _count(dead)
    receives = int(json.loads(queue.get("RedrivePolicy", "{}")).get("maxReceiveCount", 0))
    found: list[DeadLetter] = []
    try:
        if total and limit:
            for message in receive(deployment, min(limit, total), _LOOK_SECONDS):
                found.append(message)  # noqa: PERF402 - what came before a failure is released
    finally:
        release(deployment, found)
    return Sample(
        tuple(sorted(found, key=lambda message: message.sent_at)),
        total,
        at,
        receives,
        receives * float(queue["VisibilityTimeout"]),
    )


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
    most = 10 if limit is None else min(10, limit)
    seen: set[str] = set()
    for answer in _answers(deployment, hold_seconds, workers=1, most=most, url=url):
        fresh = [message for message in answer if message.message_id not in seen]
        if not fresh:
            return
        for position, message in enumerate(fresh):
            if len(seen) == limit:
                release(deployment, fresh[position:], url)
                return
            seen.add(message.message_id)
            try:
                yield message
            except GeneratorExit:
                release(deployment, fresh[position + 1 :], url)
                raise
        if len(seen) == limit:
            return


def release(deployment: Deployment, messages: Sequence[DeadLetter], url: str = "") -> None:
    """Let others see messages again at once."""
    _release(deployment, [message.receipt for message in messages], url)


def _release(deployment: Deployment, receipts: Sequence[str], url: str = "") -> None:
    batches = [receipts[start : start + 10] for start in range(0, len(receipts), 10)]

    def one(batch: Sequence[str]) -> None:
        deployment.sqs.change_message_visibility_batch(
            QueueUrl=url or deployment.dead_letter_queue_url,
            Entries=[
                {"Id": str(index), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                for index, receipt in enumerate(batch)
            ],
        )

    with aws_errors("release the dead-letter messages"), ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(one, batches))


def move_task(deployment: Deployment) -> MoveTask | None:
    """Return the newest redrive that SQS carries out by itself; None if there is none, or none can.

    It goes on without the console, and another console or AWS's own may have started it.
    """
    with aws_errors("look for a redrive of SQS's own"):
        try:
            found = deployment.sqs.list_message_move_tasks(
                SourceArn=_arn(deployment, deployment.dead_letter_queue_url), MaxResults=1
            ).get("Results", [])
        except ClientError as error:
            if _is_missing(error):
                return None
            raise
    return next((_move_task(task) for task in found), None)


def stop_move_task(target: Target, deployment: Deployment, task: MoveTask) -> Operation:
    """Return the change that ends a redrive of SQS's own; what is moved stays moved."""

    def cancel(_report: progress.Report) -> str:
        moved = _cancel(deployment, task.handle)
        return f"Stopped: {_counted(moved)} of about {task.total:,} put back on the queue."

    return Operation(
        target,
        "stop redrive",
        "the redrive of all dead-letter messages",
        (f"~ about {task.total - task.moved:,} messages stay in the dead-letter queue",),
        cancel,
    )


@dataclass(frozen=True)
class _Selected:
    """A change of some messages: of these, of a selection, or of all.

    Attributes
    ----------
    sample
        What was shown.
    selection
        Which messages, of those that were there then; None for those of the sample alone. What
        fails again, or is new, is none of them: each message is handled once, and the run ends.
    number
        About how many the selection has, by the log.
    rate
        At most so many messages a second.
    """

    target: Target
    deployment: Deployment
    sample: Sample
    selection: Selection | None = None
    number: int = 0
    rate: int = RATE

    action: ClassVar[str]
    _verb: ClassVar[str]

    @property
    def everything(self) -> bool:
        """Whether all messages are meant."""
        return self.selection is not None and self.selection.everything

    @property
    def subject(self) -> str:
        """What the audit calls it."""
        if self.everything:
            return f"all {self.sample.total:,} dead-letter messages"
        if self.selection:
            return f"dead-letter messages: {self.selection}"
        names = [str(message) for message in self.sample.messages]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        return ", ".join(names[:5]) + more

    def lines(self) -> Iterable[str]:
        """Yield how many messages it touches, and the first of them."""
        url, total = self.deployment.dead_letter_queue_url, self._expected()
        if self.selection and not self.everything:
            since = time.strftime("%d %b %Y %H:%M", time.localtime(self.selection.since))
            yield f"{self.selection}: {_counted(total)} by the log since {since}"
            yield f"of about {self.sample.total:,} in {url}, each of which is received once"
            yield f"at most {self.rate} a second, each once"
            return
        yield f"{_counted(total)} of {url}"
        if self.everything:
            yield self._means()
        for message in self.sample.messages[:_LINES]:
            yield f"{message.message_id}  {message}"
        if total > (named := min(len(self.sample.messages), _LINES)):
            yield f"and {total - named:,} more"

    def _means(self) -> str:
        return f"at most {self.rate} a second, each once"

    def check(self) -> None:
        """Raise OperationError if messages would have to be held longer than SQS can.

        No message is touched that was not there when this was shown.
        """
        Pace(self.rate)
        if self._hold() > _LONGEST_HOLD:
            raise OperationError(
                f"{_counted(self._expected())} at {self.rate} a second take longer than the 12 "
                "hours for which SQS can hold messages back.",
                "Choose a higher pace, or a smaller part of them.",
            )

    def execute(self, report: progress.Report) -> str:
        """Handle each selected message once."""
        return self._one_by_one(report)

    def _one_by_one(self, report: progress.Report, done: int = 0) -> str:
        pace, total, looked = Pace(self.rate), self._expected(), done
        handled: set[str] = set()
        held: dict[str, str] = {}  # receipts
        stopped, all_looked = "", False

        def tell(detail: str) -> None:
            report(
                progress.Event(
                    self.action.capitalize(),
                    "advanced",
                    detail,
                    done=done,
                    total=total,
                    may_stop=True,
                )
            )

        self._begin_after_the_count()
        try:
            wanted = self._wanted_ids(report)
            tell("")
            for answer in _answers(self.deployment, self._hold()):
                looked += len(answer)
                chosen = [
                    message
                    for message in answer
                    if message.message_id not in handled and self._is_wanted(message, wanted)
                ]
                held.update((message.message_id, message.receipt) for message in answer)
                for batch in _batches(chosen):
                    pace.wait(len(batch))
                    with aws_errors(f"{self.action} the messages"):
                        self._handle(batch)
                    done += len(batch)
                    for message in batch:
                        handled.add(message.message_id)
                        wanted.discard(message.message_id)
                        held.pop(message.message_id, None)
                tell(str(chosen[0]) if chosen else f"{looked:,} messages looked at")
                if self._is_by_id and not wanted:
                    all_looked = True
                    break
        except StoppedError as error:
            stopped = f"Stopped by {error.by}: "
        finally:
            _release(self.deployment, list(held.values()))
        said = f"{stopped}{_counted(done)} {self._verb}"
        if not self.selection:
            return said + (f", {total - done} no longer there." if done < total else ".")
        unseen = 0 if all_looked else self.sample.total - (done if self.everything else looked)
        return said + (f"; about {unseen:,} not looked at." if unseen > 0 else ".")

    @property
    def _is_by_id(self) -> bool:
        """Whether all messages that are meant are known by their ids."""
        return self.selection is None or bool(self.selection.cause)

    def _expected(self) -> int:
        if self.everything:
            return self.sample.total
        return self.number if self.selection else len(self.sample.messages)

    def _hold(self) -> int:
        """Return for how many seconds a message is held: most likely until the run has ended.

        Also those of no concern, so that none comes twice. Where a run is killed, they are seen
        again after that.
        """
        walked = self.sample.total / 100
        return int(_HOLD_SECONDS + 2 * (self._expected() / self.rate + walked))

    def _begin_after_the_count(self) -> None:
        """Wait for SQS's next second: later messages are told from earlier ones by it."""
        with aws_errors("look at the queues"):
            _, now = _attributes(self.deployment, self.deployment.dead_letter_queue_url)
        if self.selection and now <= self.sample.at:
            time.sleep(1)

    def _wanted_ids(self, report: progress.Report) -> set[str]:
        if not self.selection:
            return {message.message_id for message in self.sample.messages}
        if self.everything:
            return set()
        found: set[str] = set()
        for failure in causes.failures(self.deployment, self.selection, self.sample.receives):
            found.add(failure.message_id)
            if len(found) % 1000 == 0:
                report(
                    progress.Event(
                        "Read the log",
                        "advanced",
                        done=len(found),
                        total=self.number,
                        may_stop=True,
                    )
                )
        report(progress.Event("Read the log", "done", done=len(found), total=len(found)))
        return found

    def _is_wanted(self, message: DeadLetter, ids: set[str]) -> bool:
        if not self.selection:
            return message.message_id in ids
        if message.sent_at > self.sample.at:
            return False
        if self.everything or message.message_id in ids:
            return True
        # the log may have no line of it
        text = self.selection.text.lower()
        return bool(
            not self.selection.cause
            and message.sent_at >= self.selection.since
            and any(text in key.lower() for key in message.keys)
        )

    def _handle(self, messages: Sequence[DeadLetter]) -> None:
        raise NotImplementedError

    def _delete(self, messages: Sequence[DeadLetter]) -> None:
        answer = self.deployment.sqs.delete_message_batch(
            QueueUrl=self.deployment.dead_letter_queue_url,
            Entries=[
                {"Id": str(index), "ReceiptHandle": message.receipt}
                for index, message in enumerate(messages)
            ],
        )
        _refuse_failures(answer, "SQS did not delete", "They are in the list again soon.")


@dataclass(frozen=True)
class Redrive(_Selected):
    """Send messages to the queue again: sent first, deleted then, so that none can be lost.

    All of them are moved by SQS itself, where it can, for as long as none of them can be dead
    again: its task does not tell old messages from new ones. What is left then is received.
    """

    action = "redrive"
    destructive: ClassVar[bool] = False
    _verb = "put back on the queue"

    def execute(self, report: progress.Report) -> str:
        """Put each selected message back once."""
        moved = 0
        if self.everything and (handle := self._start_task()):
            moved, end = self._follow_task(handle, report)
            if end:
                return end
        return self._one_by_one(report, moved)

    def _means(self) -> str:
        return f"at most {self.rate} a second, each once; by SQS itself where it can"

    def _start_task(self) -> str | None:
        """Return the task's handle; None where SQS has no such tasks."""
        with aws_errors("start the redrive"):
            try:
                return self.deployment.sqs.start_message_move_task(
                    SourceArn=_arn(self.deployment, self.deployment.dead_letter_queue_url),
                    DestinationArn=_arn(self.deployment, self.deployment.queue_url),
                    MaxNumberOfMessagesPerSecond=self.rate,
                )["TaskHandle"]
            except ClientError as error:
                if _is_missing(error):
                    return None
                raise

    def _follow_task(self, handle: str, report: progress.Report) -> tuple[int, str]:
        """Follow the task, and cancel it before a message can be dead again.

        Returns
        -------
        tuple
            How many messages were moved, and the outcome; an empty one if some may be left.
        """
        deadline = time.monotonic() + self.sample.cycle_seconds - _MARGIN_SECONDS
        try:
            while (task := move_task(self.deployment)) and task.status == "RUNNING":
                if time.monotonic() > deadline:
                    return _cancel(self.deployment, handle), ""
                report(
                    progress.Event(
                        "Redrive",
                        "advanced",
                        "by SQS itself",
                        done=task.moved,
                        total=self.sample.total,
                        may_stop=True,
                    )
                )
                time.sleep(_TASK_SECONDS)
        except StoppedError as error:
            moved = _cancel(self.deployment, handle)
            return moved, f"Stopped by {error.by}: {_counted(moved)} {self._verb}."
        except BaseException:
            _cancel(self.deployment, handle)
            raise
        moved = task.moved if task else 0
        if task and task.status == "FAILED":
            raise OperationError(
                f"SQS ended the redrive after {_counted(moved)}: {task.reason}.",
                "Look at the dead-letter queue, then redrive the rest.",
            )
        stopped = "Stopped elsewhere: " if task and task.status != "COMPLETED" else ""
        return moved, f"{stopped}{_counted(moved)} {self._verb}."

    def _handle(self, messages: Sequence[DeadLetter]) -> None:
        answer = self.deployment.sqs.send_message_batch(
            QueueUrl=self.deployment.queue_url,
            Entries=[
                {"Id": str(index), "MessageBody": message.body}
                for index, message in enumerate(messages)
            ],
        )
        refused = {int(entry["Id"]) for entry in answer.get("Failed", [])}
        sent = [message for index, message in enumerate(messages) if index not in refused]
        if sent:
            self._delete(sent)
        _refuse_failures(answer, "The queue refused", "They stay in the dead-letter queue.")


@dataclass(frozen=True)
class Discard(_Selected):
    """Delete messages; their originals stay in the uploads bucket."""

    action = "discard"
    destructive: ClassVar[bool] = True
    _verb = "discarded"

    def execute(self, report: progress.Report) -> str:
        """Delete each selected message, or all at once."""
        if not self.everything:
            return super().execute(report)
        with aws_errors("empty the dead-letter queue"):
            self.deployment.sqs.purge_queue(QueueUrl=self.deployment.dead_letter_queue_url)
        return f"All messages discarded, about {self.sample.total:,}."

    def check(self) -> None:
        """Raise StaleChangeError if all would be more than were shown."""
        if not self.everything:
            return super().check()
        with aws_errors("look at the queues"):
            dead, _ = _attributes(self.deployment, self.deployment.dead_letter_queue_url)
        if _count(dead) > self.sample.total:
            raise StaleChangeError(
                f"There are {_counted(_count(dead))} now, more than were shown.",
                "Look at them, then discard all, or those of one cause.",
            )
        return None

    def _means(self) -> str:
        return "at once, and whatever comes within the next minute"

    def _handle(self, messages: Sequence[DeadLetter]) -> None:
        self._delete(messages)


def _answers(
    deployment: Deployment,
    hold_seconds: int,
    workers: int = _WORKERS,
    most: int = 10,
    url: str = "",
) -> Iterator[list[DeadLetter]]:
    """Yield what SQS answers, until it has no more for anybody; what nobody took is released.

    SQS answers with nothing too when 120,000 messages are held.
    """

    def ask() -> list[DeadLetter]:
        with aws_errors("read the dead-letter queue"):
            answer = deployment.sqs.receive_message(
                QueueUrl=url or deployment.dead_letter_queue_url,
                MaxNumberOfMessages=most,
                VisibilityTimeout=hold_seconds,
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
        return [_message(item) for item in answer.get("Messages", [])]

    with ThreadPoolExecutor(workers) as pool:
        asked = deque(pool.submit(ask) for _ in range(workers))
        try:
            while asked:
                if found := asked.popleft().result():
                    asked.append(pool.submit(ask))
                    yield found
        finally:
            left = [call.result() for call in asked if not call.cancel() and not call.exception()]
            release(deployment, [message for answer in left for message in answer], url)


def _batches(messages: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Yield them as SQS takes them: at most ten, and not too long together."""
    batch: list[DeadLetter] = []
    size = 0
    for message in messages:
        length = len(message.body.encode())
        if batch and (len(batch) == 10 or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch


def _refuse_failures(answer: Any, what: str, remedy: str) -> None:
    if failed := answer.get("Failed"):
        raise OperationError(
            f"{what} {_counted(len(failed))}: {failed[0].get('Message') or failed[0]['Code']}.",
            remedy,
        )


def _cancel(deployment: Deployment, handle: str) -> int:
    """End a redrive of SQS's own, unless it has ended; return how many messages it moved."""
    with aws_errors("stop the redrive"), suppressed(_ENDED):
        answer = deployment.sqs.cancel_message_move_task(TaskHandle=handle)
        return answer["ApproximateNumberOfMessagesMoved"]
    task = move_task(deployment)
    return task.moved if task else 0


def _move_task(task: Any) -> MoveTask:
    return MoveTask(
        task.get("TaskHandle", ""),
        task["Status"],
        task.get("ApproximateNumberOfMessagesMoved", 0),
        task.get("ApproximateNumberOfMessagesToMove", 0),
        task.get("FailureReason", "it gives no reason"),
    )


def _is_missing(error: ClientError) -> bool:
    """Say whether this SQS has no move tasks: the embedded AWS has none."""
    return error.response["Error"].get("Code") == _NO_SUCH_ACTION


def _arn(deployment: Deployment, url: str) -> str:
    return deployment.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]


def _count(queue: dict[str, str]) -> int:
    return int(queue["ApproximateNumberOfMessages"]) + int(
        queue["ApproximateNumberOfMessagesNotVisible"]
    )


def _attributes(deployment: Deployment, url: str) -> tuple[dict[str, str], float]:
    """Return what a queue says of itself, and when that was, by SQS's clock."""
    answer = deployment.sqs.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "RedrivePolicy",
            "VisibilityTimeout",
        ],
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


def _counted(number: int) -> str:
    return f"{number:,} message{'' if number == 1 else 's'}"
