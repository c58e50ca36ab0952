"""What the API's caller may be told."""

from __future__ import annotations


class ApiError(Exception):
    """An answer other than 200.

    Attributes
    ----------
    status
        HTTP status.
    code, message
        As in ``{"error": {"code", "message"}}``.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class UnavailableError(ApiError):
    """The database can't be asked just now; nothing of the cause is told."""

    def __init__(self) -> None:
        super().__init__(503, "unavailable", "This is not available just now; try again soon.")
