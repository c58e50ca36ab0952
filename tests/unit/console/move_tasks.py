"""SQS's own redrive as AWS documents it, which moto lacks: a task that moves messages by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from console.operations.environments.deployment import Deployment
from tests.unit.console import deployments


class MoveTasks:
    """Moves some messages each time that somebody looks; new and old ones, as SQS does.

    Attributes
    ----------
    each_time
        How many messages are moved until somebody looks again.
    fail_again
        What resize does meanwhile.
    started
        What was asked for, a task each.
    """

    def __init__(
        self, here: Deployment, each_time: int, fail_again: Callable[[], None] = lambda: None
    ) -> None:
        self.here, self.each_time, self.fail_again = here, each_time, fail_again
        self.started: list[dict[str, Any]] = []
        self.status, self.moved, self.total = "", 0, 0
        for action in ("StartMessageMoveTask", "ListMessageMoveTasks", "CancelMessageMoveTask"):
            deployments.instead_of(here.sqs, action, getattr(self, f"_{action[:4].lower()}"))

    def _star(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.started.append(asked)
        self.status, self.moved = "RUNNING", 0
        self.total = deployments.waiting(self.here, self.here.dead_letter_queue_url)
        return {"TaskHandle": f"task {len(self.started)}"}

    def _list(self, _asked: dict[str, Any]) -> dict[str, Any]:
        if self.status == "RUNNING":
            self._move()
        task = {
            "Status": self.status,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.total,
        }
        if self.status == "RUNNING":
            task["TaskHandle"] = f"task {len(self.started)}"
        return {"Results": [task] if self.status else []}

    def _canc(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.status != "RUNNING" or asked["TaskHandle"] != f"task {len(self.started)}":
            return {"Error": {"Code": "ResourceNotFoundException", "Message": "No such task."}}
        self.status = "CANCELLED"
        return {"ApproximateNumberOfMessagesMoved": self.moved}

    def _move(self) -> None:
        sqs, dead = self.here.sqs, self.here.dead_letter_queue_url
        for _ in range(self.each_time):
            found = sqs.receive_message(QueueUrl=dead).get("Messages", [])
            if not found:
                self.status = "COMPLETED"
                break
            sqs.send_message(QueueUrl=self.here.queue_url, MessageBody=found[0]["Body"])
            sqs.delete_message(QueueUrl=dead, ReceiptHandle=found[0]["ReceiptHandle"])
            self.moved += 1
        self.fail_again()
