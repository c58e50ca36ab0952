"""Which version of each function is called, how each does, and one click back."""

from __future__ import annotations

import streamlit as st

from console import session, widgets
from console.operations.environments.deployment import Deployment
from console.operations.releases import aliases, figures
from console.operations.releases.aliases import Alias
from console.operations.releases.figures import Figures

KIND = "release"
_RANGES = {"15 min": 900, "1 h": 3600, "3 h": 10_800, "1 d": 86_400}
_SHARES = (1, 5, 10, 25, 50)

Done = dict[tuple[str, str], Figures]


@session.cached(15)
def _look(_here: Deployment, seconds: int) -> tuple[list[Alias], Done]:
    found = [aliases.read(_here, name) for name in sorted(_here.function_names)]
    return found, figures.by_version(_here, found, seconds)


def main() -> None:
    """Draw the page."""
    widgets.header(
        "Releases",
        "Which version of each function is called. An apply with `HOLD=1` publishes versions "
        "that wait here.",
        refresh=(_look,),
    )
    widgets.show_jobs(KIND, lambda _result: None, newest=2)
    with widgets.show_errors():
        here = session.here()
        chosen = st.segmented_control(
            "Figures of the last", list(_RANGES), default="1 h", required=True, key="release range"
        )
        looked = _look(here, _RANGES[chosen or "1 h"])
        st.caption(widgets.age(looked).capitalize())
        found, done = looked.value
        # what there is to decide, first
        for alias in sorted(found, key=lambda each: (not each.trial, not each.next)):
            _card(here, alias, done)


def _card(here: Deployment, alias: Alias, done: Done) -> None:
    with st.container(border=True):
        about, actions = st.columns([3, 2], vertical_alignment="top")
        with about:
            state = (
                widgets.badge("warning", f"{alias.percent} % version {alias.trial}")
                if alias.trial
                else widgets.badge("unknown", f"version {alias.next} waits")
                if alias.next
                else widgets.badge("ok", f"version {alias.live}")
            )
            st.markdown(f"**{alias.function}** {state}")
            st.dataframe(
                [_row(alias, version, done) for version in alias.compared],
                hide_index=True,
                width="stretch",
            )
        with actions:
            _actions(here, alias)


def _row(alias: Alias, version: str, done: Done) -> dict[str, object]:
    shares = {alias.live: 100 - alias.percent, alias.trial: alias.percent}
    did = done.get((alias.function, version), Figures())
    return {
        "Version": version,
        "Share": f"{shares.get(version, 0)} %",
        "Calls": did.calls,
        "Errors": did.errors,
        "Errors, %": round(100 * did.errors / did.calls, 1) if did.calls else None,
        "p50, ms": None if did.p50 is None else round(did.p50),
        "p99, ms": None if did.p99 is None else round(did.p99),
        "Published": alias.published.get(version, "")[:16].replace("T", " "),
    }


def _actions(here: Deployment, alias: Alias) -> None:
    # the revision: each state of the alias has buttons of its own
    place = f"{alias.function} {alias.revision}"
    if alias.next:
        percent = st.select_slider(
            "Share of the calls, %",
            _SHARES,
            value=alias.percent if alias.percent in _SHARES else 10,
            key=f"share {place}",
        )
        widgets.change_button(
            f"Release version {alias.newest} to {percent} %",
            KIND,
            lambda on: aliases.release(on, here, alias, percent),
            key=f"release {percent} {place}",
            icon=":material/call_split:",
        )
        widgets.change_button(
            f"Promote version {alias.next}",
            KIND,
            lambda on: aliases.promote(on, here, alias),
            key=f"promote {place}",
            icon=":material/north:",
        )
    if alias.trial or alias.before:
        to = alias.live if alias.trial else alias.before
        widgets.change_button(
            f"Back to version {to}",
            KIND,
            lambda on: aliases.back(on, here, alias),
            key=f"back {place}",
            type="primary" if alias.trial else "secondary",
            icon=":material/undo:",
        )
    elif not alias.next:
        st.caption("Nothing newer, and nothing to go back to.")


main()
