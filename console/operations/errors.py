"""The one error that operations raise for anything an operator can do something about."""

from __future__ import annotations


class OperationError(Exception):
    """Something an operator must know: what went wrong, and what to do about it.

    Parameters
    ----------
    message
        What was wrong, as one sentence without a traceback or a secret.
    remedy
        What to do next, as one sentence.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


class StaleChangeError(OperationError):
    """What was shown is no longer what would happen; nothing was changed."""
