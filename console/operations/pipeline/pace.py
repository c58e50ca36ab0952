"""So many items a second, and no more."""

from __future__ import annotations

import time

from console.operations.errors import OperationError

FASTEST = 500
"""Items a second; as much as `StartMessageMoveTask` takes."""


class Pace:
    """Keeps work to a number of items a second, over all of it.

    Parameters
    ----------
    rate
        Items a second, from 1 to 500.

    Raises
    ------
    OperationError
        If it is not within that.
    """

    def __init__(self, rate: int) -> None:
        if not 1 <= rate <= FASTEST:
            raise OperationError(
                f"{rate} a second is no pace.", f"Use 1 to {FASTEST} a second: RATE=50."
            )
        self._rate = rate
        self._begun = time.monotonic()
        self._items = 0

    def wait(self, items: int) -> None:
        """Wait until so many more may be handled."""
        due = self._begun + self._items / self._rate
        now = time.monotonic()
        if due > now:
            time.sleep(due - now)
        else:  # what was slow is not caught up with in a burst
            self._begun += now - due
        self._items += items
