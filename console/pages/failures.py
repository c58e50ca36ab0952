"""Uploads that did not become avatars: why, and what to do with them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

import streamlit as st

from console import session, widgets
from console.operations.environments import logs
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import failures
from console.operations.pipeline.dead_letters import DeadLetter
from console.operations.pipeline.failures import Cause, RejectedPage, RejectedUpload

KIND = "failures"
LOOKED_UP = ("letters", "causes", "rejected", "lines")
_PREVIEW_SECONDS = 3600
_LINES_AROUND_SECONDS = 10


def main() -> None:
    """Draw the page."""
    widgets.header(
        "Failures",
        "Uploads that did not become avatars: why, and what to do with them.",
        refresh=LOOKED_UP,
    )
    widgets.show_jobs(KIND, result=_show_result)
    letters_tab, rejected_tab = "Dead letters", "Rejected uploads"
    chosen = st.segmented_control(
        "Kind of failure",
        [letters_tab, rejected_tab],
        default=rejected_tab if st.query_params.get("show") == "rejected" else letters_tab,
        required=True,
        label_visibility="collapsed",
    )
    with widgets.show_errors():
        here = session.here()
        if chosen == letters_tab:
            _dead_letters(here)
        else:
            _rejected_uploads(here)


def _show_result(result: object) -> None:
    st.text(str(result))


def _dead_letters(here: Deployment) -> None:
    st.caption(
        "Messages that the resize function failed on three times. The picture may be fine: mend "
        "the cause, then put them back on the queue."
    )
    looked = session.look("letters", 15, lambda: failures.letters(here), _ended())
    found = looked.value
    if not found.total:
        widgets.empty(
            "No dead letters: every upload was accepted or rejected. Send one on the page "
            "**Test avatars**."
        )
        st.caption(widgets.age(looked))
        return
    shown = found.shown
    causes: dict[str, Cause] = {}
    with widgets.show_errors():
        ids = tuple(letter.message_id for letter in shown)
        causes = session.look("causes", 60, lambda: failures.causes(here, shown), ids).value
    st.markdown(
        widgets.badge("error", f"{found.total} dead")
        + f" :gray[{len(shown)} shown, oldest first · {widgets.age(looked)}]"
    )
    selected = [letter for letter in shown if _letter_row(here, letter, causes)]
    _letter_actions(here, selected, shown, found.total)


def _letter_row(here: Deployment, letter: DeadLetter, causes: dict[str, Cause]) -> bool:
    cause = causes.get(letter.message_id)
    with st.container(border=True):
        left, right = st.columns([6, 1], vertical_alignment="center")
        with left:
            chosen = st.checkbox(f"**{_title(letter)}**", key=f"choose {letter.message_id}")
            error = widgets.badge("error", cause.error) if cause else ""
            unknown = "The log says nothing of it: it may be older than the log is kept."
            st.markdown(f"{error} {widgets.plain(cause.sentence if cause else unknown)}")
            age = widgets.duration(time.time() - letter.sent_at)
            st.caption(f"sent {age} ago · message {letter.message_id}")
        if right.toggle("Details", key=f"open {letter.message_id}"):
            _letter_details(here, letter, cause)
    return chosen


def _letter_details(here: Deployment, letter: DeadLetter, cause: Cause | None) -> None:
    left, right = st.columns([1, 3])
    with left:
        _preview(here, letter.keys[0] if letter.keys else None, None)
    with right:
        _lines(here, (letter.message_id, *letter.keys), letter.sent_at)
        with st.expander("Message", icon=":material/mail:"):
            st.code(_indented(letter.body), language="json")
        if cause and cause.stack:
            with st.expander("Stack", icon=":material/segment:"):
                st.code(cause.stack, language=None)


def _letter_actions(
    here: Deployment, selected: list[DeadLetter], shown: tuple[DeadLetter, ...], total: int
) -> None:
    ids = tuple(letter.message_id for letter in selected)
    everything = total if total > len(shown) else len(shown)
    with st.container(border=True):
        if selected:
            st.markdown(f"**{len(selected)} chosen:** {_names(map(_title, selected))}")
        else:
            st.markdown(":gray[Choose letters above, or take all of them.]")
        one, all_of_them, _ = st.columns([1, 1, 2])
        with one:
            some = widgets.button(
                f"Redrive {len(selected)} chosen",
                key="redrive chosen",
                icon=":material/replay:",
                type="primary" if selected else "secondary",
                width="stretch",
                **({} if selected else {"disabled": True}),
            )
        with all_of_them:
            every = widgets.button(
                f"Redrive all {everything}",
                key="redrive all",
                icon=":material/fast_forward:",
                width="stretch",
            )
        if selected:
            with st.expander("Discard the chosen letters", icon=":material/delete:"):
                st.markdown(
                    "Deleted for good: "
                    + _names(map(_title, selected))
                    + ".\n\nTheir originals stay in the uploads bucket; `make reconcile` queues "
                    "those that are no avatar yet."
                )
                phrase = _title(selected[0]) if len(selected) == 1 else f"discard {len(selected)}"
                typed = widgets.confirmed(phrase, key=f"confirm {ids}", what="discard")
                discard = widgets.button(
                    "Discard",
                    key="discard chosen",
                    icon=":material/delete_forever:",
                    **({} if typed else {"disabled": True}),
                )
                if discard and typed:
                    _start(
                        "Discard dead letters",
                        _names(map(_title, selected)),
                        f"discard {ids}",
                        lambda report: failures.discard(here, ids, report),
                    )
    if some and selected:
        _start(
            "Redrive dead letters",
            _names(map(_title, selected)),
            f"redrive {ids}",
            lambda report: failures.redrive(here, ids, report),
        )
    if every:
        _start(
            "Redrive dead letters",
            f"all {everything}",
            f"redrive all {tuple(letter.message_id for letter in shown)}",
            lambda report: failures.redrive_all(here, report),
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
    looked = session.look(
        "rejected", 30, lambda: failures.rejected(here, before, after_key), *trail[-1], _ended()
    )
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
    selected = [upload for upload in page.uploads if _rejected_row(here, upload)]
    _paging(page, trail)
    if page.uploads:
        _rejected_actions(here, selected)


def _rejected_row(here: Deployment, upload: RejectedUpload) -> bool:
    with st.container(border=True):
        left, right = st.columns([6, 1], vertical_alignment="center")
        with left:
            chosen = st.checkbox(f"**{widgets.plain(upload.key)}**", key=f"choose {upload.record}")
            st.markdown(f"{widgets.badge('warning', upload.code)} {widgets.plain(upload.message)}")
            age = widgets.duration(time.time() - upload.recorded)
            st.caption(f"rejected {age} ago · {widgets.size(upload.size)}")
        if right.toggle("Details", key=f"open {upload.record}"):
            picture, text = st.columns([1, 3])
            with picture:
                _preview(here, upload.key, upload.version_id)
            with text:
                _lines(here, (upload.version,), upload.uploaded - _LINES_AROUND_SECONDS)
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
        and further.button(f"Look behind the first {page.walked:,}", icon=":material/more:")
    ):
        trail.append((None, page.resume_after))
        st.rerun()


def _rejected_actions(here: Deployment, selected: list[RejectedUpload]) -> None:
    names = _names(upload.key for upload in selected)
    records = tuple(upload.record for upload in selected)
    with st.container(border=True):
        st.markdown(
            f"**{len(selected)} chosen:** {widgets.plain(names)}"
            if selected
            else ":gray[Choose uploads above to try them again or to discard their records.]"
        )
        again = widgets.button(
            f"Try {len(selected)} again",
            key="try again",
            icon=":material/replay:",
            type="primary" if selected else "secondary",
            **({} if selected else {"disabled": True}),
        )
        if selected:
            with st.expander("Discard the chosen records", icon=":material/delete:"):
                st.markdown(
                    "Deleted for good: the records of "
                    + widgets.plain(names)
                    + ". Their originals "
                    "stay; `make reconcile` would try those again."
                )
                phrase = selected[0].key if len(selected) == 1 else f"discard {len(selected)}"
                typed = widgets.confirmed(phrase, key=f"confirm {records}", what="discard")
                discard = widgets.button(
                    "Discard records",
                    key="discard records",
                    icon=":material/delete_forever:",
                    **({} if typed else {"disabled": True}),
                )
                if discard and typed:
                    _start(
                        "Discard rejection records",
                        names,
                        f"discard {records}",
                        lambda report: failures.discard_records(here, selected, report),
                    )
    if again and selected:
        _start(
            "Try rejected uploads again",
            names,
            f"again {records}",
            lambda report: failures.try_again(here, selected, report),
        )


def _start(action: str, target: str, name: str, work: session.Work) -> None:
    """Start an action once for this click; the next run shows it."""
    session.act_once(KIND, action, target, name, work)
    st.rerun()


def _ended() -> int:
    """Return how many actions have ended: each may have changed what is listed."""
    return sum(job.ended is not None for job in session.jobs().of(KIND))


def _preview(here: Deployment, key: str | None, version_id: str | None) -> None:
    picture = None
    with widgets.show_errors():
        if key is not None:
            picture = session.look(
                "preview",
                _PREVIEW_SECONDS,
                lambda: failures.preview(here, key, version_id),
                key,
                version_id,
            ).value
    if picture:
        st.image(picture, caption="The original", width="stretch")
    else:
        widgets.empty("No preview: no picture that can be opened.")


def _lines(here: Deployment, containing: tuple[str, ...], since: float) -> None:
    with widgets.show_errors():
        found = session.look(
            "lines", 60, lambda: failures.log_lines(here, containing, since), containing, since
        ).value
        if not found:
            widgets.empty("The resize function's log has no line about it.")
            return
        st.code("\n".join(map(_line, found)), language=None, wrap_lines=True)


def _line(line: logs.Line) -> str:
    when = time.strftime("%d %b %H:%M:%S", time.localtime(line.time))
    left_out = {"time", "level", "message", "function", "request_id", "stack", "message_id"}
    facts = " ".join(
        f"{name}={value}" for name, value in line.fields.items() if name not in left_out
    )
    return f"{when}  {line.fields.get('message', line.text)}  {facts}"


def _title(letter: DeadLetter) -> str:
    return ", ".join(letter.keys) or "no S3 event"


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
