"""What pages draw alike: errors, states, ages, jobs, confirmations."""

from __future__ import annotations

import functools
import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import streamlit as st
from PIL import Image, ImageOps

from console import session
from console.jobs import Job
from console.operations.errors import OperationError
from console.operations.progress import Event

Status = Literal["ok", "warning", "error", "unknown"]
# Colour never speaks alone: each state has a shape of its own
_ICONS: dict[Status, tuple[str, str]] = {
    "ok": ("green", ":material/check_circle:"),
    "warning": ("orange", ":material/warning:"),
    "error": ("red", ":material/error:"),
    "unknown": ("gray", ":material/help:"),
}


def plain(text: str) -> str:
    """Return text in which Markdown finds nothing to format."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()<>#+-!|~:$" else sign for sign in text)


def badge(status: Status, text: str) -> str:
    """Return Markdown of a state: its colour, its icon and a word."""
    colour, icon = _ICONS[status]
    return f":{colour}-badge[{icon} {text}]"


@contextmanager
def show_errors() -> Iterator[None]:
    """Show an OperationError as its sentence and remedy; the rest of the page goes on."""
    try:
        yield
    except OperationError as error:
        show_error(error)


def show_error(error: OperationError) -> None:
    """Show what went wrong and what to do."""
    st.error(f"{error.message}\n\n**What to do:** {error.remedy}", icon=":material/error:")


def header(title: str, about: str, refresh: Sequence[str] = ()) -> None:
    """Draw a page's title, what it is for, and a button that looks everything up anew.

    Every page begins with it: it also turns back whoever came past the sign-in.
    """
    session.require_entrance()
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.title(title, anchor=False)
    left.caption(about)
    if refresh and right.button(
        "Refresh", icon=":material/refresh:", help="Look everything up anew", width="stretch"
    ):
        session.forget(*refresh)
        st.rerun()


def age(looked: session.Looked[Any]) -> str:
    """Say how old a value is."""
    return as_of(looked.at)


def as_of(at: float) -> str:
    """Say how long ago that was."""
    seconds = time.time() - at
    return f"as of {duration(seconds)} ago" if seconds >= 1 else "as of now"


def duration(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def size(count: float) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def empty(text: str) -> None:
    """Say that there is nothing, and what to do first."""
    with st.container(border=True):
        st.markdown(f":gray[:material/inbox:] {text}")


def picture(data: bytes) -> None:
    """Draw a picture that may be none."""
    small = _thumbnail(data)
    if small:
        st.image(small)
    else:
        empty("no preview")


@functools.lru_cache(maxsize=32)
def _thumbnail(data: bytes) -> bytes | None:
    stream = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data)) as opened:
            opened.draft("RGB", (320, 320))
            opened.thumbnail((320, 320))
            ImageOps.exif_transpose(opened).convert("RGB").save(stream, "JPEG", quality=85)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return stream.getvalue()


def button(label: str, *, key: str, **options: Any) -> bool:
    """Draw the button of an action; it is disabled for those who may only look."""
    who = session.actor()
    may = who is not None and who.may_operate
    if not may:
        options |= {"disabled": True, "help": "You may look, and change nothing."}
    return bool(st.button(label, key=key, **options))


def confirmed(name: str, *, key: str, what: str) -> bool:
    """Draw a field in which the operator types the name of what is destroyed; say if they have."""
    typed = st.text_input(f"Type **{name}** to {what}", key=key, autocomplete="off")
    return typed.strip() == name


def show_jobs(kind: str, result: Callable[[Any], None] | None = None, newest: int = 3) -> None:
    """Draw the newest jobs of a kind, live while one runs."""
    found = session.jobs().of(kind)[:newest]
    running = any(job.state == "running" for job in found)

    @st.fragment(run_every=0.5 if running else None)
    def live() -> None:
        for job in found:
            _show_job(job, result)
        if running and not any(job.state == "running" for job in found):
            session.forget()
            st.rerun()  # the page may draw what has changed

    live()


def _show_job(job: Job, result: Callable[[Any], None] | None) -> None:
    state: Any = {"running": "running", "done": "complete", "failed": "error"}[job.state]
    took = (job.ended or time.time()) - job.started
    with st.status(
        f"{job.title} — {duration(took)}", state=state, expanded=job.state != "done" or bool(result)
    ):
        for event in latest(job.events):
            st.markdown(_step(event))
        if job.error:
            show_error(job.error)
        elif job.state == "done" and result:
            result(job.result)


def latest(events: Sequence[Event]) -> list[Event]:
    """Return the newest event of each step, in the order in which the steps began."""
    return list({event.step: event for event in list(events)}.values())


def _step(event: Event) -> str:
    icon = {
        "started": ":gray[:material/hourglass_top:]",
        "advanced": ":blue[:material/more_horiz:]",
        "done": ":green[:material/check:]",
        "failed": ":red[:material/close:]",
    }[event.state]
    counts = "" if event.done is None else f" {event.done}/{event.total or '…'}"
    took = f" · {duration(event.seconds)}" if event.seconds is not None else ""
    return f"{icon} {event.step}{counts}{took} :gray[{plain(event.detail)}]"
