"""The queue and its dead-letter queue at the API's edge: moto takes minutes for 20,000 messages."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from console.operations.environments.deployment import Deployment
from tests.unit.console import deployments


class QueuesInMemory:
    """What SQS does with messages, without redrives of its own.

    Attributes
    ----------
    tried
        How often a body was received from the queue by `fail_again`.
    """

    def __init__(self, here: Deployment) -> None:
        self.tried: Counter[str] = Counter()
        self._dead_url = here.dead_letter_queue_url
        self._lock = threading.Lock()
        self._visible: dict[str, dict[str, tuple[str, float]]] = {}
        self._held: dict[str, dict[str, tuple[str, float]]] = {}
        for url in (here.queue_url, here.dead_letter_queue_url):
            self._visible[url], self._held[url] = {}, {}
        for action, answer in (
            ("GetQueueAttributes", self._attributes),
            ("ReceiveMessage", self._receive),
            ("SendMessageBatch", self._send),
            ("DeleteMessageBatch", self._delete),
            ("ChangeMessageVisibilityBatch", self._release),
        ):
            deployments.instead_of(here.sqs, action, self._locked(answer))
        self._url = here.queue_url

    def bury(self, number: int) -> None:
        """Put messages on the dead-letter queue."""
        self._add(self._dead_url, map(str, range(number)))

    def fail_again(self) -> None:
        """Do what the queue does with messages that still fail: they are dead, under new ids."""
        with self._lock:
            bodies = [body for body, _ in self._visible[self._url].values()]
            self._visible[self._url].clear()
            self.tried.update(bodies)
            self._add(self._dead_url, bodies)

    def counted(self) -> tuple[int, int]:
        """Return how many messages everybody sees, in the queue and in the dead-letter queue."""
        return len(self._visible[self._url]), len(self._visible[self._dead_url])

    def _locked(
        self, answer: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def locked(asked: dict[str, Any]) -> dict[str, Any]:
            with self._lock:
                return answer(asked)

        return locked

    def _add(self, url: str, bodies: Any) -> None:
        self._visible[url].update((str(uuid.uuid4()), (body, time.time())) for body in bodies)

    def _attributes(self, asked: dict[str, Any]) -> dict[str, Any]:
        url = asked["QueueUrl"]
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(len(self._visible[url])),
                "ApproximateNumberOfMessagesNotVisible": str(len(self._held[url])),
                "VisibilityTimeout": "180",
                "RedrivePolicy": '{"maxReceiveCount": 3}',
                "QueueArn": f"arn:aws:sqs:eu-central-1:123456789012:{url.rpartition('/')[2]}",
            },
            "ResponseMetadata": {"HTTPHeaders": {"date": formatdate(usegmt=True)}},
        }

    def _receive(self, asked: dict[str, Any]) -> dict[str, Any]:
        url = asked["QueueUrl"]
        ids = list(self._visible[url])[: asked["MaxNumberOfMessages"]]
        found = []
        for message_id in ids:
            body, at = self._held[url][message_id] = self._visible[url].pop(message_id)
            sent = {"SentTimestamp": str(round(at * 1000))}
            found.append(
                {
                    "MessageId": message_id,
                    "ReceiptHandle": message_id,
                    "Body": body,
                    "Attributes": sent,
                }
            )
        return {"Messages": found} if found else {}

    def _send(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._add(asked["QueueUrl"], [entry["MessageBody"] for entry in asked["Entries"]])
        return {"Successful": [], "Failed": []}

    def _delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        for entry in asked["Entries"]:
            del self._held[asked["QueueUrl"]][entry["ReceiptHandle"]]
        return {"Successful": [], "Failed": []}

    def _release(self, asked: dict[str, Any]) -> dict[str, Any]:
        url = asked["QueueUrl"]
        for entry in asked["Entries"]:
            receipt = entry["ReceiptHandle"]
            self._visible[url][receipt] = self._held[url].pop(receipt)
        return {"Successful": [], "Failed": []}
