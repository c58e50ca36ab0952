"""What pages draw alike: errors, states, ages, jobs, confirmations."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import streamlit as st
from streamlit.errors import StreamlitPageNotFoundError

from console import session
from console.jobs import Job
from console.operations.avatars import thumbnails
from console.operations.changes import Change, fingerprint
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.progress import Event
from console.units import duration

_LINES = 200
_TAB = Path(__file__).with_name("components") / "page.js"
_HIDDEN = "tab"
_REFUSED = "refused"
_REFRESH = "Look everything up again"
# A remedy names a page so; the way there is drawn below it
_PAGE = re.compile(
    r"\bpage \*{0,2}"
    "(Overview|Test avatars|Failures|Review|Profile|Environment|Releases|Migrations|CDN|Costs"
    "|Audit)"
)
_OPEN_SECONDS = 60
PERIODS = {"1h": "Last hour", "1d": "Last day", "7d": "Last 7 days", "90d": "Last 90 days"}
_PERIOD = "period"
_USUAL = "1d"
_SHOWN_SECONDS = 3600
Status = Literal["ok", "warning", "error", "unknown"]
# Colour never speaks alone: each state has a shape of its own
_ICONS: dict[Status, tuple[str, str]] = {
    "ok": ("green", ":material/check_circle:"),
    "warning": ("orange", ":material/warning:"),
    "error": ("red", ":material/error:"),
    "unknown": ("gray", ":material/help:"),
}


@st.cache_resource(show_spinner=False)
def _tab() -> Any:
    return st.components.v2.component("page", js=_TAB.read_text())


def watch_tab(found: int) -> None:
    """Learn whether the browser's tab is hidden, for `live_every`.

    Parameters
    ----------
    found
        How often something was looked for by the sidebar, which is in its way on a phone.
    """
    _tab()(key=_HIDDEN, data={"found": found}, on_hidden_change=lambda: None)


def live_every(seconds: float) -> float | None:
    """Return after how many seconds to draw again what changes by itself; None while nobody looks.

    Streamlit's own timers go on in a hidden tab. The tab is drawn once when it is seen again.
    """
    state = st.session_state.get(_HIDDEN)
    return None if state and state.get("hidden") else seconds


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
    for page in dict.fromkeys(_PAGE.findall(error.remedy)):
        with suppress(StreamlitPageNotFoundError):  # nobody is signed in yet
            st.page_link(
                f"pages/{page.lower().replace(' ', '_')}.py",
                label=page,
                icon=":material/arrow_forward:",
            )


def header(title: str, about: str, refresh: Sequence[session.Lookup[..., Any]] = ()) -> None:
    """Draw a page's title, what it is for, its target, and a button that looks everything up again.

    Every page begins with it: it also turns back whoever came past the sign-in.

    Parameters
    ----------
    refresh
        The lookups of this page.
    """
    session.require_authorized()
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.title(title, anchor=False, width="content")
        if refresh and st.button("Refresh", icon=":material/refresh:", help=_REFRESH, shortcut="U"):
            for lookup in refresh:
                lookup.clear()
            st.rerun()
    st.caption(f"{about}\n\n:material/my_location: {plain(_named_target())}")
    if refused := st.session_state.pop(_REFUSED, None):
        show_error(refused)


def choose_period(label: str) -> str:
    """Ask for a time, a key of `PERIODS`; it is in the address, and stays when the page changes."""
    asked = st.query_params.get("since") or st.session_state.get(_PERIOD, "")
    options = list(PERIODS)
    chosen: str = st.selectbox(
        label,
        options,
        index=options.index(asked if asked in PERIODS else _USUAL),
        format_func=PERIODS.__getitem__,
        key="choose period",
    )
    st.session_state[_PERIOD] = chosen
    if chosen == _USUAL:
        st.query_params.pop("since", None)
    else:
        st.query_params["since"] = chosen
    return chosen


def _named_target() -> str:
    try:
        return str(session.the_target())
    except OperationError as error:
        return f"{session.env()}: {error}"


def age(cached: session.CachedValue[Any]) -> str:
    """Say how old a value is."""
    return as_of(cached.at)


def as_of(at: float) -> str:
    """Say how long ago that was."""
    seconds = time.time() - at
    return f"as of {duration(seconds)} ago" if seconds >= 1 else "as of now"


def empty(text: str) -> None:
    """Say that there is nothing, and what to do first."""
    with st.container(border=True):
        st.markdown(f":gray[:material/inbox:] {text}")


def picture(data: bytes, alt: str) -> None:
    """Draw a picture that may be none."""
    small = thumbnail(data)
    if small:
        st.image(small, alt=alt)
    else:
        empty("no preview")


def thumbnail(data: bytes) -> bytes | None:
    """Return a small JPEG of a picture; None if there is none to be made."""
    return _thumbnail(data).value


@session.cached(3600, outlives_changes=True)
def _thumbnail(data: bytes) -> bytes | None:
    return thumbnails.of(data)


def shortened(text: str, most: int = 60) -> str:
    """Return text of at most so many characters, without its middle if it is longer."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def button(label: str, *, key: str, **options: Any) -> bool:
    """Draw the button of an action; it is disabled for those who may only look."""
    return bool(st.button(label, key=key, **_allowed(options)))


def _allowed(options: dict[str, Any]) -> dict[str, Any]:
    if session.may_operate():
        return options
    return options | {"disabled": True, "help": "You may look, and change nothing."}


def change_button(
    label: str,
    kind: str,
    change: Callable[[Target], Change] | None,
    *,
    key: str,
    **options: Any,
) -> None:
    """Draw the button that carries out a change, as it is now.

    A destructive one lists what it touches and wants the environment's name typed. A click starts
    the very change that was drawn, whatever the page would draw by then.

    Parameters
    ----------
    kind
        Where its progress is shown, by `show_jobs`.
    change
        Returns the change of the console's target; None draws the button disabled.
    """
    options = _allowed(options)
    arguments: tuple[Any, ...] = ()
    if change:
        try:
            drawn = change(session.the_target())
        except OperationError as error:
            change, options["help"] = None, str(error)
        else:
            typed_in = _ask_for_name(drawn, key) if drawn.destructive else ""
            if typed_in and not _is_typed(typed_in, drawn):
                options["disabled"] = True
            arguments = (kind, drawn, fingerprint(drawn), typed_in)
    if not change:
        options["disabled"] = True
    st.button(label, key=key, on_click=_start if arguments else None, args=arguments, **options)


def _ask_for_name(change: Change, key: str) -> str:
    """List what a destructive change touches, ask for the name; return the field's key."""
    lines = list(islice(change.lines(), _LINES + 1))
    more = ["…"] if len(lines) > _LINES else []
    st.code("\n".join(lines[:_LINES] + more), language=None, wrap_lines=True)
    typed_in = f"typed for {key}"
    st.text_input(
        f"Type **{change.target.env}** to {change.action}", key=typed_in, autocomplete="off"
    )
    return typed_in


def _is_typed(typed_in: str, change: Change) -> bool:
    return str(st.session_state.get(typed_in, "")).strip() == change.target.env


def _start(kind: str, change: Change, shown: str, typed_in: str) -> None:
    """Start the change; runs before the page is drawn again, which then shows why it was not."""
    try:
        if typed_in and not _is_typed(typed_in, change):
            raise OperationError("Nothing was changed.", "Type the environment's name as shown.")
        session.start(kind, change, shown)
    except OperationError as error:
        st.session_state[_REFUSED] = error


def stop(key: str) -> None:
    """Stop what runs by this key; runs before the page is drawn, which then says why it was not."""
    try:
        session.stop(key)
    except OperationError as error:
        st.session_state[_REFUSED] = error


def show_jobs(kind: str, result: Callable[[Any], None] | None = None, newest: int = 1) -> None:
    """Draw the jobs of a kind that run, live, and the newest that ended lately.

    What ended is folded after a while, then left to the page Audit.
    """
    now = time.time()
    found = [
        job
        for place, job in enumerate(session.jobs().of(kind))
        if job.ended is None or (place < newest and now - job.ended < _SHOWN_SECONDS)
    ]
    running = any(job.state == "running" for job in found)
    if not running and session.has_changed():
        st.rerun()  # what is drawn above was looked up before

    @st.fragment(run_every=live_every(0.5) if running else None)
    def live() -> None:
        for job in found:
            _show_job(job, result)
        if running and not any(job.state == "running" for job in found):
            st.rerun()  # the page may draw what has changed

    live()


def _show_job(job: Job, result: Callable[[Any], None] | None) -> None:
    state: Any = {"running": "running", "done": "complete", "failed": "error"}[job.state]
    took = (job.ended or time.time()) - job.started
    is_new = time.time() - (job.ended or time.time()) < _OPEN_SECONDS
    with st.status(
        f"{plain(shortened(job.title, 80))} — {duration(took)}",
        state=state,
        expanded=job.state != "done" or (bool(result) and is_new),
    ):
        for event in latest(job.events):
            st.markdown(_step(event))
        if job.may_stop:
            button(
                "Stop",
                key=f"stop {job.key}",
                icon=":material/stop_circle:",
                on_click=stop,
                args=(job.key,),
            )
        elif job.stopped_by and job.state == "running":
            st.caption(f"Stopping, as {plain(job.stopped_by)} wants …")
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
