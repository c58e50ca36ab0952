"""Every setting compared, everything that can be probed, probed."""

from __future__ import annotations

import time
from collections import Counter
from itertools import groupby

import streamlit as st

from console import session, widgets
from console.jobs import Job
from console.operations import migrations, progress
from console.operations.environments import databases, target
from console.operations.environments.doctor import Finding, examine
from console.operations.environments.doctor.database import Migrations
from console.operations.environments.terraform import Workspace
from console.operations.errors import OperationError

_KIND = "examination"
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


def examination(report: progress.Report) -> list[Finding]:
    """Examine this console's environment."""
    env = session.env()

    def workspace() -> Workspace:
        return Workspace(target.resolve(env))

    return examine(env, workspace, report, migrations=_migrations())


def _migrations() -> Migrations | None:
    try:
        here = session.here()
    except OperationError:
        return None
    if not here.database_url_parameter:
        return None
    return lambda: migrations.migrations(databases.operator_url(here))


def latest() -> Job:
    """Return the newest examination, begun now if there is none."""
    found = session.jobs().of(_KIND)
    return found[0] if found else begin()


def begin() -> Job:
    """Examine anew, in the background."""
    return session.jobs().start(f"{_KIND} {time.time()}", _KIND, "Examine", examination)


def draw(findings: list[Finding]) -> None:
    """Draw the counts, then the findings by area, what is wrong first."""
    counts = Counter(finding.state for finding in findings)
    for column, (state, words) in zip(st.columns(4), _WORDS.items(), strict=True):
        with column, st.container(border=True):
            st.metric(words, counts[state])
            st.markdown(widgets.badge(state, state))
    wrong = [finding for finding in findings if finding.state != "ok"]
    if wrong:
        st.subheader("To be mended", anchor=False)
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
    st.subheader("Everything that was looked at", anchor=False)
    for area, group in groupby(findings, key=lambda finding: finding.area):
        lines = list(group)
        good = sum(line.state == "ok" for line in lines)
        with st.expander(f"{area} · {good} of {len(lines)} ok"):
            st.dataframe(
                [
                    {
                        "State": _MARKS[line.state],
                        "What": line.name,
                        "Expected": line.expected,
                        "Found": line.found,
                        "How to mend it": "" if line.state == "ok" else line.remedy,
                    }
                    for line in lines
                ],
                hide_index=True,
                column_config={
                    "State": st.column_config.TextColumn(width="small"),
                    "Expected": st.column_config.TextColumn(width="medium"),
                    "Found": st.column_config.TextColumn(width="medium"),
                },
            )


def main() -> None:
    widgets.header(
        "Environment",
        "Settings files, functions, permissions, buckets, users, API, CDN, DNS and database, "
        "compared with what Terraform made and tried for real. `make doctor` prints the same.",
    )
    job = latest()
    left, right = st.columns([1, 4], vertical_alignment="center")
    busy = job.state == "running"
    if left.button("Examine anew", icon=":material/refresh:", disabled=busy):
        begin()
        st.rerun()
    right.caption("looking …" if busy else widgets.as_of(job.ended or 0))

    if busy:

        @st.fragment(run_every=0.5)
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
