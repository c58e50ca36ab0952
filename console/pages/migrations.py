"""The schema's history and what is pending: previewed, rehearsed, applied, taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import streamlit as st

from console import session, widgets
from console.jobs import Job
from console.operations import migrations
from console.operations.environments import databases
from console.operations.errors import OperationError
from console.operations.migrations import Migration, Preview, Rehearsed
from console.operations.migrations.preview import Lock
from console.operations.progress import Report

_APPLIED = ("applied", "baseline")
_STATES = {
    "applied": "✓ applied",
    "baseline": "✓ adopted",
    "pending": "○ pending",
    "interrupted": "✗ interrupted",
    "out of order": "✗ out of order",
    "no file": "✗ no file here",
}
_BASE = "base"


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal found; its text is what the audit keeps."""

    found: list[Rehearsed]

    def __str__(self) -> str:
        broken = [line.name for line in self.found if not line.restores]
        end = f"no way back from {', '.join(broken)}" if broken else "each with its way back"
        return f"{len(self.found)} rehearsed, {end}"


def main() -> None:
    widgets.header(
        "Migrations",
        "Each change of the schema is a file with the SQL that makes it and the SQL that takes it "
        "back.",
        refresh=("migrations", "migration runs"),
    )
    widgets.show_jobs("migrations", _show_result, newest=2)
    lines: list[Migration] | None = None
    with widgets.show_errors():
        url = session.look("database url", 30, lambda: databases.operator_url(session.here())).value
        looked = session.look("migrations", 30, lambda: migrations.migrations(url))
        lines = looked.value
        _show_standing(looked)
        _show_drift(lines)
    apply, back, new, runs = st.tabs(["Apply", "Roll back", "New migration", "Every run"])
    if lines is not None:
        with apply, widgets.show_errors():
            _apply(url, lines)
        with back, widgets.show_errors():
            _roll_back(url, lines)
        with runs, widgets.show_errors():
            _show_runs(url)
    else:
        for tab in (apply, back, runs):
            with tab:
                widgets.empty("The database comes first: see what to do above.")
    with new, widgets.show_errors():
        _new()


def _show_standing(looked: session.Looked[list[Migration]]) -> None:
    lines = looked.value
    applied = sum(line.state in _APPLIED for line in lines)
    pending = sum(line.state == "pending" for line in lines)
    wrong = len(lines) - applied - pending + sum(bool(line.drift) for line in lines)
    if wrong:
        standing = widgets.badge("error", f"{wrong} not as it should be")
    elif pending:
        standing = widgets.badge("warning", f"{pending} pending")
    else:
        standing = widgets.badge("ok", "Up to date")
    st.markdown(f"{standing} :gray[{applied} of {len(lines)} applied · {widgets.age(looked)}]")
    if not lines:
        widgets.empty("There is no migration yet. Begin with **New migration**.")
        return
    st.dataframe(
        [
            {
                "State": _STATES[line.state],
                "Migration": line.name,
                "Applied": _when(line.applied_at),
                "By": line.by or "",
                "Took": "" if line.seconds is None else widgets.duration(line.seconds),
                "File": "✗ changed since" if line.drift else "✓ as applied" if line.by else "",
            }
            for line in reversed(lines)
        ],
        hide_index=True,
        height=min(38 + 35 * len(lines), 400),
        column_config={
            "State": st.column_config.TextColumn(width="small"),
            "Migration": st.column_config.TextColumn(width="medium"),
            "Applied": st.column_config.TextColumn(width="small"),
            "Took": st.column_config.TextColumn(width="small"),
        },
    )


def _show_drift(lines: Sequence[Migration]) -> None:
    for line in lines:
        if line.drift:
            st.error(
                f"**{line.name}** was changed after it was applied.\n\n"
                "**What to do:** put the file back as it was; what is to change goes into a new "
                "migration.",
                icon=":material/difference:",
            )
            st.code(line.drift, language="diff")
        elif line.state == "out of order":
            st.error(
                f"**{line.name}** comes before applied ones and never was.\n\n"
                "**What to do:** set its `down_revision` to the last migration's.",
                icon=":material/low_priority:",
            )
        elif line.state == "no file":
            st.error(
                f"**{line.name}** is applied, but this checkout has no such file.\n\n"
                "**What to do:** update this checkout to one that has it.",
                icon=":material/file_present:",
            )
        elif line.state == "interrupted":
            st.warning(
                f"**{line.name}** broke off outside a transaction.\n\n"
                "**What to do:** apply it again: the run clears up after the broken one first.",
                icon=":material/warning:",
            )


def _apply(url: str, lines: Sequence[Migration]) -> None:
    pending = [line.name for line in lines if line.state in ("pending", "interrupted")]
    if not pending:
        widgets.empty("Nothing is pending. Write one under **New migration**.")
        return
    try:
        adoption = (
            None
            if any(line.by for line in lines)
            else session.look("adoption", 300, lambda: migrations.adoption(url)).value
        )
    except OperationError as error:
        widgets.show_error(error)
        adoption = None
    if adoption is not None:
        _adopt(url, adoption)
        return
    target = st.selectbox("Apply up to", pending, index=len(pending) - 1, key="migrate to")
    plan = pending[: pending.index(target) + 1]
    _show_plan("These are applied, in this order:", plan)
    previewed = _preview(url, "up", target, (target, *plan))
    rehearse, migrate, _ = st.columns([1, 1, 2])
    with rehearse:
        key = session.action_key("rehearse")
        if widgets.button(
            "Rehearse",
            key=f"rehearse {key}",
            icon=":material/science:",
            width="stretch",
            help="Apply, take back and apply again on an empty copy of the schema.",
        ):
            _start("rehearse", target, key, lambda report: _rehearse(url, target, report))
    with migrate:
        key = session.action_key("migrate")
        who = session.require_actor().name
        if widgets.button(
            f"Apply {len(plan)}",
            key=f"migrate {key}",
            icon=":material/play_arrow:",
            type="primary",
            width="stretch",
            disabled=not previewed,
            help=None if previewed else "Look at the preview first.",
        ):
            _start(
                "migrate",
                target,
                key,
                lambda report: migrations.migrate(url, target, report=report, who=who),
            )


def _rehearse(url: str, target: str, report: Report) -> Rehearsal:
    return Rehearsal(migrations.rehearse(url, target, report=report))


def _adopt(url: str, adoption: migrations.Adoption) -> None:
    st.warning(
        f"This database has its tables already, and no history. Its schema is that of "
        f"**{adoption.revision}**. Adopting it writes {len(adoption.baseline)} migrations into the "
        "history as applied; nothing in its tables changes.",
        icon=":material/move_to_inbox:",
    )
    _show_plan("These would count as applied:", adoption.baseline)
    if adoption.differences:
        st.markdown("**How it differs from what the migrations make**")
        st.code("\n".join(adoption.differences), language=None)
    key = session.action_key("adopt")
    who = session.require_actor().name
    sure = widgets.confirmed(session.env(), key=f"adopt name {key}", what="adopt it")
    if widgets.button("Adopt", key=f"adopt {key}", type="primary", disabled=not sure):
        _start(
            "adopt",
            adoption.revision,
            key,
            lambda report: migrations.adopt(url, report=report, who=who),
        )


def _roll_back(url: str, lines: Sequence[Migration]) -> None:
    applied = [line.name for line in lines if line.state in _APPLIED]
    floor = sum(line.state == "baseline" for line in lines)
    targets = [*applied[max(0, floor - 1) : -1]] if applied else []
    if applied and not floor:
        targets = [_BASE, *targets]
    if not targets:
        widgets.empty(
            "Nothing can be taken back: what was adopted was there before."
            if applied
            else "Nothing is applied yet."
        )
        return
    target = st.selectbox(
        "Roll back to",
        list(reversed(targets)),
        format_func=lambda name: "before the first one" if name == _BASE else str(name),
        key="rollback to",
    )
    start = 0 if target == _BASE else applied.index(target) + 1
    plan = list(reversed(applied[start:]))
    _show_plan("These are taken back, in this order:", plan)
    st.warning(
        "What their columns and tables hold is lost: a rollback brings back the schema, not rows.",
        icon=":material/warning:",
    )
    previewed = _preview(url, "down", target, (target, *plan))
    key = session.action_key("rollback")
    who = session.require_actor().name
    sure = widgets.confirmed(
        target.partition("_")[2] or target, key=f"rollback name {key}", what="roll back to it"
    )
    if widgets.button(
        f"Roll back {len(plan)}",
        key=f"rollback {key}",
        icon=":material/undo:",
        type="primary",
        disabled=not (previewed and sure),
        help=None if previewed else "Look at the preview first.",
    ):
        _start(
            "rollback",
            target,
            key,
            lambda report: migrations.rollback(url, to=target, report=report, who=who),
        )


def _new() -> None:
    st.markdown(
        "The file is written into `migrations/versions/` of the checkout that this console runs "
        "from. Fill in its SQL, then come back to preview it."
    )
    key = session.action_key("migration")
    name = st.text_input(
        "What it does", placeholder="add_bio_column", key=f"migration name {key}"
    ).strip()
    if widgets.button(
        "Write the file", key=f"migration {key}", icon=":material/note_add:", disabled=not name
    ):
        _start("new migration", name, key, lambda _: migrations.create(name).name)


def _start(action: str, target: str, key: str, work: Any) -> None:
    """Start the action; its key is spent, so that a second click is on a button that is gone."""
    session.act("migrations", action, target, key, work)
    session.spend_key(action.removeprefix("new "))
    st.rerun()


def _show_plan(title: str, names: Sequence[str]) -> None:
    st.markdown("\n".join([title, "", *(f"1. `{name}`" for name in names)]))


def _preview(url: str, direction: Any, target: str, plan: tuple[str, ...]) -> bool:
    """Draw a run's preview, or the button that makes it; say whether it has been made.

    It only reads the live database, and tries the statements on an empty copy of its schema.
    """
    slot = f"preview {direction}"
    wanted: tuple[Any, str] | None = st.session_state.get(slot)
    job = next(
        (job for job in session.jobs().of("preview") if wanted == (plan, job.key)),
        None,
    )
    if job is None:
        if st.button("Preview", key=f"{slot} button", icon=":material/visibility:"):
            key = session.action_key(slot)
            session.spend_key(slot)
            session.jobs().start(
                key,
                "preview",
                f"preview: {target}",
                lambda report: migrations.preview(
                    url, to=target, direction=direction, report=report
                ),
            )
            st.session_state[slot] = (plan, key)
            st.rerun()
        st.caption("The SQL, squawk's findings, and the locks each statement takes.")
        return False
    if job.state == "running":
        _wait_for(job)
        return False
    if job.error:
        widgets.show_error(job.error)
        return True
    for number, item in enumerate(job.result):
        _show_preview(item, expanded=number == 0)
    return True


def _wait_for(job: Job) -> None:
    @st.fragment(run_every=0.3)
    def live() -> None:
        newest = widgets.latest(job.events)
        st.progress(0.5, f"{newest[-1].step} …" if newest else "Connect …")
        if job.state != "running":
            st.rerun()

    live()


def _show_preview(item: Preview, *, expanded: bool) -> None:
    worst = [lock for statement in item.statements for lock in statement.locks]
    blocks = sorted({lock.blocks for lock in worst if "writes" in lock.blocks}, key=len)
    marks = [
        widgets.badge("warning", f"keeps {blocks[-1]} waiting")
        if blocks
        else widgets.badge("ok", "keeps no reads or writes waiting")
    ]
    if any(lock.rewrites for lock in worst):
        marks.append(widgets.badge("error", "rewrites a table"))
    if item.findings:
        count = len(item.findings)
        marks.append(widgets.badge("warning", f"{count} finding{'s' if count > 1 else ''}"))
    with st.expander(f"**{item.name}** {' '.join(marks)}", expanded=expanded):
        how = "In one transaction" if item.transactional else "Outside a transaction"
        st.caption(f"{how}. Line numbers are the file's.")
        for statement in item.statements:
            st.code(f"{statement.sql};", language="sql")
        if worst:
            st.dataframe(
                [
                    _lock_row(statement.line, lock)
                    for statement in item.statements
                    for lock in statement.locks
                ],
                hide_index=True,
            )
        else:
            st.caption("It takes no lock on a table that was there before.")
        for finding in item.findings:
            place = f", line {finding.line}" if finding.line else ""
            st.warning(
                f"**{finding.rule}**{place}: {finding.message}\n\n{finding.help}",
                icon=":material/rule:",
            )


def _lock_row(line: int | None, lock: Lock) -> dict[str, Any]:
    return {
        "Line": "" if line is None else str(line),
        "Table": lock.table,
        "Lock": lock.mode,
        "Keeps waiting": lock.blocks,
        "Rewrites": "the whole table" if lock.rewrites else "",
        "Size": "new" if lock.size_bytes is None else widgets.size(lock.size_bytes),
        "Rows": "" if lock.rows is None else f"~{lock.rows:,}",
    }


def _show_result(result: Any) -> None:
    # a page's classes are made anew in each run, so a Rehearsal is known by what it holds
    found: list[Rehearsed] | None = getattr(result, "found", None)
    if found is None:
        st.success(f"{str(result)[:1].upper()}{str(result)[1:]}.", icon=":material/check_circle:")
        return
    if all(line.restores for line in found):
        st.success(f"{result}.", icon=":material/check_circle:")
        return
    st.error(f"{result}.", icon=":material/error:")
    for line in found:
        if not line.restores:
            st.markdown(f"What the rollback of **{line.name}** leaves different:")
            st.code(line.difference, language="diff")


def _show_runs(url: str) -> None:
    found = session.look("migration runs", 30, lambda: migrations.runs(url)).value
    if not found:
        widgets.empty("Nothing was applied or taken back yet.")
        return
    marks = {"succeeded": "✓", "failed": "✗", "interrupted": "✗", "started": "…"}
    ways = {"up": "applied", "down": "taken back", "baseline": "adopted"}
    st.dataframe(
        [
            {
                "Outcome": f"{marks[entry.outcome]} {entry.outcome}",
                "When": _when(entry.started_at),
                "What": ways[entry.direction],
                "Migration": entry.name,
                "By": entry.actor,
                "Took": "" if entry.seconds is None else widgets.duration(entry.seconds),
                "Error": entry.error or "",
            }
            for entry in found
        ],
        hide_index=True,
    )


def _when(at: datetime | None) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}" if at else ""


try:
    main()
except OperationError as error:
    widgets.show_error(error)
