"""Who did what, when, on what, with which outcome."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from console import session, units, widgets
from console.operations.audit import export
from console.operations.audit.audit import Action, Entry, Filter, FilterOptions
from console.operations.changes import Operation
from console.operations.progress import Report

# An ARN's beginning is the same for everyone in the account
_ARN = re.compile(r"^arn:([^:]*:){4}")
_SHOWN = 500
_DOWNLOADED = 50_000
_SPANS: dict[str, timedelta | None] = {
    "Any time": None,
    "Last hour": timedelta(hours=1),
    "Last day": timedelta(days=1),
    "Last week": timedelta(days=7),
    "Last month": timedelta(days=30),
}
_OUTCOMES = {
    "done": "✓ done",
    "failed": "✗ failed",
    "interrupted": "✗ interrupted",
    "running": "… running",
}
KIND = "audit"


@session.cached(5, entries=20)
def _actions(wanted: Filter, before: Action | None) -> list[Action]:
    return session.the_audit().actions(wanted, _SHOWN + 1, before)


@session.cached(60)
def _options() -> FilterOptions:
    return session.the_audit().filter_options()


@session.cached(15)
def _unaccounted() -> list[Entry]:
    return session.the_audit().unaccounted()


def main() -> None:
    widgets.header(
        "Audit",
        "Who did what, when, on what, and how it ended. Entries are never changed or removed.",
        refresh=(_actions, _options, _unaccounted),
    )
    widgets.show_jobs(KIND, newest=1)
    record = session.the_audit()
    if session.may_operate():
        record.deliver(session.require_actor())
    if waiting := record.waiting():
        st.warning(
            f"{waiting} entries wait on this machine for the database. They follow by themselves "
            "with the first action, or when an operator looks here, once it is back.",
            icon=":material/hourglass_top:",
        )
    if aside := record.quarantined():
        st.warning(
            f"{aside} files in the state folder's `audit/quarantine` hold no entry that can be "
            "read, such as one cut short by a full disk. Read and delete them by hand.",
            icon=":material/report:",
        )
    with widgets.show_errors():
        session.here()
        chosen = _filter()
        # Each entry is the action after which a page begins
        place = f"audit pages {replace(chosen, since=None)} {st.session_state['audit when']}"
        trail: list[Action | None] = st.session_state.setdefault(place, [None])
        looked = _actions(chosen, trail[-1])
        _show(looked.value[:_SHOWN], chosen, first=len(trail) == 1)
        _paging(looked.value, trail)
        if looked.value:
            _downloads(chosen)
        _close(_unaccounted().value)
        st.caption(f"{widgets.age(looked).capitalize()}. Times are this console's.")


def _filter() -> Filter:
    choices = _options().value
    with st.container(border=True):
        actors, actions, outcomes = st.columns(3)
        who = actors.multiselect("Who", choices.actors, placeholder="Anybody", key="audit who")
        what = actions.multiselect("Action", choices.actions, placeholder="Any", key="audit what")
        how = outcomes.multiselect(
            "Outcome",
            _OUTCOMES,
            format_func=_OUTCOMES.__getitem__,
            placeholder="Any",
            key="audit how",
        )
        target, span, since, until = st.columns([3, 2, 2, 2])
        part = target.text_input(
            "Target", key="audit target", placeholder="Part of it", autocomplete="off"
        )
        when = span.selectbox("When", [*_SPANS, "Between"], key="audit when")
        start: datetime | None = None
        end: datetime | None = None
        if when == "Between":
            first = since.date_input("From", value=None, key="audit from")
            last = until.date_input("To", value=None, key="audit to")
            start = _midnight(first) if first else None
            end = _midnight(last) + timedelta(days=1) if last else None
        elif (length := _SPANS[when]) is not None:
            # to the minute, so that what was looked up a moment ago can serve again
            start = datetime.now().astimezone().replace(second=0, microsecond=0) - length
    return Filter(tuple(who), tuple(what), part.strip(), tuple(how), start, end)


def _midnight(day: Any) -> datetime:
    return datetime(day.year, day.month, day.day).astimezone()


def _show(found: list[Action], chosen: Filter, *, first: bool) -> None:
    if not found:
        widgets.empty(
            "Nothing was done yet. Whatever an operator changes, here or by a command, is listed."
            if chosen == Filter()
            else "Nothing fits. Take a filter away."
        )
        return
    st.dataframe(
        [
            {
                "Outcome": _OUTCOMES[action.outcome],
                "When": f"{action.started.astimezone():%Y-%m-%d %H:%M:%S}",
                "Who": _ARN.sub("", action.actor),
                "Action": action.action,
                "Target": action.target,
                "Reason": action.reason,
                "Took": _took(action),
                "Detail": action.detail,
            }
            for action in found
        ],
        hide_index=True,
        height=min(38 + 35 * len(found), 640),
        column_config={
            "Outcome": st.column_config.TextColumn(width="small"),
            "Action": st.column_config.TextColumn(width="small"),
            "Took": st.column_config.TextColumn(width="small"),
            "Detail": st.column_config.TextColumn(width="large"),
        },
    )
    count, running = len(found), sum(action.ended is None for action in found)
    which = "newest" if first else "earlier"
    st.caption(f"The {count:,} {which} actions, {running} running.")


def _paging(found: list[Action], trail: list[Action | None]) -> None:
    newer, older, _ = st.columns([1, 1, 4])
    if len(trail) > 1 and newer.button("Newer", icon=":material/arrow_back:", width="stretch"):
        trail.pop()
        st.rerun()
    if len(found) > _SHOWN and older.button(
        "Older", icon=":material/arrow_forward:", width="stretch"
    ):
        trail.append(found[_SHOWN - 1])
        st.rerun()


def _close(lost: list[Entry]) -> None:
    """Offer to close actions of which nobody will hear: their process is none of this machine's."""
    if not lost:
        return
    rows = tuple(
        f"{e.at.astimezone():%Y-%m-%d %H:%M:%S}  {e.actor}  {e.action}: {e.target}" for e in lost
    )
    with st.expander(f"{len(lost)} without an end, begun elsewhere", icon=":material/link_off:"):
        st.markdown(
            "They run on another machine, or were cut off there. Close them once you know that "
            "they don't run: they are recorded as interrupted, with your name."
        )
        st.code("\n".join(rows), language=None, wrap_lines=True)
        keys = tuple(entry.key for entry in lost)

        def work(_report: Report) -> str:
            return f"{record.close(keys, who)} closed as interrupted"

        record, who = session.the_audit(), session.require_actor()
        widgets.change_button(
            f"Close {len(lost)} as interrupted",
            KIND,
            lambda on: Operation(on, "close actions", f"{len(lost)} actions", rows, work),
            key="close interrupted",
            icon=":material/block:",
        )


def _took(action: Action) -> str:
    if action.seconds is not None:
        return units.duration(action.seconds)
    now = datetime.now().astimezone()
    return f"{units.duration((now - action.started).total_seconds())} so far"


def _downloads(chosen: Filter) -> None:
    def everything() -> list[Action]:
        return session.the_audit().actions(chosen, _DOWNLOADED)

    name = f"audit-{session.env()}-{datetime.now().astimezone():%Y-%m-%d}"
    with st.container(horizontal=True):
        st.download_button(
            "CSV",
            lambda: export.as_csv(everything()),
            f"{name}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "JSON lines",
            lambda: export.as_json_lines(everything()),
            f"{name}.jsonl",
            "application/x-ndjson",
            icon=":material/download:",
            on_click="ignore",
        )


main()
