"""What operators see in a terminal: progress, questions, errors with their remedy."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from console.operations.changes import Change, Confirm
from console.operations.errors import OperationError
from console.operations.progress import Event
from console.units import duration

# Away from a terminal there is no width to fit, and a cut name would be of no use
WIDTH = None if sys.stdout.isatty() else 200
out = Console(highlight=False, soft_wrap=True, width=WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True, width=WIDTH)
_LINE_SECONDS = 10


class Progress:
    """Draw events: one line for each finished step, and a live one for the current step.

    It goes to standard error, so that standard output holds results alone; where that is no
    terminal, a long step gets a line every ten seconds instead.
    """

    def __init__(self) -> None:
        self._status = err.status("") if err.is_terminal else None
        self._last_line = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Draw one event."""
        if event.state in {"done", "failed"}:
            self._stop()
            mark = "[green]✓[/]" if event.state == "done" else "[red]✗[/]"
            count = f"[{event.done}/{event.total}] " if event.total else ""
            step = escape(f"{count}{event.step}")
            took = "" if event.seconds is None else duration(event.seconds)
            err.print(f"{mark} {step:<28} {took:>7}  [dim]{escape(event.detail)}[/]")
            self._last_line = time.monotonic()
            return
        counts = ""
        if event.done is not None:
            counts = f"{event.done}/{event.total} " if event.total else f"{event.done} "
        text = f"{event.step} {counts}[dim]{escape(event.detail)}[/]"
        if self._status:
            self._status.update(text)
            self._status.start()
        elif time.monotonic() - self._last_line > _LINE_SECONDS:
            err.print(f"  {text}")
            self._last_line = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._status:
            self._status.stop()


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """End the command with what went wrong and the remedy, never with a traceback.

    An unexpected error goes whole into a file, and in one line to the operator.
    """
    try:
        yield
    except OperationError as error:
        err.print(f"[red]error:[/] {escape(error.message)}\n  → {escape(error.remedy)}")
        sys.exit(1)
    except typer.Exit:
        raise
    except typer.Abort:
        err.print("[yellow]Nothing was changed.[/]")
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("[yellow]interrupted[/]")
        sys.exit(130)
    except Exception as error:
        with tempfile.NamedTemporaryFile(
            "w", prefix="avatar-ops-", suffix=".log", delete=False
        ) as log:
            traceback.print_exc(file=log)
        err.print(
            f"[red]error:[/] {type(error).__name__}: {escape(str(error))}\n"
            f"  → This is a defect in Avatar Ops. Please report it with {log.name}"
        )
        sys.exit(70)


def confirmation(*, yes: bool) -> Confirm:
    """Return what shows a change and, if it is destructive, asks for the environment's name.

    Parameters
    ----------
    yes
        Don't ask.
    """

    def confirm(change: Change) -> None:
        show(change, err)
        if change.destructive:
            confirm_word(f"{change.action.capitalize()}?", change.target.env, yes=yes)

    return confirm


def show(change: Change, console: Console) -> None:
    """Print where a change would happen and all that it would touch."""
    console.print(f"[bold]{escape(change.action)}[/] on {escape(str(change.target))}")
    for line in change.lines():
        # Terraform's marks, and ours
        mark = line.lstrip()[:2].rstrip()
        colour = {"+": "green", "-": "red", "~": "yellow", "-/": "red"}.get(mark, "default")
        console.print(Text(f"  {line}", style=colour))


def confirm_word(question: str, word: str, *, yes: bool) -> None:
    """Ask the operator to type a word; anything else ends the command.

    Raises
    ------
    OperationError
        If it is not typed, or nobody is there to type it.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise OperationError(
            f"{question} Nobody is there to confirm it.", "Run it in a terminal, or with YES=1."
        )
    if err.input(f"{escape(question)} Type [bold]{escape(word)}[/] to go on: ").strip() != word:
        raise OperationError("Nothing was changed.", "Type the word as shown to go on.")
