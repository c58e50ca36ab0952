"""Is everything healthy, at a glance."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import altair
import streamlit as st

from console import session, units, widgets
from console.operations import migrations
from console.operations.avatars import cdn
from console.operations.avatars.cdn import Invalidation
from console.operations.environments import health
from console.operations.environments.deployment import Deployment
from console.operations.environments.health import Alarm, Certificate, Processed
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters

_EXPIRY_DAYS = 30
_OLD_SECONDS = 300


def card(title: str, found: Any, draw: Callable[[Any], None], page: str, link: str) -> None:
    """Draw one card, or why it can't be drawn, and the way to where it is dealt with."""
    with st.container(border=True, height="stretch"):
        st.markdown(f"**{title}**")
        if isinstance(found, OperationError):
            st.markdown(widgets.badge("unknown", "not known"))
            st.caption(f"{found.message} {found.remedy}")
        else:
            draw(found.value)
        way(page, link)


def way(page: str, label: str, **query: str) -> None:
    """Draw the way to another page."""
    st.page_link(
        f"pages/{page}.py", label=label, icon=":material/arrow_forward:", query_params=query
    )


def draw_queue(found: tuple[dict[str, int], float | None]) -> None:
    counts, oldest = found
    waiting = counts["waiting"] + counts["in_flight"]
    slow = oldest is not None and oldest > _OLD_SECONDS
    st.markdown(widgets.badge("warning" if slow else "ok", "slow" if slow else "healthy"))
    st.metric("Waiting or in flight", waiting)
    st.caption(
        f"Oldest waits {units.duration(oldest)}" if oldest else "No message has waited lately"
    )


def draw_failures(found: tuple[dict[str, int], list[Processed]]) -> None:
    counts, lines = found
    rejected = sum(bool(line.code) for line in lines)
    dead = counts["dead"]
    st.markdown(widgets.badge("error" if dead else "ok", "not empty" if dead else "empty"))
    st.metric("Dead-letter messages", dead)
    st.caption(f"Rejected in the last day: {rejected}")
    if rejected:
        way("failures", "See why", show="rejected")


def draw_alarms(found: list[Alarm]) -> None:
    firing = [alarm for alarm in found if alarm.state == "ALARM"]
    unmeasured = sum(alarm.state == "INSUFFICIENT_DATA" for alarm in found)
    if firing:
        st.markdown(widgets.badge("error", "in ALARM"))
    elif unmeasured == len(found):
        st.markdown(widgets.badge("unknown", "no data"))
    else:
        st.markdown(widgets.badge("ok", "OK"))
    st.metric("In ALARM", f"{len(firing)} of {len(found)}")
    if unmeasured:
        st.caption(f"{unmeasured} without data yet")
    elif not firing:
        st.caption("Everything within its bounds")
    for alarm in firing:
        st.caption(f"**{alarm.name}** for {_ago(alarm.since, '')}. {alarm.about}")
        way(*_DEALT_WITH.get(alarm.name, ("environment", "Check the environment")))


def draw_migration(found: tuple[migrations.Migration | None, int]) -> None:
    newest, pending = found
    st.markdown(
        widgets.badge("warning" if pending else "ok", "pending" if pending else "up to date")
    )
    st.metric("Pending migrations", pending)
    if newest and newest.applied_at:
        st.caption(f"Last: {newest.name.partition('_')[2]}, {_ago(newest.applied_at)}")


def draw_invalidations(found: list[Invalidation]) -> None:
    running = sum(item.status != "Completed" for item in found)
    st.markdown(widgets.badge("ok", f"{running} in progress" if running else "none in progress"))
    st.metric("Last invalidation", _ago(found[0].created) if found else "never")
    before = ", ".join(_ago(item.created) for item in found[1:])
    st.caption(f"Before it: {before}" if before else "New avatars show without one")


def draw_certificate(found: Certificate | None) -> None:
    if found is None:
        st.markdown(widgets.badge("ok", "CloudFront's own"))
        st.caption("No domain of its own is configured")
        return
    days = (found.expires - datetime.now(UTC)).days if found.expires else 0
    good = found.status == "ISSUED" and days > _EXPIRY_DAYS
    st.markdown(widgets.badge("ok" if good else "error", found.status.lower()))
    st.metric("Expires in", f"{days} days")
    st.caption(found.domain)


def _ago(when: datetime, word: str = " ago") -> str:
    return f"{units.duration(max(0, time.time() - when.timestamp()))}{word}"


def draw_arrivals(lines: list[Processed]) -> None:
    """Draw how many came, and how long they took."""
    arrived = [line for line in lines if not line.code]
    hour = [line for line in lines if line.at > time.time() - 3600]
    known = [(line.at, line.seconds) for line in arrived if line.seconds is not None]
    middle = health.percentiles([seconds for _, seconds in known])
    first, second, third, fourth = st.columns(4)
    first.metric("Uploads, last hour", f"{len(hour):,}", border=True)
    second.metric("Uploads, last day", f"{len(lines):,}", border=True)
    third.metric(
        "Upload to avatar, median",
        units.duration(middle[0]) if middle else "none yet",
        border=True,
    )
    fourth.metric(
        "Upload to avatar, p95", units.duration(middle[1]) if middle else "none yet", border=True
    )
    if not known:
        widgets.empty("No upload in the last day. Send one on **Test avatars** and watch it come.")
        return
    points = [{"at": round(at * 1000), "seconds": round(seconds, 2)} for at, seconds in known]
    dots = (
        altair.Chart(altair.Data(values=points))  # type: ignore[no-untyped-call]
        .mark_circle(size=60, opacity=0.6)
        .encode(
            x=altair.X("at:T", title=None, axis=altair.Axis(format="%H:%M:%S", tickCount=6)),
            y=altair.Y("seconds:Q", title="Seconds to avatar", axis=altair.Axis(tickCount=5)),
            tooltip=[
                altair.Tooltip("at:T", format="%H:%M:%S", title="At"),
                altair.Tooltip("seconds:Q", title="Seconds"),
            ],
        )
    )
    lines_at = [
        {"seconds": round(value, 2), "what": what}
        for value, what in zip(middle or (), ("median", "p95"), strict=False)
    ]
    bounds = altair.Chart(altair.Data(values=lines_at)).encode(  # type: ignore[no-untyped-call]
        y="seconds:Q"
    )
    st.altair_chart(
        (
            dots
            + bounds.mark_rule(strokeDash=[4, 4], opacity=0.5)
            + bounds.mark_text(align="left", dx=4, dy=-6, x=0, opacity=0.7).encode(text="what:N")
        ).properties(height=220),
        width="stretch",
    )


def main() -> None:
    widgets.header(
        "Overview",
        "Is everything healthy? Each card leads to where its matter is dealt with.",
        refresh=tuple(_LOOKUPS.values()),
    )
    with widgets.show_errors():
        here = session.here()
        found = session.ask_all(
            {name: functools.partial(look, here) for name, look in _LOOKUPS.items()}
        )
        if isinstance(found["processed"], OperationError):
            widgets.show_error(found["processed"])
        else:
            draw_arrivals(found["processed"].value)
        upper, lower = st.columns(3), st.columns(3)
        for column, (title, names, draw, page, link) in zip([*upper, *lower], _CARDS, strict=True):
            with column:
                card(title, joined([found[name] for name in names]), draw, page, link)
        ages = [looked.at for looked in found.values() if not isinstance(looked, OperationError)]
        if ages:
            st.caption(widgets.as_of(min(ages)).capitalize())


def joined(found: list[Any]) -> Any:
    """Return several lookups as one: a tuple of values, or the first error."""
    errors = [item for item in found if isinstance(item, OperationError)]
    if errors or len(found) == 1:
        return errors[0] if errors else found[0]
    return session.CachedValue(tuple(item.value for item in found), min(item.at for item in found))


@session.cached(15)
def _processed(_here: Deployment) -> list[Processed]:
    return health.processed(_here)


@session.cached(15)
def _queues(_here: Deployment) -> dict[str, int]:
    return dead_letters.counts(_here)


@session.cached(15)
def _age(_here: Deployment) -> float | None:
    return health.queue_age(_here)


@session.cached(15)
def _alarms(_here: Deployment) -> list[Alarm]:
    return health.alarms(_here)


@session.cached(15)
def _migration(_here: Deployment) -> tuple[migrations.Migration | None, int]:
    return health.last_migration(session.the_target())


@session.cached(15)
def _invalidations(_here: Deployment) -> list[Invalidation]:
    return cdn.newest(_here, 3)


@session.cached(15)
def _certificate(_here: Deployment) -> Certificate | None:
    return health.certificate(_here)


_LOOKUPS: dict[str, session.Lookup[[Deployment], Any]] = {
    "processed": _processed,
    "queues": _queues,
    "age": _age,
    "alarms": _alarms,
    "migration": _migration,
    "newest invalidations": _invalidations,
    "certificate": _certificate,
}
# Which alarm is dealt with where; whatever else, the environment may show why
_DEALT_WITH = {
    "dead-letters": ("failures", "Deal with the dead-letter messages"),
    "queue-age": ("failures", "See what fails"),
}
_CARDS: list[tuple[str, list[str], Callable[[Any], None], str, str]] = [
    ("Queue", ["queues", "age"], draw_queue, "failures", "Failures"),
    ("Failures", ["queues", "processed"], draw_failures, "failures", "Deal with them"),
    ("Alarms", ["alarms"], draw_alarms, "environment", "Check the environment"),
    ("Database", ["migration"], draw_migration, "migrations", "Migrations"),
    ("CDN", ["newest invalidations"], draw_invalidations, "cdn", "CDN"),
    ("Certificate", ["certificate"], draw_certificate, "environment", "Check the environment"),
]

main()
