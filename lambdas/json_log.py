"""One JSON object per log line, carrying the id of the request being served.

The embedded AWS ignores Lambda's own ``LogFormat``, so the functions format their lines
themselves and look the same in both places.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Protocol

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


NAMESPACE = "AvatarOps"
"""Of the metrics that CloudWatch derives from lines."""


class LambdaContext(Protocol):
    """The part of AWS's context object that the functions read."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function is stopped."""
        ...


Handler = Callable[[Any, LambdaContext], Any]


class JsonFormatter(logging.Formatter):
    """Format a record, and the dict given as ``extra={"fields": {...}}``, as one JSON line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            "function": os.environ.get("AWS_LAMBDA_FUNCTION_NAME"),
            "request_id": _request_id.get(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            line["stack"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def logger(name: str) -> logging.Logger:
    """Return the function's logger; the level comes from ``LOG_LEVEL`` (``INFO`` by default)."""
    log = logging.getLogger(name)
    if not any(isinstance(handler.formatter, JsonFormatter) for handler in log.handlers):
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonFormatter())
        log.addHandler(handler)
        log.setLevel(os.environ.get("LOG_LEVEL", "INFO"))
        log.propagate = False  # Lambda's root handler would print each line again
    return log


def metrics(*derived: tuple[Sequence[str], Sequence[str]]) -> dict[str, Any]:
    """Return a field from which CloudWatch derives metrics: the Embedded Metric Format.

    Parameters
    ----------
    derived
        Fields that are durations in milliseconds, and by the values of which other fields they are
        told apart.

    References
    ----------
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    directives = [
        {
            "Namespace": NAMESPACE,
            "Dimensions": [dimensions],
            "Metrics": [{"Name": name, "Unit": "Milliseconds"} for name in names],
        }
        for names, dimensions in derived
    ]
    return {"_aws": {"Timestamp": round(time.time() * 1000), "CloudWatchMetrics": directives}}


def with_request_id(handler: Handler) -> Handler:
    """Decorate a Lambda handler so that every line logged inside carries the request's id."""

    @functools.wraps(handler)
    def wrapper(event: Any, context: LambdaContext) -> Any:
        token = _request_id.set(context.aws_request_id)
        try:
            return handler(event, context)
        finally:
            _request_id.reset(token)

    return wrapper
