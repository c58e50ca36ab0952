"""Announce that an avatar has left pictures behind that are no longer shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


class Leftovers:
    """The queue of `cleanup`, which delays each message.

    Parameters
    ----------
    client
        Makes the SQS client when it is needed: most avatars replace none.
    """

    def __init__(self, client: Callable[[], Any], queue_url: str) -> None:
        self._make = client
        self._client: Any = None
        self._queue_url = queue_url

    def announce(self, name: str) -> None:
        """Have what `name` does not show deleted, once the queue's delay is over."""
        self._client = self._client or self._make()
        self._client.send_message(QueueUrl=self._queue_url, MessageBody=json.dumps({"name": name}))
