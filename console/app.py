"""The operators' console: which pages there are, and who may see them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import streamlit as st

from console import session, sign_out, units, widgets
from console.jobs import Job
from console.operations import announcements
from console.operations.announcements import Announcement
from console.operations.audit import live
from console.operations.audit.access import Actor
from console.operations.audit.audit import Action, Filter
from console.operations.audit.live import Seen
from console.operations.errors import OperationError

_ANNOUNCEMENTS = "announcement"
_FOUND = "found"
_LATELY = timedelta(hours=1)
_SHOWN = 5
_LOOK_SECONDS = 5
_log = logging.getLogger(__name__)

_LOGO = str(Path(__file__).with_name("logo.svg"))
st.set_page_config(page_title="Avatar Ops", page_icon=_LOGO, layout="wide")
st.logo(_LOGO, size="large")

sign_out.install()

_STYLE = ".stMainBlockContainer { padding-top: 4rem }"  # it leaves 6 empty
# White on a blue that is light enough for links could not be read
_DARK = "button[kind^=primary] :is(p, span) { color: #0c1420 }"
PAGES = {
    "": [("overview", "Overview", ":material/monitor_heart:")],
    "Avatars": [
        ("test_avatars", "Test avatars", ":material/add_a_photo:"),
        ("failures", "Failures", ":material/report:"),
        ("review", "Review", ":material/gavel:"),
        ("profile", "Profile", ":material/account_circle:"),
    ],
    "System": [
        ("environment", "Environment", ":material/checklist:"),
        ("releases", "Releases", ":material/rocket_launch:"),
        ("migrations", "Migrations", ":material/database:"),
        ("cdn", "CDN", ":material/public:"),
        ("costs", "Costs", ":material/payments:"),
        ("audit", "Audit", ":material/history:"),
    ],
}


def main() -> None:
    """Authorize whom this address allows, then draw the page."""
    session.authorize(False)
    session.begin_run()
    st.html(f"<style>{_STYLE} {_DARK if st.context.theme.type == 'dark' else ''}</style>")
    if session.sign_in_is_demanded() and not session.sign_in_is_configured():
        st.error(
            "This console listens on more than this machine, and nobody needs to sign in.\n\n"
            "**What to do:** set up OIDC in `.streamlit/secrets.toml` (docs/console.md), or start "
            "it on 127.0.0.1.",
            icon=":material/lock:",
        )
        return
    who = session.actor()
    pages = {
        section: [
            st.Page(
                f"pages/{name}.py",
                title=title,
                icon=icon,
                url_path=name.replace("_", "-"),
                default=name == "overview",
            )
            for name, title, icon in entries
        ]
        for section, entries in PAGES.items()
    }
    # Unseen before signing in, the navigation knows the page asked for afterwards
    page = st.navigation(pages, position="hidden" if who is None else "sidebar")
    if who is None:
        _welcome()
        return
    widgets.watch_tab(st.session_state.get(_FOUND, 0))
    with st.sidebar:
        _find_anything()
        st.caption(f"Environment **{session.env()}**")
        rights = "may operate" if who.may_operate else "may look, change nothing"
        st.caption(f"{who.name} · {rights}")
        running = st.container()  # filled last: the page doesn't wait for the database
        _for_operators()
        if session.sign_in_is_configured():
            st.button("Sign out", on_click=st.logout)
    session.authorize(True)
    _show_announcement()
    try:
        page.run()
    except OperationError as error:
        widgets.show_error(error)
    except Exception:
        _log.exception("a page failed")
        st.error(
            "This page met an unexpected error.\n\n**What to do:** reload it. If it "
            "stays so, report it with the console's log (`make logs FUNCTION=console`).",
            icon=":material/bug_report:",
        )
    with running:
        st.fragment(_show_running, run_every=widgets.live_every(_LOOK_SECONDS))()


def _find_anything() -> None:
    """Draw the field that leads from any page to what is found, with it in the address."""
    with st.form("find_anything", border=False, clear_on_submit=True):
        text = st.text_input(
            "Find anything",
            placeholder="@ada, key, id",
            help="A user's @handle or sub, a file's name, a version, or the id of a request or "
            "message. The key / leads here.",
            autocomplete="off",
        )
        asked = st.form_submit_button("Go", icon=":material/search:", width="stretch")
    if asked and text.strip():
        asked_for = {"view": "Find", "find": text.strip()}
        st.session_state.update(asked_for)  # where the page is drawn already
        st.session_state[_FOUND] = st.session_state.get(_FOUND, 0) + 1
        st.switch_page("pages/test_avatars.py", query_params=asked_for)


def _for_operators() -> None:
    """Ask why the next action is taken, and offer to tell all operators something."""
    session.clear_taken_reason()
    st.text_input(
        "Reason of the next action",
        key=session.REASON,
        placeholder="a ticket, a sentence",
        help="Recorded in the audit with the action.",
        autocomplete="off",
    )
    with st.popover("Tell all operators", icon=":material/campaign:", width="stretch"):
        text = st.text_input(
            "Line on every page", key="announcement", max_chars=announcements.LONGEST
        )
        hours = st.select_slider("Shown for, hours", (1, 2, 4, 8, 24, 72, 168), value=4)
        widgets.change_button(
            "Show it to all",
            _ANNOUNCEMENTS,
            lambda on: announcements.announce(on, text, hours),
            key="announce",
            icon=":material/campaign:",
        )
        widgets.show_jobs(_ANNOUNCEMENTS)


@session.cached(2)
def _everywhere(env: str, may_close: bool, _who: Actor) -> tuple[list[Seen], list[Action]]:
    """Return what runs in all consoles and terminals, and what was cut off lately."""
    record, ago = session.the_audit(), datetime.now(UTC) - _LATELY
    try:
        running = record.running(_who if may_close else None)
        cut = record.actions(Filter(outcomes=("interrupted",), since=ago), limit=_SHOWN)
    except OperationError:  # pages that need the database say that it is away
        running, cut = [], []
    known = {seen.key for seen in running}
    return running + [_here(job) for job in session.jobs().running() if job.key not in known], cut


def _here(job: Job) -> Seen:
    started = datetime.fromtimestamp(job.started, UTC)
    action, _, target = job.title.partition(": ")
    steps = tuple(widgets.latest(job.events))
    return Seen(started, "this console", action, target, job.key, "", job.stopped_by, steps=steps)


def _show_running() -> None:
    who = session.require_actor()
    running, cut = _everywhere(session.env(), who.may_operate, who).value
    if not running and not cut:
        return
    parts = [f"{len(running)} running"] * bool(running) + [f"{len(cut)} cut off"] * bool(cut)
    with st.popover(
        ", ".join(parts),
        icon=":material/sync:" if running else ":material/sync_problem:",
        width="stretch",
        key="running",
    ):
        for seen in running:
            _show_seen(seen)
        for action in cut:
            _say("sync_problem", action, f"{action.started.astimezone():%H:%M}", action.detail)
        if cut:
            st.caption("What was cut off is done again by starting it again.")


def _show_seen(seen: Seen) -> None:
    took = units.duration((datetime.now(UTC) - seen.at).total_seconds())
    _say("sync", seen, took, live.said(seen.steps) or "begun")
    if seen.stopped_by:
        st.caption(f"Stopping, as {widgets.plain(seen.stopped_by)} wants …")
    elif any(event.may_stop for event in seen.steps[-1:]):
        widgets.button(
            "Stop",
            key=f"stop {seen.key} from anywhere",
            icon=":material/stop_circle:",
            on_click=widgets.stop,
            args=(seen.key,),
        )


def _say(icon: str, what: Seen | Action, when: str, said: str) -> None:
    st.markdown(
        f":material/{icon}: **{widgets.plain(what.action)}** "
        f"{widgets.plain(widgets.shortened(what.target))}\n\n"
        f":gray[{widgets.plain(what.actor)}, {when}: {widgets.plain(said)}]"
    )


@session.cached(15)
def _announcement(env: str) -> Announcement | None:
    try:
        return announcements.current(session.the_audit())
    except OperationError:
        return None  # pages that need the database say that it is away


def _show_announcement() -> None:
    shown = _announcement(session.env()).value
    if shown is None or shown.until < datetime.now(UTC):
        return
    when = units.duration((datetime.now(UTC) - shown.at).total_seconds())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(
            f"**{widgets.plain(shown.text)}** :small[{widgets.plain(shown.by)}, {when} ago]",
            icon=":material/campaign:",
        )
        widgets.change_button(
            "Remove",
            _ANNOUNCEMENTS,
            lambda on: announcements.withdraw(on, shown),
            key=f"withdraw {shown.at}",
            icon=":material/close:",
        )


def _welcome() -> None:
    st.title("Avatar Ops")
    if st.user.get("is_logged_in"):
        st.error(
            f"{st.user.get('email')} is in none of the groups that may use this console.\n\n"
            "**What to do:** ask an administrator of the user pool to be added to `operators` or "
            "`viewers`.",
            icon=":material/lock:",
        )
        st.button("Sign out", on_click=st.logout)
    else:
        st.button("Sign in", icon=":material/login:", type="primary", on_click=st.login)


if __name__ == "__main__":  # as Streamlit runs it: imported, it draws nothing
    with widgets.show_errors():
        main()
