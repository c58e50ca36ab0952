"""Terraform as a process: found, started out of the terminal's reach, and let end in good order.

A terminal's Ctrl-C goes to every process in its foreground. Terraform counts interrupts: the first
one makes it end what it is doing and save its state, a second one makes it drop everything. So
it runs in a session of its own and gets exactly one.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType

from console.operations.errors import OperationError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FIRST = (
    "Interrupted: Terraform was told once. It ends what it has begun and saves its state, which "
    "can take minutes; please wait."
)
_AGAIN = (
    "Terraform is still finishing. It is not told again: a second interrupt makes it drop what it "
    "does, and then the state lacks what AWS has. To end it all the same: kill -KILL {pid}"
)


class TerraformInterruptedError(OperationError):
    """The operator interrupted Terraform, which has ended in good order."""

    def __init__(self, command: str) -> None:
        super().__init__(
            f"terraform {command} was interrupted; what it had done is in its state.",
            "Run the same command again to go on.",
        )


@dataclass(frozen=True)
class Ended:
    """How a run of Terraform ended."""

    status: int
    output: str
    errors: str


def run(
    arguments: list[str],
    environment: Mapping[str, str],
    on_line: Callable[[str], None] | None = None,
) -> Ended:
    """Run Terraform to its end, whatever signals this process gets meanwhile.

    Parameters
    ----------
    arguments
        The whole command, Terraform's path first.
    on_line
        Gets each line of standard output as it comes; without it they are kept.

    Raises
    ------
    TerraformInterruptedError
        If it failed after it was interrupted.
    OperationError
        If it was killed.
    """
    output: list[str] = []
    keep = on_line or output.append
    with (
        tempfile.TemporaryFile("w+") as errors,
        _one_interrupt() as interrupt,
        subprocess.Popen(
            arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        interrupt.send_to(process)
        assert process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        for line in process.stdout:
            # A terminal that was closed must not keep Terraform from being read to its end
            with contextlib.suppress(OSError):
                keep(line)
        status = process.wait()
        errors.seek(0)
        ended = Ended(status, "".join(output), errors.read())
    command = next((word for word in arguments[1:] if not word.startswith("-")), "")
    if status and interrupt.came:
        raise TerraformInterruptedError(command)
    if status < 0:
        raise OperationError(
            f"Terraform was killed. {flat(ended.errors)}".strip(),
            "Run the same command again; if the state is then locked, `make unlock`.",
        )
    return ended


class _Interrupt:
    """Passes the first signal on as an interrupt, and says what happens; passes on no other."""

    def __init__(self) -> None:
        self.came = False
        self._process: subprocess.Popen[str] | None = None

    def send_to(self, process: subprocess.Popen[str]) -> None:
        """Name the process, which gets what came before it was started."""
        self._process = process
        if self.came:
            process.send_signal(signal.SIGINT)

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        process, again = self._process, self.came
        self.came = True
        if process and not again:
            process.send_signal(signal.SIGINT)
        words = _AGAIN.format(pid=process.pid) if process and again else _FIRST
        with contextlib.suppress(OSError):
            os.write(2, f"\n{words}\n".encode())


@contextlib.contextmanager
def _one_interrupt() -> Iterator[_Interrupt]:
    interrupt = _Interrupt()
    # Only a program's first thread receives signals
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def flat(text: str, limit: int = 600) -> str:
    """Return Terraform's boxed words as one line."""
    words = " ".join(re.sub(r"[│╷╵]", " ", text).split())
    return words if len(words) <= limit else words[:limit] + " …"


def failed(command: str, words: str, status: int) -> OperationError:
    """Return the error for a run that failed with these words."""
    said = flat(words) or f"it ended with status {status} and said nothing"
    return OperationError(f"terraform {command} failed: {said}", _remedy(words))


def _remedy(message: str) -> str:
    if "state lock" in message:
        return (
            "Another run holds the state. If none is running, one was killed: `make unlock` says "
            "whose lock it is and removes it."
        )
    if "NoSuchBucket" in message or "does not exist" in message:
        return "Run `make bootstrap` for this environment first."
    if "checksum" in message or "Failed to query available provider" in message:
        return "Terraform needs the AWS provider: allow the registry, or set TF_PLUGIN_DIR."
    if "AWS account ID not allowed" in message:
        return "Sign in to the account that `account_id` names, or set AWS_PROFILE."
    return "Fix what it names, then run the same command again."
