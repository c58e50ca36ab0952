"""Is everything healthy, at a glance."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import altair
import streamlit as st

from console import session, units, widgets
from console.operations import migrations
from console.operations.audit.audit import Action, Filter
from console.operations.avatars import cdn
from console.operations.avatars.cdn import Invalidation
from console.operations.environments import arrivals, health, logs
from console.operations.environments.arrivals import Arrivals, Bin
from console.operations.environments.deployment import Deployment
from console.operations.environments.health import Alarm, Certificate
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters

_EXPIRY_DAYS = 30
_OLD_SECONDS = 300
_METRIC_WIDTH = 147  # five in a row, two on a phone
_OUTLIER = 10  # times the median, from which on the slowest of a span is drawn on its own
_MARKED = ("apply", "release", "promote", "back", "migrate", "rollback")
_MOST_MARKS = 200
_HOUR = 3600
_LEAST_SECONDS = 0.01  # a logarithm has no zero


@dataclass(frozen=True)
class Condition:
    """How one part of the system is doing.

    Attributes
    ----------
    label, value
        The number that counts.
    notes
        Further sentences.
    ways
        Pages where it is dealt with: the page, the link's text, its query.
    """

    status: widgets.Status
    word: str
    label: str
    value: str
    notes: tuple[str, ...] = ()
    ways: tuple[tuple[str, str, dict[str, str]], ...] = ()


def queue(found: tuple[dict[str, int], float | None, int, Arrivals]) -> Condition:
    counts, oldest, failed, hour = found
    notes = ["How long the oldest waits is not known: no data yet"]
    if oldest is not None:
        notes = [f"Oldest waits {units.duration(oldest)}"]
    status: widgets.Status = "ok"
    word = "healthy"
    if oldest is not None and oldest > _OLD_SECONDS:
        status, word = "warning", "slow"
    if failed:
        since = time.time() - health.FAILED_SECONDS
        done = any(each.uploads and each.at + hour.width > since for each in hour.bins)
        status, word = ("warning", "some fail") if done else ("error", "all fail")
        span = units.duration(health.FAILED_SECONDS)
        messages = "message" if failed == 1 else "messages"
        notes.insert(0, f"{failed:,} {messages} failed in the last {span}")
    waiting = counts["waiting"] + counts["in_flight"]
    return Condition(
        status, word, "Waiting or in flight", f"{waiting:,}", tuple(notes), _to("failures")
    )


def failures(found: tuple[dict[str, int], Arrivals]) -> Condition:
    counts, came = found
    rejected = came.outcomes.get("rejected", 0)
    dead = counts["dead"]
    ways = _to("failures", "Deal with them" if dead else "Failures")
    if rejected:
        ways += (("failures", "See why", {"show": "rejected"}),)
    return Condition(
        "error" if dead else "ok",
        "not empty" if dead else "empty",
        "Dead-letter messages",
        f"{dead:,}",
        (f"Rejected: {rejected:,}{_most_frequent(came)}",),
        ways,
    )


def alarms(found: list[Alarm]) -> Condition:
    firing = [alarm for alarm in found if alarm.state == "ALARM"]
    unmeasured = sum(alarm.state == "INSUFFICIENT_DATA" for alarm in found)
    status: widgets.Status = "ok"
    word = "OK"
    if firing:
        status, word = "error", "in ALARM"
    elif unmeasured == len(found):
        status, word = "unknown", "no data"
    notes = [f"{unmeasured} without data yet"] if unmeasured else []
    ways = _to("environment", "Check the environment")
    for alarm in firing:
        notes.append(f"**{alarm.name}** for {_ago(alarm.since, '')}. {alarm.about}")
        ways = (*_to(*_DEALT_WITH.get(alarm.name, ("environment", "Check the environment"))), *ways)
    ways = tuple(way for index, way in enumerate(ways) if way not in ways[:index])
    return Condition(status, word, "In ALARM", f"{len(firing)} of {len(found)}", tuple(notes), ways)


def database(found: tuple[migrations.Migration | None, int]) -> Condition:
    newest, pending = found
    notes: tuple[str, ...] = ()
    if newest and newest.applied_at:
        notes = (f"Last: {newest.name.partition('_')[2]}, {_ago(newest.applied_at)}",)
    return Condition(
        "warning" if pending else "ok",
        "pending" if pending else "up to date",
        "Pending migrations",
        str(pending),
        notes,
        _to("migrations"),
    )


def invalidations(found: list[Invalidation]) -> Condition:
    running = sum(item.status != "Completed" for item in found)
    return Condition(
        "ok",
        f"{running} in progress" if running else "none in progress",
        "Last invalidation",
        _ago(found[0].created) if found else "never",
        (),
        _to("cdn"),
    )


def certificate(found: Certificate | None) -> Condition:
    ways = _to("environment", "Check the environment")
    if found is None:
        return Condition("ok", "CloudFront's own", "Domain of its own", "none", (), ways)
    days = (found.expires - datetime.now(UTC)).days if found.expires else 0
    good = found.status == "ISSUED" and days > _EXPIRY_DAYS
    return Condition(
        "ok" if good else "error",
        found.status.lower(),
        "Expires in",
        f"{days} days",
        (found.domain,),
        ways,
    )


def _to(page: str, label: str = "") -> tuple[tuple[str, str, dict[str, str]], ...]:
    return ((page, label or {"cdn": "CDN"}.get(page, page.capitalize()), {}),)


def _ago(when: datetime, word: str = " ago") -> str:
    return f"{units.duration(max(0, time.time() - when.timestamp()))}{word}"


def _most_frequent(came: Arrivals) -> str:
    codes = sorted(came.codes.items(), key=lambda item: -item[1])
    said = ", ".join(f"{code} {count:,}" for code, count in codes[:3])
    return f", mostly {said}" if len(codes) > 3 else f" ({said})" if codes else ""


def draw_attention(conditions: dict[str, Condition]) -> None:
    """Draw what needs an operator, the worst first; one line says so if nothing does."""
    needed = [item for item in conditions.items() if item[1].status in {"error", "warning"}]
    unknown = [title for title, condition in conditions.items() if condition.status == "unknown"]
    if not needed:
        said = f"Not known: {', '.join(unknown)}. Nothing else needs attention."
        if unknown:
            st.info(said, icon=":material/help:")
        else:
            st.success("Everything is healthy.", icon=":material/check_circle:")
        return
    needed.sort(key=lambda item: item[1].status != "error")
    for start in range(0, len(needed), 3):
        for column, (title, condition) in zip(st.columns(3), needed[start:], strict=False):
            with column, st.container(border=True, height="stretch"):
                st.markdown(
                    f"**{title}** {widgets.badge(condition.status, condition.word)}\n\n"
                    f"## {condition.value} :gray[:small[{condition.label.lower()}]]"
                )
                for note in condition.notes:
                    st.caption(note)
                _draw_ways(condition)


def draw_quiet(conditions: dict[str, Condition]) -> None:
    """Draw what needs nobody, a line each."""
    quiet = {
        title: condition
        for title, condition in conditions.items()
        if condition.status in {"ok", "unknown"}
    }
    if not quiet:
        return
    with st.container(border=True, gap="xsmall"):
        for title, condition in quiet.items():
            with st.container(
                horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
            ):
                notes = "".join(f" · {note}" for note in condition.notes)
                st.markdown(
                    f"{widgets.badge(condition.status, condition.word)} **{title}** "
                    f"{condition.label.lower()}: {condition.value} :gray[{notes}]",
                    width="content",
                )
                _draw_ways(condition)


def _draw_ways(condition: Condition) -> None:
    for page, label, query in condition.ways:
        st.page_link(
            f"pages/{page}.py",
            label=label,
            icon=":material/arrow_forward:",
            query_params=query,
            width="content",
        )


def draw_arrivals(came: Arrivals, period: str, marks: list[Action]) -> None:
    """Draw how many came, how long they took, and when something was changed."""
    middle = came.percentiles
    told = [units.duration(seconds) for seconds in middle] or ["none"] * 3
    with st.container(horizontal=True):
        for label, value, course in (
            ("Uploads", f"{came.uploads:,}", _course(came, lambda each: each.uploads)),
            (
                "Rejected",
                f"{came.outcomes.get('rejected', 0):,}",
                _course(came, lambda each: each.rejected),
            ),
            ("To avatar, median", told[0], _course(came, lambda each: each.p50 or 0)),
            ("To avatar, p95", told[1], _course(came, lambda each: each.p95 or 0)),
            ("To avatar, p99", told[2], None),
        ):
            st.metric(
                label, value, border=True, width=_METRIC_WIDTH, chart_data=course, height="stretch"
            )
    if not middle:
        when = widgets.PERIODS[period].lower()
        widgets.empty(f"No upload in the {when}. Send one on **Test avatars** and watch it come.")
        return
    st.altair_chart(_chart(came, middle[0], marks), width="stretch")


def _course(came: Arrivals, of: Callable[[Bin], float]) -> list[float] | None:
    """Return a value of each span, with those in which nothing came; None of a single one."""
    found = {round(each.at / came.width): of(each) for each in came.bins}
    if len(found) < 2:
        return None
    return [found.get(number, 0) for number in range(min(found), max(found) + 1)]


def over_time(came: Arrivals, median: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the median and p95 of each span of time, and what was far slower than the median."""

    def row(each: Bin, what: str, seconds: float) -> dict[str, Any]:
        at = round((each.at + came.width / 2) * 1000)
        rounded = round(max(seconds, _LEAST_SECONDS), 2)
        return {"at": at, "seconds": rounded, "what": what, "uploads": each.uploads}

    rows = [
        row(each, what, value)
        for each in came.bins
        for what, value in (("median", each.p50), ("p95", each.p95))
        if value is not None
    ]
    slow = [
        row(each, "slowest", each.slowest)
        for each in came.bins
        if each.slowest is not None and each.slowest > _OUTLIER * max(median, _LEAST_SECONDS)
    ]
    return rows, slow


def _chart(came: Arrivals, median: float, marks: list[Action]) -> Any:
    rows, slow = over_time(came, median)
    values = [row["seconds"] for row in (*rows, *slow)]
    kinds = ["median", "p95", "slowest"]
    days = came.width >= _HOUR
    x = altair.X(
        "at:T",
        title=None,
        axis=altair.Axis(format="%d %b" if days else "%H:%M", tickCount=6),
    )
    when = altair.Tooltip("at:T", format="%d %b %H:%M", title="At")
    base = altair.Chart(altair.Data(values=[*rows, *slow])).encode(  # type: ignore[no-untyped-call]
        x=x,
        y=altair.Y(
            "seconds:Q",
            title="Seconds to avatar",
            # of a single value, a logarithm's axis would have no length
            scale=altair.Scale(type="log", nice=False, domain=[min(values) / 2, max(values) * 2]),
            axis=altair.Axis(values=[0.01, 0.1, 1, 10, 100, 1000, 10_000]),
        ),
        color=altair.Color("what:N", sort=kinds, legend=altair.Legend(title=None, orient="top")),
        tooltip=[
            when,
            altair.Tooltip("what:N", title="What"),
            altair.Tooltip("seconds:Q", title="Seconds"),
            altair.Tooltip("uploads:Q", title="Uploads"),
        ],
    )
    lines = base.transform_filter("datum.what != 'slowest'").mark_line(opacity=0.5)
    points = base.mark_point(filled=True, size=50).encode(shape=altair.Shape("what:N", sort=kinds))
    changes = [
        {"at": round(each.started.timestamp() * 1000), "change": f"{each.action}: {each.target}"}
        for each in marks
    ]
    rules = (
        altair.Chart(altair.Data(values=changes))  # type: ignore[no-untyped-call]
        .mark_rule(strokeDash=[4, 4], size=2, color="gray")
        .encode(x=x, tooltip=[when, altair.Tooltip("change:N", title="Change")])
    )
    return (rules + lines + points if changes else lines + points).properties(height=220)


def main() -> None:
    widgets.header(
        "Overview",
        "What needs attention comes first, with the way to where it is dealt with.",
        refresh=(*_LOOKUPS.values(), _arrivals, _marks),
    )
    with widgets.show_errors():
        here = session.here()
        with st.container(width=300):
            period = widgets.choose_period("Uploads of the")
        came = f"arrivals {period}"
        found = session.ask_all(
            {
                **{name: functools.partial(look, here) for name, look in _LOOKUPS.items()},
                "arrivals 1h": functools.partial(_arrivals, here, "1h"),
                came: functools.partial(_arrivals, here, period),
            }
        )
        _show_away(found)
        kept = _kept()
        kept.update(
            {name: item for name, item in found.items() if not isinstance(item, OperationError)}
        )
        conditions = {
            title: _condition(
                found, kept, [came if name == "arrivals" else name for name in names], judge
            )
            for title, (names, judge) in _PARTS.items()
        }
        draw_attention(conditions)
        if came in kept:
            marks, unknown = _marks(here, period).value
            draw_arrivals(kept[came].value, period, marks)
            if unknown:
                st.caption(f"When something was changed is not known: {widgets.plain(unknown)}")
        draw_quiet(conditions)
        ages = [looked.at for looked in found.values() if not isinstance(looked, OperationError)]
        if ages:
            st.caption(widgets.as_of(min(ages)).capitalize())


@st.cache_resource(show_spinner=False)
def _kept() -> dict[str, session.CachedValue[Any]]:
    """Return the last answer to each lookup: shown, with its age, when there is none now."""
    return {}


def _show_away(found: dict[str, Any]) -> None:
    """Draw why something is not known, each reason once."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for item in found.values():
        if isinstance(item, OperationError):
            said, _, reason = item.message.partition(": ")
            reasons.setdefault((reason or said, item.remedy), []).append(item.message)
    for (reason, remedy), messages in reasons.items():
        said = messages[0] if len(messages) == 1 else f"{reason[:1].upper()}{reason[1:]}"
        widgets.show_error(OperationError(said, remedy))


def _condition(
    found: dict[str, Any],
    kept: dict[str, session.CachedValue[Any]],
    names: list[str],
    judge: Callable[[Any], Condition],
) -> Condition:
    away = any(isinstance(found[name], OperationError) for name in names)
    if any(name not in kept for name in names):
        return Condition("unknown", "not known", "Last", "never looked up")
    values = [kept[name] for name in names]
    condition = judge(values[0].value if len(values) == 1 else tuple(item.value for item in values))
    if not away:
        return condition
    before = f"was {condition.word}, {widgets.as_of(min(item.at for item in values))}"
    # trouble stays in sight
    status: widgets.Status = "unknown" if condition.status == "ok" else condition.status
    return replace(condition, status=status, word="not known now", notes=(before, *condition.notes))


@session.cached(15)
def _arrivals(_here: Deployment, period: str) -> Arrivals:
    return arrivals.within(_here, logs.seconds(period))


@session.cached(15)
def _marks(_here: Deployment, period: str) -> tuple[list[Action], str]:
    """Return what was changed in a time, or why that is not known."""
    since = datetime.fromtimestamp(time.time() - logs.seconds(period), UTC)
    wanted = Filter(actions=_MARKED, outcomes=("done",), since=since)
    try:
        return session.the_audit().actions(wanted, _MOST_MARKS), ""
    except OperationError as error:
        return [], error.message


@session.cached(15)
def _failed(_here: Deployment) -> int:
    return arrivals.failed(_here, health.FAILED_SECONDS)


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
    "failed": _failed,
    "queues": _queues,
    "age": _age,
    "alarms": _alarms,
    "migration": _migration,
    "newest invalidations": _invalidations,
    "certificate": _certificate,
}
# Which alarm is dealt with where; whatever else, the environment may show why
_DEALT_WITH = {
    "dead-letters": ("failures", "Deal with the messages"),
    "queue-age": ("failures", "See what fails"),
}
_PARTS: dict[str, tuple[list[str], Callable[[Any], Condition]]] = {
    "Queue": (["queues", "age", "failed", "arrivals 1h"], queue),
    "Failures": (["queues", "arrivals"], failures),
    "Alarms": (["alarms"], alarms),
    "Database": (["migration"], database),
    "CDN": (["newest invalidations"], invalidations),
    "Certificate": (["certificate"], certificate),
}

main()
