"""The ways in which a request may fail."""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """What happens to a request."""

    NONE = "passed on"
    FORBIDDEN = "403 AccessDenied"
    INTERNAL_ERROR = "500 InternalError"
    SLOW_DOWN = "503 SlowDown"
    SLOW = "answered late"
    CUT = "cut off before S3 had it"
    ANSWER_LOST = "done, and its answer lost"
    HALF = "cut off in the middle of the answer"
