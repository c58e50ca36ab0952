"""Every setting compared, everything that can be probed, probed."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import streamlit as st

from console import session, widgets
from console.jobs import Job
from console.operations import migrations, progress
from console.operations.changes import Operation
from console.operations.environments import deployment, target
from console.operations.environments.doctor import Finding, examine
from console.operations.environments.doctor.database import Migrations
from console.operations.environments.terraform import Workspace
from console.operations.errors import OperationError
from console.operations.uploads import test_users

_KIND = "examination"
_TEST_USER = "doctor"
_CARD_WIDTH = 165  # two beside one another on a phone
_MARKS: dict[widgets.Status, str] = {
    "error": "✗ error",
    "warning": "! warning",
    "unknown": "? unknown",
    "ok": "✓ ok",
}
_WORDS: dict[widgets.Status, str] = {
    "error": "broken",
    "warning": "worth a look",
    "unknown": "not known",
    "ok": "as it should be",
}


def examination(report: progress.Report, who: str | None = None) -> list[Finding]:
    """Examine this console's environment, changing nothing unless a test user signs in."""
    env = session.env()

    def workspace() -> Workspace:
        return Workspace(target.resolve(env))

    known = _migrations()
    return examine(
        env,
        workspace,
        report,
        who=who,
        migrations=known,
        drift=known and (lambda: migrations.drift(target.resolve(env).database_url())),
    )


def _migrations() -> Migrations | None:
    try:
        here = deployment.load(session.env())
    except OperationError:
        return None
    if not here.database_url_parameter:
        return None
    return lambda: migrations.migrations(target.resolve(session.env()).database_url())


def latest() -> Job:
    """Return the newest examination, begun now if there is none."""
    found = session.jobs().of(_KIND)
    return found[0] if found else begin()


def begin() -> Job:
    """Examine again, in the background, what can be examined without changing anything."""
    before = session.jobs().of(_KIND)
    if before and before[0].state == "running":
        return before[0]
    name = f"after {before[0].key}" if before else "first"  # also a moment after its end
    return session.jobs().start(name, _KIND, "Examine", lambda _key, report: examination(report))


def _counted(findings: list[Finding]) -> str:
    counts = Counter(finding.state for finding in findings)
    return ", ".join(f"{counts[state]} {state}" for state in _WORDS if counts[state])


def _sign_in_too(busy: bool) -> None:
    """Draw the button of the examination with a test user, which makes or changes an account."""
    with widgets.show_errors():
        address = test_users.email(_TEST_USER)
        widgets.change_button(
            "Run checks with a sign-in",
            _KIND,
            None
            if busy
            else lambda on: Operation(
                on,
                "examine",
                f"with the test user {address}",
                (f"make {address} in the user pool if it is missing, and set a new password",),
                lambda report: examination(report, _TEST_USER),
                summary=_counted,
            ),
            key="examine with a sign-in",
            icon=":material/login:",
            help=f"Makes the test user {address} if it is missing, and gives it a new random "
            "password: tries the API with its token.",
        )


def draw(findings: list[Finding]) -> None:
    """Draw the counts, then the findings by area, what is wrong first."""
    counts = Counter(finding.state for finding in findings)
    with st.container(horizontal=True):
        for state, words in _WORDS.items():
            with st.container(border=True, width=_CARD_WIDTH):
                st.metric(words, counts[state])
                # nothing is wrong with a state that nothing is in
                st.markdown(widgets.badge(state, state) if counts[state] else f":gray[{state}]")
    wrong = [finding for finding in findings if finding.state != "ok"]
    if wrong:
        st.header("To be fixed", anchor=False)
        for finding in wrong:
            with st.container(border=True):
                st.markdown(
                    f"{widgets.badge(finding.state, finding.state)} **{finding.area}** · "
                    f"{finding.name}"
                )
                expected, found = st.columns(2)
                expected.caption("expected")
                expected.code(finding.expected or "none", language=None, wrap_lines=True)
                found.caption("found")
                found.code(finding.found or "nothing", language=None, wrap_lines=True)
                st.markdown(f":material/build: {finding.remedy}")
    else:
        st.success("Everything is as it should be.", icon=":material/check_circle:")
    st.header("Everything that was looked at", anchor=False)
    for area, group in groupby(findings, key=lambda finding: finding.area):
        lines = list(group)
        good = sum(line.state == "ok" for line in lines)
        with st.expander(f"{area} · {good} of {len(lines)} ok"):
            columns = ["What", "Expected", "Found"]
            if good < len(lines):
                columns = ["State", *columns, "How to fix it"]
            # a table, which shows long values whole where a grid cuts them
            st.table(
                [
                    {
                        name: value
                        for name, value in {
                            "State": _MARKS[line.state],
                            "What": widgets.plain(line.name),
                            "Expected": widgets.plain(line.expected),
                            "Found": widgets.plain(line.found),
                            "How to fix it": "" if line.state == "ok" else line.remedy,
                        }.items()
                        if name in columns
                    }
                    for line in lines
                ],
                hide_index=True,
            )


def main() -> None:
    widgets.header(
        "Environment",
        "Settings files, functions, permissions, buckets, users, API, CDN, DNS and database, "
        "compared with what Terraform made and tried for real. `make doctor` prints the same.",
    )
    job = latest()
    busy = job.state == "running"
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Run checks again", icon=":material/refresh:", disabled=busy):
            begin()
            st.rerun()
        _sign_in_too(busy)
        st.caption("examining …" if busy else widgets.as_of(job.ended or 0))

    if busy:

        @st.fragment(run_every=widgets.live_every(0.5))
        def live() -> None:
            if job.state != "running":
                st.rerun()
            newest = job.events[-1] if job.events else None
            if newest and newest.total:
                st.progress((newest.done or 0) / newest.total, text=newest.detail or newest.step)
            else:
                st.progress(0.0, text="Asking Terraform what it made …")

        live()
        done = [other for other in session.jobs().of(_KIND) if other.state == "done"]
        if done:
            draw(done[0].result)
    elif job.error:
        widgets.show_error(job.error)
    else:
        draw(job.result)


main()
