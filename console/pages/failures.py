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
from console.operations.pipeline import dead_letters, rejections
from console.operations.pipeline.dead_letters import Cause, DeadLetter, Discard, Redrive, Sample
from console.operations.pipeline.rejections import (
    DiscardRecords,
    RejectedPage,
    RejectedUpload,
    TryAgain,
)

KIND = "failures"
_LINES_AROUND_SECONDS = 10
_LINES_SHOWN = 50


@session.cached(15)
def _messages(_here: Deployment, ended: int) -> Sample:
    return dead_letters.sample(_here)


@session.cached(60)
def _causes(
    _here: Deployment, ids: tuple[str, ...], _found: tuple[DeadLetter, ...]
) -> dict[str, Cause]:
    return dead_letters.causes(_here, _found)


@session.cached(30)
def _rejections(
    _here: Deployment, before: tuple[float, str] | None, after_key: str, ended: int
) -> RejectedPage:
    return rejections.page(_here, before, after_key)


@session.cached(3600, entries=200)
def _preview(_here: Deployment, key: str, version_id: str | None) -> bytes | None:
    return thumbnails.of_original(_here, key, version_id)


@session.cached(60)
def _log(_here: Deployment, containing: tuple[str, ...], since: float) -> list[logs.Line]:
    return logs.newest(_here, "resize", containing, since, _LINES_SHOWN)


def main() -> None:
    """Draw the page."""
    widgets.header(
        "Failures",
        "Uploads that did not become avatars: why, and what to do with them.",
        refresh=(_messages, _causes, _rejections, _log),
    )
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
            _dead_letters(here)
        else:
            _rejected_uploads(here)


def _show_result(result: object) -> None:
    st.text(str(result))


def _dead_letters(here: Deployment) -> None:
    st.caption(
        "Messages that the resize function failed on each time they were received. The picture "
        "may be fine: fix the cause, then put them back on the queue."
    )
    looked = _messages(here, session.jobs().ended(KIND))
    found = looked.value
    if not found.total:
        widgets.empty(
            "The dead-letter queue is empty: every upload was accepted or rejected. Send one on "
            "the page **Test avatars**."
        )
        st.caption(widgets.age(looked))
        return
    shown = found.messages
    causes: dict[str, Cause] = {}
    with widgets.show_errors():
        causes = _causes(here, tuple(message.message_id for message in shown), shown).value
    count = f"{found.total} dead-letter message{'s' if found.total > 1 else ''}"
    st.markdown(
        widgets.badge("error", count)
        + f" :gray[{len(shown)} shown, oldest first · {widgets.age(looked)}]"
    )
    selected = tuple(message for message in shown if _message_row(here, message, causes))
    _message_actions(here, selected, found)


def _message_row(here: Deployment, message: DeadLetter, causes: dict[str, Cause]) -> bool:
    cause = causes.get(message.message_id)
    with st.container(border=True):
        left, right = st.columns([6, 1], vertical_alignment="center")
        with left:
            chosen = st.checkbox(
                f"**{widgets.plain(str(message))}**", key=f"choose {message.message_id}"
            )
            error = widgets.badge("error", cause.error) if cause else ""
            unknown = "The log names no cause: it may be older than the log is kept."
            st.markdown(f"{error} {widgets.plain(cause.sentence if cause else unknown)}")
            age = units.duration(time.time() - message.sent_at)
            st.caption(f"sent {age} ago · message {message.message_id}")
        if right.toggle("Details", key=f"open {message.message_id}"):
            _message_details(here, message, cause)
    return chosen


def _message_details(here: Deployment, message: DeadLetter, cause: Cause | None) -> None:
    left, right = st.columns([1, 3])
    with left:
        _show_preview(here, message.keys[0] if message.keys else None, None)
    with right:
        _show_log(here, (message.message_id, *message.keys), message.sent_at)
        with st.expander("Message", icon=":material/mail:"):
            st.code(_indented(message.body), language="json")
        if cause and cause.stack:
            with st.expander("Stack", icon=":material/segment:"):
                st.code(cause.stack, language=None)


def _message_actions(here: Deployment, selected: tuple[DeadLetter, ...], found: Sample) -> None:
    chosen = Sample(selected, len(selected), found.at)
    with st.container(border=True):
        if selected:
            st.markdown(f"**{len(selected)} chosen:** {widgets.plain(_names(map(str, selected)))}")
        else:
            st.markdown(":gray[Choose messages above, or take all of them.]")
        one, all_of_them, _ = st.columns([1, 1, 2])
        with one:
            widgets.change_button(
                f"Redrive {len(selected)} chosen",
                KIND,
                (lambda on: Redrive(on, here, chosen)) if selected else None,
                key="redrive chosen",
                icon=":material/replay:",
                type="primary" if selected else "secondary",
                width="stretch",
            )
        with all_of_them:
            widgets.change_button(
                f"Redrive all {found.total}",
                KIND,
                lambda on: Redrive(on, here, found, everything=True),
                key="redrive all",
                icon=":material/fast_forward:",
                width="stretch",
            )
        if selected:
            with st.expander("Discard the chosen messages", icon=":material/delete:"):
                st.markdown(
                    "Deleted for good. Their originals stay in the uploads bucket; "
                    "`make reconcile` queues those that have no avatar yet."
                )
                widgets.change_button(
                    "Discard",
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
    # Each entry is the place where a page begins
    trail: list[tuple[tuple[float, str] | None, str]] = st.session_state.setdefault(
        "rejected pages", [(None, "")]
    )
    before, after_key = trail[-1]
    looked = _rejections(here, before, after_key, session.jobs().ended(KIND))
    page = looked.value
    if not page.uploads and len(trail) == 1 and not page.resume_after:
        widgets.empty(
            "No upload was rejected in the last 90 days. To see one, send a text file named .jpg "
            "on the page **Test avatars**."
        )
        st.caption(widgets.age(looked))
        return
    codes = sorted({upload.code for upload in page.uploads})
    st.markdown(
        " ".join(
            widgets.badge("warning", f"{code} {sum(u.code == code for u in page.uploads)}")
            for code in codes
        )
        + f" :gray[newest first · {page.walked:,} records looked at · {widgets.age(looked)}]"
    )
    selected = tuple(upload for upload in page.uploads if _rejected_row(here, upload))
    _paging(page, trail)
    if page.uploads:
        _rejected_actions(here, selected)


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


def _paging(page: RejectedPage, trail: list[tuple[tuple[float, str] | None, str]]) -> None:
    newer, older, further, _ = st.columns([1, 1, 2, 2])
    if len(trail) > 1 and newer.button("Newer", icon=":material/arrow_back:", width="stretch"):
        trail.pop()
        st.rerun()
    if page.older and older.button("Older", icon=":material/arrow_forward:", width="stretch"):
        trail.append((page.older, trail[-1][1]))
        st.rerun()
    if (
        page.resume_after
        and not page.older
        and further.button(f"Look after the first {page.walked:,}", icon=":material/more:")
    ):
        trail.append((None, page.resume_after))
        st.rerun()


def _rejected_actions(here: Deployment, selected: tuple[RejectedUpload, ...]) -> None:
    with st.container(border=True):
        names = widgets.plain(_names(upload.key for upload in selected))
        st.markdown(
            f"**{len(selected)} chosen:** {names}"
            if selected
            else ":gray[Choose uploads above to try them again or to discard their records.]"
        )
        widgets.change_button(
            f"Try {len(selected)} again",
            KIND,
            (lambda on: TryAgain(on, here, selected)) if selected else None,
            key="try again",
            icon=":material/replay:",
            type="primary" if selected else "secondary",
        )
        if selected:
            with st.expander("Discard the chosen records", icon=":material/delete:"):
                st.markdown(
                    "These records are deleted for good. Their originals stay; `make reconcile` "
                    "would try those again."
                )
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
