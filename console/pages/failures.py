"""Uploads that did not become avatars: why, and what to do with them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

import streamlit as st

from console import session, units, widgets
from console.operations.avatars import thumbnails
from console.operations.environments import logs
from console.operations.environments.deployment import Deployment
from console.operations.environments.insights import Group
from console.operations.pipeline import causes, dead_letters, rejections
from console.operations.pipeline.causes import Failure, Selection
from console.operations.pipeline.dead_letters import DeadLetter, Discard, MoveTask, Redrive, Sample
from console.operations.pipeline.pace import FASTEST
from console.operations.pipeline.rejections import (
    DiscardRecords,
    RejectedPage,
    RejectedUpload,
    TryAgain,
)

KIND = "failures"
_LINES_AROUND_SECONDS = 10
_LINES_SHOWN = 50
_KEPT_DAYS = 14


@session.cached(15)
def _messages(_here: Deployment) -> Sample:
    return dead_letters.sample(_here)


@session.cached(60)
def _causes(
    _here: Deployment, ids: tuple[str, ...], _found: tuple[DeadLetter, ...]
) -> dict[str, Failure]:
    since = min((message.sent_at for message in _found), default=0)
    return causes.of_messages(_here, list(ids), since, time.time())


@session.cached(15)
def _move_task(_here: Deployment) -> MoveTask | None:
    return dead_letters.move_task(_here)


@session.cached(60)
def _cause_groups(_here: Deployment, period: str, text: str, receives: int) -> list[Group]:
    return causes.groups(_here, _selection(period, "", text), receives)


@session.cached(60)
def _failures(
    _here: Deployment, period: str, cause: str, text: str, receives: int
) -> list[Failure]:
    selection = _selection(period, cause, text)
    found = causes.failures(_here, selection, receives, dead_letters.SHOWN)
    return list({failure.message_id: failure for failure in found}.values())


@session.cached(60)
def _code_groups(_here: Deployment, period: str, text: str) -> list[Group]:
    return rejections.groups(_here, _selection(period, "", text))


@session.cached(30)
def _rejections(
    _here: Deployment,
    period: str,
    code: str,
    text: str,
    before: tuple[float, str] | None,
) -> RejectedPage:
    return rejections.page(_here, _selection(period, code, text), before)


@session.cached(3600, entries=200, outlives_changes=True)
def _preview(_here: Deployment, key: str, version_id: str | None) -> bytes | None:
    return thumbnails.of_original(_here, key, version_id)


@session.cached(60)
def _log(_here: Deployment, containing: tuple[str, ...], since: float) -> list[logs.Line]:
    return logs.newest(_here, ["resize"], containing, since, _LINES_SHOWN)


def _selection(period: str, cause: str, text: str, until: float | None = None) -> Selection:
    now = until or time.time()
    return Selection(now - logs.seconds(period), now, cause, text, not cause and not text)


def main() -> None:
    """Draw the page."""
    widgets.header(
        "Failures",
        "Uploads that did not become avatars: why, and what to do with them.",
        refresh=(_messages, _move_task, _causes, _cause_groups, _failures, _code_groups,
                 _rejections, _log),
    )  # fmt: skip
    widgets.show_jobs(KIND, result=_show_result)
    messages_tab, rejected_tab = "Dead-letter messages", "Rejected uploads"
    chosen = st.segmented_control(
        "Kind of failure",
        [messages_tab, rejected_tab],
        default=rejected_tab if st.query_params.get("show") == "rejected" else messages_tab,
        required=True,
        label_visibility="collapsed",
    )
    with widgets.show_errors():
        here = session.here()
        if chosen == messages_tab:
            st.query_params.pop("show", None)
            _dead_letters(here)
        else:
            st.query_params["show"] = "rejected"
            _rejected_uploads(here)


def _show_result(result: object) -> None:
    st.text(str(result))


def _search() -> tuple[str, str]:
    """Ask for a part of a key and a time; both are in the address."""
    left, right = st.columns([3, 1])
    text = left.text_input(
        "Find by user or key",
        value=st.query_params.get("find", ""),
        placeholder="a user's id, or a part of the key",
        key="find failures",
    ).strip()
    with right:
        period = widgets.choose_period("Failed in the")
    _keep_in_address("find", text)
    return text, period


def _keep_in_address(name: str, value: str) -> None:
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def _choose_group(label: str, groups: list[Group], whole: str) -> str:
    """Offer each group with its count and times; return the chosen one, empty for all."""
    by_name = {group.value: group for group in groups}
    names = ["", *by_name]
    asked = st.query_params.get(label.lower(), "")
    if asked and asked not in by_name:
        names.append(asked)
    chosen: str = st.radio(
        label,
        names,
        index=names.index(asked),
        format_func=lambda name: f"**{widgets.plain(name)}**" if name else whole,
        captions=[_about(by_name.get(name)) for name in names],
        key=f"{label} of {','.join(names)}",
    )
    _keep_in_address(label.lower(), chosen)
    return chosen


def _about(group: Group | None) -> str:
    if group is None:
        return ""
    now = time.time()
    first, last = units.duration(now - group.first), units.duration(now - group.last)
    return f"{group.count:,} · first {first} ago, last {last} ago"


def _pace() -> int:
    return int(
        st.number_input(
            "At most, per second",
            min_value=1,
            max_value=FASTEST,
            value=dead_letters.RATE,
            key="pace",
            help="What resize does beside the uploads of the day. An upload that comes meanwhile "
            "waits behind what is put on the queue faster.",
        )
    )


def _dead_letters(here: Deployment) -> None:
    st.caption(
        "Messages that the resize function failed on each time they were received. The picture "
        "may be fine: fix the cause, then put them back on the queue."
    )
    looked = _messages(here)
    found = looked.value
    _running_task(here)
    if not found.total:
        widgets.empty(
            "The dead-letter queue is empty: every upload was accepted or rejected. Send one on "
            "the page **Test avatars**."
        )
        st.caption(widgets.age(looked))
        return
    count = f"{found.total:,} dead-letter message{'s' if found.total > 1 else ''}"
    st.markdown(widgets.badge("error", count) + f" :gray[{widgets.age(looked)}]")
    text, period = _search()
    groups: list[Group] = []
    with widgets.show_errors():
        counted = _cause_groups(here, period, text, found.receives)
        groups = counted.value
        st.caption(
            "Causes by the function's log, each message's last try: also those that were redriven "
            "since, and without those whose function was killed."
        )
    cause = _choose_group("Cause", groups, "Any cause")
    shown = found.messages
    known: dict[str, Failure] = {}
    with widgets.show_errors():
        if cause or text:
            failed = _failures(here, period, cause, text, found.receives).value
            known = {failure.message_id: failure for failure in failed}
            shown = tuple(_as_message(failure) for failure in failed)
        else:
            known = _causes(here, tuple(message.message_id for message in shown), shown).value
    number = next((group.count for group in groups if group.value == cause), 0)
    if not cause:
        number = sum(group.count for group in groups)
    everything = _selection(period, cause, text, found.at)
    _group_actions(here, found, everything, number)
    which = "the newest by the log" if cause or text else f"a sample of {found.total:,}"
    st.caption(f"{len(shown)} shown: {which}")
    selected = tuple(message for message in shown if _message_row(here, message, known))
    _message_actions(here, selected, found)


def _as_message(failure: Failure) -> DeadLetter:
    keys = (failure.key,) if failure.key else ()
    return DeadLetter(failure.message_id, "", keys, failure.at, "")


def _running_task(here: Deployment) -> None:
    """Show the redrive that SQS carries out, whoever has started it, and offer to stop it."""
    with widgets.show_errors():
        task = _move_task(here).value
        if task is None or task.status != "RUNNING":
            return
        with st.container(border=True):
            st.markdown(
                f":material/sync: SQS redrives: {task.moved:,} of about {task.total:,} put back"
            )
            widgets.change_button(
                "Stop this redrive",
                KIND,
                lambda on: dead_letters.stop_move_task(on, here, task),
                key="stop redrive",
                icon=":material/stop_circle:",
            )


def _group_actions(here: Deployment, found: Sample, selection: Selection, number: int) -> None:
    """Offer to redrive or discard all, or all of a cause or a search."""
    with st.container(border=True):
        pace, redrive = st.columns([1, 2], vertical_alignment="bottom")
        with pace:
            rate = _pace()
        if selection.everything:
            label, about = f"all {found.total:,}", f"all {found.total:,} messages"
        else:
            label, about = f"these {number:,}", f"the messages of {selection}"
        with redrive:
            widgets.change_button(
                f"Redrive {label} at {rate} a second",
                KIND,
                lambda on: Redrive(on, here, found, selection, number, rate),
                key="redrive group",
                icon=":material/fast_forward:",
                type="primary",
            )
        with st.expander(f"Discard {widgets.plain(about)}", icon=":material/delete:"):
            st.markdown(
                "Deleted for good. Their originals stay in the uploads bucket; `make reconcile` "
                "queues those that have no avatar yet."
            )
            widgets.change_button(
                f"Discard {label}",
                KIND,
                lambda on: Discard(on, here, found, selection, number, rate),
                key="discard group",
                icon=":material/delete_forever:",
            )


def _message_row(here: Deployment, message: DeadLetter, known: dict[str, Failure]) -> bool:
    cause = known.get(message.message_id)
    with st.container(border=True):
        left, right = st.columns([6, 1], vertical_alignment="center")
        with left:
            chosen = st.checkbox(
                f"**{widgets.plain(str(message))}**", key=f"choose {message.message_id}"
            )
            error = widgets.badge("error", widgets.plain(cause.cause)) if cause else ""
            unknown = "The log names no cause: it may be older than the log is kept."
            st.markdown(f"{error} {widgets.plain(cause.sentence if cause else unknown)}")
            age = units.duration(time.time() - message.sent_at)
            since = f"sent {age} ago" if message.body else f"failed {age} ago"
            st.caption(f"{since} · message {message.message_id}")
        if right.toggle("Details", key=f"open {message.message_id}"):
            _message_details(here, message, cause)
    return chosen


def _message_details(here: Deployment, message: DeadLetter, cause: Failure | None) -> None:
    left, right = st.columns([1, 3])
    with left:
        _show_preview(here, message.keys[0] if message.keys else None, None)
    with right:
        since = message.sent_at if message.body else message.sent_at - _KEPT_DAYS * 86400
        _show_log(here, (message.message_id, *message.keys), since)
        if message.body:
            with st.expander("Message", icon=":material/mail:"):
                st.code(_indented(message.body), language="json", wrap_lines=True)
        if cause and cause.stack:
            with st.expander("Stack", icon=":material/segment:"):
                st.code(cause.stack, language=None, wrap_lines=True)


def _message_actions(here: Deployment, selected: tuple[DeadLetter, ...], found: Sample) -> None:
    if not selected:
        st.caption("Choose messages above to redrive or discard these alone.")
        return
    chosen = Sample(selected, found.total, found.at)
    with st.container(border=True):
        st.markdown(f"**{len(selected)} chosen:** {widgets.plain(_names(map(str, selected)))}")
        widgets.change_button(
            f"Redrive {len(selected)} chosen",
            KIND,
            lambda on: Redrive(on, here, chosen),
            key="redrive chosen",
            icon=":material/replay:",
            type="primary",
        )
        with st.expander("Discard the chosen messages", icon=":material/delete:"):
            st.markdown("Deleted for good. Their originals stay in the uploads bucket.")
            widgets.change_button(
                "Discard chosen",
                KIND,
                lambda on: Discard(on, here, chosen),
                key="discard chosen",
                icon=":material/delete_forever:",
            )


def _rejected_uploads(here: Deployment) -> None:
    st.caption(
        "Files that can't become an avatar. Their users were told so; the avatar they had before "
        "is kept. After a fix of the resize function, try them again."
    )
    text, period = _search()
    counted = _code_groups(here, period, text)
    groups = counted.value
    code = _choose_group("Code", groups, "Any code")
    # Each entry is the place where a page begins
    trail: list[tuple[float, str] | None] = st.session_state.setdefault(
        f"rejected pages {period} {code} {text}", [None]
    )
    page = _rejections(here, period, code, text, trail[-1]).value
    if not page.uploads and len(trail) == 1:
        widgets.empty(
            f"No upload was rejected so, {widgets.PERIODS[period].lower()}. To see one, send a "
            "text file named .jpg on the page **Test avatars**."
        )
    else:
        number = sum(group.count for group in groups if code in {"", group.value})
        _rejected_group_actions(
            here, _selection(period, code, text, counted.at), number if groups else 0
        )
        selected = tuple(upload for upload in page.uploads if _rejected_row(here, upload))
        _paging(page, trail)
        _rejected_actions(here, selected)
    gone = f" · {page.gone} more tried again or discarded since" if page.gone else ""
    st.caption(f"{len(page.uploads)} shown, newest first{gone} · {widgets.age(counted)}")


def _rejected_group_actions(here: Deployment, selection: Selection, number: int) -> None:
    if not number:
        return
    with st.container(border=True):
        pace, again = st.columns([1, 2], vertical_alignment="bottom")
        with pace:
            rate = _pace()
        with again:
            widgets.change_button(
                f"Try all {number:,} again at {rate} a second",
                KIND,
                lambda on: TryAgain(on, here, selection=selection, number=number, rate=rate),
                key="try again group",
                icon=":material/fast_forward:",
            )
        with st.expander(f"Discard the records of all {number:,}", icon=":material/delete:"):
            st.markdown(_DISCARDED_RECORDS)
            widgets.change_button(
                "Discard all records",
                KIND,
                lambda on: DiscardRecords(on, here, selection=selection, number=number, rate=rate),
                key="discard records group",
                icon=":material/delete_forever:",
            )


_DISCARDED_RECORDS = (
    "These records are deleted for good. Their originals stay; `make reconcile` would try those "
    "again."
)


def _rejected_row(here: Deployment, upload: RejectedUpload) -> bool:
    with st.container(border=True):
        left, right = st.columns([6, 1], vertical_alignment="center")
        with left:
            chosen = st.checkbox(f"**{widgets.plain(upload.key)}**", key=f"choose {upload.record}")
            st.markdown(f"{widgets.badge('warning', upload.code)} {widgets.plain(upload.message)}")
            age = units.duration(time.time() - upload.recorded)
            st.caption(f"rejected {age} ago · {units.size(upload.size)}")
        if right.toggle("Details", key=f"open {upload.record}"):
            picture, text = st.columns([1, 3])
            with picture:
                _show_preview(here, upload.key, upload.version_id)
            with text:
                _show_log(here, (upload.version,), upload.uploaded - _LINES_AROUND_SECONDS)
                st.caption(f"Record `{upload.record}` · version `{upload.version_id}`")
    return chosen


def _paging(page: RejectedPage, trail: list[tuple[float, str] | None]) -> None:
    newer, older, _ = st.columns([1, 1, 4])
    if len(trail) > 1 and newer.button("Newer", icon=":material/arrow_back:", width="stretch"):
        trail.pop()
        st.rerun()
    if page.older and older.button("Older", icon=":material/arrow_forward:", width="stretch"):
        trail.append(page.older)
        st.rerun()


def _rejected_actions(here: Deployment, selected: tuple[RejectedUpload, ...]) -> None:
    if not selected:
        st.caption("Choose uploads above to try these again or to discard their records alone.")
        return
    with st.container(border=True):
        names = widgets.plain(_names(upload.key for upload in selected))
        st.markdown(f"**{len(selected)} chosen:** {names}")
        widgets.change_button(
            f"Try {len(selected)} again",
            KIND,
            lambda on: TryAgain(on, here, selected),
            key="try again",
            icon=":material/replay:",
            type="primary",
        )
        with st.expander("Discard the chosen records", icon=":material/delete:"):
            st.markdown(_DISCARDED_RECORDS)
            widgets.change_button(
                "Discard records",
                KIND,
                lambda on: DiscardRecords(on, here, selected),
                key="discard records",
                icon=":material/delete_forever:",
            )


def _show_preview(here: Deployment, key: str | None, version_id: str | None) -> None:
    picture = None
    with widgets.show_errors():
        if key is not None:
            picture = _preview(here, key, version_id).value
    if picture:
        st.image(picture, caption="The original", alt="The original", width="stretch")
    else:
        widgets.empty("No preview: not a picture that can be opened.")


def _show_log(here: Deployment, containing: tuple[str, ...], since: float) -> None:
    with widgets.show_errors():
        found = _log(here, containing, since).value
        if not found:
            widgets.empty("The resize function's log has no line about it.")
            return
        st.code("\n".join(map(_line, found)), language=None, wrap_lines=True)


def _line(line: logs.Line) -> str:
    when = time.strftime("%d %b %H:%M:%S", time.localtime(line.time))
    skipped = {"time", "level", "message", "function", "request_id", "stack", "message_id"}
    facts = " ".join(
        f"{name}={value}" for name, value in line.fields.items() if name not in skipped
    )
    return f"{when}  {line.fields.get('message', line.text)}  {facts}"


def _names(names: Iterable[str], shown: int = 5) -> str:
    every = list(names)
    more = f" and {len(every) - shown} more" if len(every) > shown else ""
    return ", ".join(every[:shown]) + more


def _indented(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


main()
