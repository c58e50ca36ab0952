"""The schema's history and what is pending: previewed, rehearsed, applied, rolled back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from console import session, units, widgets
from console.jobs import Job
from console.operations import migrations
from console.operations.changes import Operation, fingerprint
from console.operations.environments import databases
from console.operations.environments.target import Target
from console.operations.migrations import Entry, Migration, Preview, Rehearsed
from console.operations.migrations.changes import Adopt, Migrate, Rollback
from console.operations.migrations.files import DIRECTORY
from console.operations.migrations.preview import Lock

KIND = "migrations"
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


def _rehearsed(found: list[Rehearsed]) -> str:
    broken = [line.name for line in found if not line.restores]
    end = f"not reversible: {', '.join(broken)}" if broken else "each reversible"
    return f"{len(found)} rehearsed, {end}"


@session.cached(30)
def _migrations(_target: Target) -> list[Migration]:
    return migrations.migrations(_target.database_url())


@session.cached(30)
def _runs(_target: Target) -> list[Entry]:
    return migrations.runs(_target.database_url())


def _compared_with(found: migrations.Adoption | None) -> str:
    return f"it is that of {found.revision}" if found else "there is nothing to adopt"


def main() -> None:
    widgets.header(
        "Migrations",
        "Each change of the schema is a file with the SQL that makes it and the SQL that "
        "reverses it.",
        refresh=(_migrations, _runs),
    )
    widgets.show_jobs(KIND, _show_result)
    lines: list[Migration] | None = None
    with widgets.show_errors():
        session.here()
        target = session.the_target()
        looked = _migrations(target)
        lines = looked.value
        _show_state(looked)
        _show_drift(lines)
        _show_schema_drift()
    apply, back, new, runs = st.tabs(["Apply", "Roll back", "New migration", "Every run"])
    if lines is not None:
        with apply, widgets.show_errors():
            _apply(target, lines)
        with back, widgets.show_errors():
            _roll_back(target, lines)
        with runs, widgets.show_errors():
            _show_runs(target)
    else:
        for tab in (apply, back, runs):
            with tab:
                widgets.empty("The database comes first: see what to do above.")
    with new, widgets.show_errors():
        _new()


def _show_state(looked: session.CachedValue[list[Migration]]) -> None:
    lines = looked.value
    applied = sum(line.state in _APPLIED for line in lines)
    pending = sum(line.state == "pending" for line in lines)
    wrong = len(lines) - applied - pending + sum(bool(line.drift) for line in lines)
    if wrong:
        standing = widgets.badge("error", f"{wrong} with a problem")
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
                "Took": "" if line.seconds is None else units.duration(line.seconds),
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
            "By": st.column_config.TextColumn(width="small"),
            "File": st.column_config.TextColumn(width="small"),
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
            st.code(line.drift, language="diff", wrap_lines=True)
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


def _changed(found: list[migrations.Difference]) -> str:
    return f"{len(found)} changed by hand"


def _show_schema_drift() -> None:
    """Draw the last comparison with the migrations, and the button that makes one."""
    widgets.change_button(
        "Compare the live schema",
        "drift",
        lambda on: Operation(
            on,
            "drift",
            "the live schema with the migrations",
            ("read the schema, and run the applied migrations on a server of its own",),
            lambda report: migrations.drift(on.database_url(), report=report),
            summary=_changed,
        ),
        key="drift",
        icon=":material/difference:",
    )
    job = next(iter(session.jobs().of("drift")), None)
    if job is None:
        return
    if job.state == "running":
        _wait_for(job)
        return
    if job.error:
        widgets.show_error(job.error)
        return
    found: list[migrations.Difference] = job.result
    if not found:
        st.markdown(widgets.badge("ok", "The live schema is what its migrations make"))
        return
    st.markdown(widgets.badge("error", _changed(found)))
    st.code("\n".join(str(difference) for difference in found), language="diff", wrap_lines=True)
    st.markdown("**What to do:** write it into a migration, or repair the schema with:")
    st.code("\n".join(difference.repair for difference in found), language="sql", wrap_lines=True)


def _apply(target: Target, lines: Sequence[Migration]) -> None:
    pending = [line.name for line in lines if line.state in ("pending", "interrupted")]
    if not pending:
        widgets.empty("Nothing is pending. Write one under **New migration**.")
        return
    if not any(line.by for line in lines):
        adoption = _compared(target)
        if adoption is not None:
            _adopt(target, adoption)
            return
    up_to = st.selectbox("Apply up to", pending, index=len(pending) - 1, key="migrate to")
    plan = pending[: pending.index(up_to) + 1]
    _show_plan("These are applied, in this order:", plan)
    previewed = _preview(target, "up", up_to, (up_to, *plan))
    who = session.require_actor().name
    rehearse, migrate, _ = st.columns([1, 1, 2])
    with rehearse:
        widgets.change_button(
            "Rehearse",
            KIND,
            lambda on: Operation(
                on,
                "rehearse",
                up_to,
                tuple(plan),
                lambda report: migrations.rehearse(on.database_url(), up_to, report=report),
                summary=_rehearsed,
            ),
            key="rehearse",
            icon=":material/science:",
            width="stretch",
            help="Apply, roll back and apply again on an empty copy of the schema.",
        )
    with migrate:
        widgets.change_button(
            f"Apply {len(plan)}",
            KIND,
            (
                lambda on: Migrate(
                    on,
                    tuple(plan),
                    up_to,
                    who=who,
                    # the functions' login is of use once the whole schema is there
                    afterwards=(lambda: databases.login_after_migration(on))
                    if up_to == pending[-1]
                    else None,
                )
            )
            if previewed
            else None,
            key="migrate",
            icon=":material/play_arrow:",
            type="primary",
            width="stretch",
            help=None if previewed else "Look at a preview without an error first.",
        )


def _compared(target: Target) -> migrations.Adoption | None:
    """Draw the comparison with a schema that is there already, which makes a scratch copy of it."""
    job = next((job for job in session.jobs().of("compare") if job.state != "failed"), None)
    if job is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            widgets.change_button(
                "Compare with the schema that is there",
                "compare",
                lambda on: Operation(
                    on,
                    "compare",
                    "the schema with the migrations",
                    ("make a scratch database, run the migrations there, and drop it",),
                    lambda _report: migrations.adoption(on.database_url()),
                    summary=_compared_with,
                ),
                key="compare",
                icon=":material/compare_arrows:",
            )
            st.caption("No migration was ever applied. Were its tables made by other means?")
        widgets.show_jobs("compare", newest=1)
        return None
    if job.state == "running":
        _wait_for(job)
        return None
    found: migrations.Adoption | None = job.result
    return found


def _adopt(target: Target, adoption: migrations.Adoption) -> None:
    st.warning(
        f"This database has its tables already, and no history. Its schema is that of "
        f"**{adoption.revision}**. Adopting it writes {len(adoption.baseline)} migrations into the "
        "history as applied; nothing in its tables changes.",
        icon=":material/move_to_inbox:",
    )
    who = session.require_actor().name
    widgets.change_button(
        "Adopt",
        KIND,
        lambda on: Adopt(on, adoption, who=who),
        key="adopt",
        type="primary",
    )


def _roll_back(target: Target, lines: Sequence[Migration]) -> None:
    applied = [line.name for line in lines if line.state in _APPLIED]
    floor = sum(line.state == "baseline" for line in lines)
    targets = [*applied[max(0, floor - 1) : -1]] if applied else []
    if applied and not floor:
        targets = [_BASE, *targets]
    if not targets:
        widgets.empty(
            "Nothing can be rolled back: what was adopted was there before."
            if applied
            else "Nothing is applied yet."
        )
        return
    back_to = st.selectbox(
        "Roll back to",
        list(reversed(targets)),
        format_func=lambda name: "before the first one" if name == _BASE else str(name),
        key="rollback to",
    )
    start = 0 if back_to == _BASE else applied.index(back_to) + 1
    plan = list(reversed(applied[start:]))
    _show_plan("These are rolled back, in this order:", plan)
    st.warning(
        "What their columns and tables hold is lost: a rollback brings back the schema, not rows.",
        icon=":material/warning:",
    )
    previewed = _preview(target, "down", back_to, (back_to, *plan))
    who = session.require_actor().name
    widgets.change_button(
        f"Roll back {len(plan)}",
        KIND,
        (lambda on: Rollback(on, tuple(plan), back_to, who=who)) if previewed else None,
        key="rollback",
        icon=":material/undo:",
        type="primary",
        help=None if previewed else "Look at a preview without an error first.",
    )


def _new() -> None:
    st.markdown(
        "The file is written into `migrations/versions/` of the checkout that this console runs "
        "from. Fill in its SQL, then come back to preview it."
    )
    name = st.text_input(
        "What it does",
        placeholder="add_bio_column",
        key=f"migration name {session.jobs().ended(KIND)}",
    ).strip()
    widgets.change_button(
        "Write the file",
        KIND,
        (
            lambda on: Operation(
                on,
                "new migration",
                name,
                (f"write a file for {name}",),
                lambda _: migrations.create(name).name,
            )
        )
        if name
        else None,
        key="new migration",
        icon=":material/note_add:",
    )


def _show_plan(title: str, names: Sequence[str]) -> None:
    st.markdown("\n".join([title, "", *(f"1. `{name}`" for name in names)]))


def _preview(target: Target, direction: Any, to: str, plan: tuple[str, ...]) -> bool:
    """Draw a run's preview, or the button that makes it; say whether it was made and is good."""
    change = Operation(
        target,
        f"preview {direction}",
        to,
        _with_digests(plan),
        lambda report: migrations.preview(
            target.database_url(), to=to, direction=direction, report=report
        ),
        summary=lambda found: f"{len(found)} previewed",
    )
    shown = fingerprint(change)
    job = next((job for job in session.jobs().of("preview") if job.name == shown), None)
    if job is None or job.state == "failed":
        if job and job.error:
            widgets.show_error(job.error)
        widgets.change_button(
            "Preview again" if job else "Preview",
            "preview",
            lambda _on: change,
            key=f"preview {direction} button",
            icon=":material/visibility:",
        )
        st.caption("The SQL, squawk's findings, and the locks each statement takes.")
        return False
    if job.state == "running":
        _wait_for(job)
        return False
    for number, item in enumerate(job.result):
        _show_preview(item, expanded=number == 0)
    return True


def _with_digests(names: Sequence[str]) -> tuple[str, ...]:
    """Return each migration with its file's digest: what is seen of another text counts no more."""
    files = {path.stem: path for path in DIRECTORY.rglob("*.py")}
    return tuple(
        f"{name} {hashlib.sha256(files[name].read_bytes()).hexdigest() if name in files else ''}"
        for name in names
    )


def _wait_for(job: Job) -> None:
    @st.fragment(run_every=widgets.live_every(0.3))
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
            st.code(f"{statement.sql};", language="sql", wrap_lines=True)
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
        "Size": "new" if lock.size_bytes is None else units.size(lock.size_bytes),
        "Rows": "" if lock.rows is None else f"~{lock.rows:,}",
    }


def _show_result(result: str | list[Rehearsed]) -> None:
    if isinstance(result, str):
        st.success(
            f"{result[:1].upper()}{result[1:].removesuffix('.')}.", icon=":material/check_circle:"
        )
        return
    if all(line.restores for line in result):
        st.success(f"{_rehearsed(result)}.", icon=":material/check_circle:")
        return
    st.error(f"{_rehearsed(result)}.", icon=":material/error:")
    for line in result:
        if not line.restores:
            st.markdown(f"What the rollback of **{line.name}** leaves different:")
            st.code(line.difference, language="diff", wrap_lines=True)


def _show_runs(target: Target) -> None:
    found = _runs(target).value
    if not found:
        widgets.empty("Nothing was applied or rolled back yet.")
        return
    marks = {"succeeded": "✓", "failed": "✗", "interrupted": "✗", "started": "…"}
    ways = {"up": "applied", "down": "rolled back", "baseline": "adopted"}
    st.dataframe(
        [
            {
                "Outcome": f"{marks[entry.outcome]} {entry.outcome}",
                "When": _when(entry.started_at),
                "What": ways[entry.direction],
                "Migration": entry.name,
                "By": entry.actor,
                "Took": "" if entry.seconds is None else units.duration(entry.seconds),
                "Error": entry.error or "",
            }
            for entry in found
        ],
        hide_index=True,
    )


def _when(at: datetime | None) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}" if at else ""


main()
