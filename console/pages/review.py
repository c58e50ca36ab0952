"""Pictures that were held or reported: look at one after the other, and decide."""

from __future__ import annotations

import time

import streamlit as st

from console import session, units, widgets
from console.operations.avatars import moderation, thumbnails
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import reviews
from console.operations.pipeline.reviews import Review, Summary

KIND = "review"
_LIST = "review list"
_FAILED = "review failed"
_PUT_OFF = "review put off"
_CLEAR = "review clear pictures"
_LOOKED_AT = "review looked at"


@session.cached(15, outlives_changes=True)
def _summary(_here: Deployment) -> Summary:
    return reviews.summary(_here)


@session.cached(600, outlives_changes=True)
def _preview(_here: Deployment, key: str, version_id: str | None) -> tuple[bytes, bytes] | None:
    """Return a picture, blurred and clear; neither is kept for longer than a review takes."""
    small = thumbnails.of_original(_here, key, version_id)
    return (thumbnails.blurred(small), small) if small else None


def main() -> None:
    """Draw the page."""
    widgets.header(
        "Review",
        "Pictures that were held before they are shown, or that users reported.",
        refresh=(_summary,),
    )
    _show_failures()
    with widgets.show_errors():
        here = session.here()
        if not reviews.is_on(here):
            widgets.empty(
                f"Nothing is held or reported in {here.name}. To change that, set `moderation` to "
                '`"reports"`, `"suspicious"` or `"all"`, and apply (docs/configuration.md).'
            )
            return
        _review(here)


def _show_failures() -> None:
    """Show what did not work lately; what did goes without saying."""
    for job in session.jobs().of(KIND)[:5]:
        if job.error and job.ended and time.time() - job.ended < 60:
            st.caption(f":red[:material/close:] {widgets.plain(job.title)}")
            widgets.show_error(job.error)


def _review(here: Deployment) -> None:
    looked = _summary(here)
    waiting = _next(here)
    if not waiting:
        widgets.empty("Nothing waits: all that was held or reported has been decided.")
        return
    review = waiting[0]
    decided = sum(job.started > looked.at for job in session.jobs().of(KIND))
    count = max(looked.value.count - decided, len(waiting))
    more = "at least " if looked.value.more else ""
    st.markdown(
        widgets.badge("warning", f"{more}{count} waiting")
        + f" :gray[the oldest for {units.duration(time.time() - review.since)}]"
    )
    picture, facts = st.columns([2, 3])
    with picture:
        _show_picture(here, review)
    with facts:
        _show_facts(review)
        _decisions(here, review)


def _next(here: Deployment) -> list[Review]:
    """Return what waits, the oldest first, what was put off last.

    A list is kept until it is done, or a decision fails: to ask before each one would take longer
    than to decide.
    """
    jobs = session.jobs().of(KIND)
    # what was begun by whoever uses this console, and did not fail
    taken = {job.title.partition(": ")[2] for job in jobs if job.state != "failed"}
    put_off: set[str] = st.session_state.setdefault(_PUT_OFF, set())
    failed = {job.key for job in jobs if job.state == "failed"}
    kept: list[Review] = st.session_state.get(_LIST, [])
    if failed - st.session_state.get(_FAILED, set()):
        kept = []  # somebody else may have decided it
    st.session_state[_FAILED] = failed
    waiting = [each for each in kept if str(each) not in taken | put_off]
    after = None
    while not waiting:
        page = reviews.page(here, after)
        waiting = [each for each in page.reviews if str(each) not in taken | put_off]
        after = page.after
        if not waiting and not after:
            if not put_off:
                break
            put_off.clear()
    st.session_state[_LIST] = waiting
    return waiting


def _show_picture(here: Deployment, review: Review) -> None:
    if not session.may_operate():
        widgets.empty("Only operators see pictures that nobody has allowed yet.")
        return
    found = _preview(here, review.key, review.version_id).value
    if found is None:
        widgets.empty(
            "No preview: the original is gone, or is larger than 12 MiB or 40 million pixels. "
            "What can't be looked at should be refused."
        )
        return
    soft, clear = found
    shown = st.session_state.get(_CLEAR) or st.session_state.get(_LOOKED_AT) == str(review)
    st.image(clear if shown else soft, alt="the picture", width="stretch")
    one, every = st.columns(2)
    one.button(
        "Look",
        key="review look",
        icon=":material/visibility:",
        shortcut="V",
        disabled=bool(shown),
        on_click=_look,
        args=(str(review),),
        width="stretch",
    )
    every.toggle("Never blur", key=_CLEAR)


def _look(review: str) -> None:
    st.session_state[_LOOKED_AT] = review


def _show_facts(review: Review) -> None:
    kind = {
        "held": "held: nobody sees it yet",
        "reported": "reported: it is shown",
        "approved": "approved, and not sent yet: approve it once more",
        "refused": "refused, and not sent yet: refuse it once more",
    }[review.state]
    st.markdown(f"**{widgets.plain(review.key)}** {widgets.badge('warning', kind)}")
    age = units.duration(time.time() - review.since)
    score = "" if review.score is None else f" · score {review.score:.2f}"
    st.caption(f"waits for {age}{score} · version {review.version_id}")
    for report in review.reports[:10]:
        when = units.duration(time.time() - report.at)
        text = f": {widgets.plain(report.text)}" if report.text else ""
        st.markdown(f"- **{widgets.plain(report.reason)}**{text} :gray[{when} ago]")
    if len(review.reports) > 10:
        st.caption(f"and {len(review.reports) - 10} more reports")


def _decisions(here: Deployment, review: Review) -> None:
    (approve, refuse), (lock, skip) = st.columns(2), st.columns(2)
    with approve:
        widgets.change_button(
            "Approve",
            KIND,
            (lambda on: moderation.approve(on, here, review))
            if review.state != "refused"
            else None,
            # of this picture alone: a key that is pressed twice does not decide the next one
            key=f"approve {review}",
            icon=":material/check:",
            type="primary",
            shortcut="A",
            width="stretch",
        )
    # what is taken down is listed first
    with st.container() if review.is_reported else refuse:
        _refuse(here, review, "Refuse", "X", lock=False)  # R and C are Streamlit's own
    with st.container() if review.is_reported else lock:
        _refuse(here, review, "Refuse and lock", "L", lock=True)
    skip.button(
        "Skip",
        key=f"skip {review}",
        icon=":material/skip_next:",
        shortcut="S",
        on_click=_skip,
        args=(str(review),),
        width="stretch",
    )


def _refuse(here: Deployment, review: Review, label: str, shortcut: str, *, lock: bool) -> None:
    possible = review.state != "approved" and (moderation.can_lock(review) or not lock)
    widgets.change_button(
        label,
        KIND,
        (lambda on: moderation.refuse(on, here, review, lock=lock)) if possible else None,
        key=f"{label.lower()} {review}",
        icon=":material/lock:" if lock else ":material/block:",
        shortcut=shortcut,
        width="stretch",
    )


def _skip(review: str) -> None:
    st.session_state.setdefault(_PUT_OFF, set()).add(review)


main()
