"""Work through a batch of SQS messages, and say which of them are to come again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from json_log import LambdaContext


class OutOfTimeError(Exception):
    """A message was not begun: with a slow service, it might not have ended before the timeout."""


class BatchFailedError(Exception):
    """Every message of a batch failed: the call counts among the function's errors."""


def work_through(
    records: list[dict[str, Any]],
    process: Callable[[str, dict[str, Any]], None],
    slowest_seconds: float,
    context: LambdaContext,
    log: logging.Logger,
) -> dict[str, Any]:
    """Process each message's body, whatever becomes of the others.

    Parameters
    ----------
    process
        Takes a body, and what it adds to: facts for the log, should it fail.
    slowest_seconds
        How long a message may take. With less of the function's time left none is begun but the
        first, or nothing ever were.

    Returns
    -------
    dict
        The messages to deliver again; the others are done.

    Raises
    ------
    BatchFailedError
        If every message failed. All come again then, as if each had been named.
    """
    failed: dict[str, str] = {}
    for number, record in enumerate(records):
        facts: dict[str, Any] = {
            "message_id": record["messageId"],
            "receives": record["attributes"].get("ApproximateReceiveCount"),
        }
        try:
            if number and context.get_remaining_time_in_millis() < slowest_seconds * 1000:
                raise OutOfTimeError("not begun: too little of the function's time is left")
            process(record["body"], facts)
        except Exception as error:
            failed[record["messageId"]] = str(error)
            log.exception("message failed", extra={"fields": facts | {"reason": str(error)}})
    if failed and len(failed) == len(records):
        raise BatchFailedError(f"all {len(failed)} messages failed: {next(iter(failed.values()))}")
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
