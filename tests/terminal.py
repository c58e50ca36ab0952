"""A command in a terminal of its own, as an operator runs it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
INTERRUPT = "\x03"


class Terminal:
    """A process whose standard streams are a pseudo-terminal, which it leads."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
    ) -> None:
        self._here, there = pty.openpty()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            env={**environment, "TERM": "xterm", "COLUMNS": "200"},
            cwd=folder,
            stdin=there,
            stdout=there,
            stderr=there,
        )
        os.close(there)
        self._read = ""

    @property
    def text(self) -> str:
        """All that it has shown."""
        return _ANSI.sub("", self._read)

    def expect(self, words: str, seconds: float = 90) -> str:
        """Wait until it shows these words, and return all that it has shown.

        Raises
        ------
        AssertionError
            If it ends or the time is over before.
        """
        deadline = time.monotonic() + seconds
        while words not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, f"no {words!r} within {seconds} s:\n{self.text}"
            assert self._more(left), f"ended without {words!r}:\n{self.text}"
        return self.text

    def type(self, text: str) -> None:
        """Type something, with a line's end unless it is a control character."""
        os.write(self._here, (text if text == INTERRUPT else f"{text}\n").encode())

    def end(self, seconds: float = 120) -> tuple[int, str]:
        """Wait for its end; return its exit status and all that it has shown."""
        deadline = time.monotonic() + seconds
        while self._more(deadline - time.monotonic()):
            assert time.monotonic() < deadline, f"not ended within {seconds} s:\n{self.text}"
        status = self.process.wait(max(1, deadline - time.monotonic()))
        os.close(self._here)
        return status, self.text

    def _more(self, seconds: float) -> bool:
        """Read what has come; return whether the terminal is still open."""
        if not select.select([self._here], [], [], max(0, seconds))[0]:
            return True
        try:
            read = os.read(self._here, 65536)
        except OSError:  # Linux, once nobody has the other end
            return False
        self._read += read.decode(errors="replace")
        return bool(read)
