"""Drop paths from CloudFront's caches, and see what was dropped, and at which cost."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from console import session, units, widgets
from console.operations.avatars import cdn
from console.operations.environments.deployment import Deployment
from console.operations.uploads import names

_LOOKED_AT = 10
_THIS, _ALL, _PATHS = "One avatar", "All avatars", "Paths"


@session.cached(60)
def _history(_here: Deployment) -> cdn.History:
    return cdn.history(_here)


@session.cached(30)
def _match(_here: Deployment, path: str) -> cdn.Match:
    return cdn.match(_here, path)


def main() -> None:
    widgets.header(
        "CDN",
        "CloudFront keeps pictures close to users. An invalidation makes it fetch them again.",
        refresh=(_history, _match),
    )
    widgets.show_jobs("cdn", _show_result)
    used: int | None = None
    with widgets.show_errors():
        here = session.here()
        looked = _history(here)
        used = looked.value.paths_this_month
        _show_month(looked)
    with widgets.show_errors():
        _new(session.here(), used)
    if used is not None:
        _show_history(looked.value)


def _show_month(looked: session.CachedValue[cdn.History]) -> None:
    found = looked.value
    used, free = found.paths_this_month, cdn.FREE_PATHS
    with st.container(border=True):
        left, middle, right = st.columns(3)
        at_least = "≥ " if found.uncounted else ""
        left.metric("Paths this month", f"{at_least}{used:,}")
        middle.metric("Free ones left", f"{max(0, free - used):,}")
        right.metric("Cost so far", f"{at_least}{cdn.cost(0, used):.2f} USD")
        st.progress(min(1.0, used / free))
        st.caption(
            f"{free:,} paths a month are free, then {cdn.USD_PER_PATH} USD each; a wildcard is one "
            "path. Counted here is this distribution; the free ones are the whole account's. "
            f"{widgets.age(looked).capitalize()}."
        )
        if found.uncounted:
            st.caption(
                f":material/hourglass_top: {found.uncounted} invalidations are not counted yet; "
                "each Refresh goes on with them."
            )


def _new(here: Deployment, used: int | None) -> None:
    st.header("New invalidation", anchor=False)
    what = st.segmented_control(
        "What to drop", (_THIS, _ALL, _PATHS), default=_THIS, required=True, key="cdn what"
    )
    paths = _chosen(what or _THIS)
    if not paths:
        return
    matches = _matches(here, paths)
    _show_matches(paths, matches)
    if what == _PATHS:
        _show_advice(paths)
    price = cdn.cost(used or 0, len(paths))
    count = f"{len(paths)} path{'s' if len(paths) > 1 else ''}"
    if used is None:
        st.caption(f"{count}; what this month's cost is not known.")
    else:
        st.caption(
            f"{count}, **{price:.3f} USD**: after it, {used + len(paths):,} of this month's "
            f"{cdn.FREE_PATHS:,} free ones are used."
            if price
            else f"{count}, **free**: after it, {used + len(paths):,} of this month's "
            f"{cdn.FREE_PATHS:,} free ones are used."
        )
    widgets.change_button(
        f"Invalidate {count}",
        "cdn",
        lambda on: cdn.Invalidate(on, here, tuple(paths), destructive=_is_wide(paths, matches)),
        key=f"invalidate {' '.join(paths)}",
        type="primary",
        icon=":material/mop:",
    )


def _is_wide(paths: list[str], matches: list[cdn.Match]) -> bool:
    """Say whether users may notice while what is dropped is fetched again.

    A wildcard of which it is not known how much it matches may match everything.
    """
    few = {found.path for found in matches if not found.more}
    return any(path.endswith("*") and (path == "/*" or path not in few) for path in paths)


def _chosen(what: str) -> list[str]:
    """Return the checked paths; empty while nothing is typed."""
    if what == _ALL:
        return list(cdn.ALL_AVATARS)
    if what == _THIS:
        name = st.text_input(
            "Avatar's name",
            key="cdn name",
            placeholder="data",
            help="The upload's key without its extension; of a user, their `sub`.",
        ).strip()
        if not name:
            widgets.empty("Type an avatar's name to see what would be dropped.")
            return []
        names.check_avatar_name(name)
        return cdn.paths_of(name)
    text = st.text_area(
        "Paths",
        key="cdn paths",
        placeholder="/avatars/data.jpg\n/banners/*",
        help="One a line, or with spaces between. A * at the end matches whatever follows.",
    )
    if not text.strip():
        widgets.empty("Type paths to see what they match; `/avatars/*` is every avatar.")
        return []
    return cdn.checked_paths(text)


def _matches(here: Deployment, paths: list[str]) -> list[cdn.Match]:
    """Return what the first paths match; nothing where the bucket can't be read."""
    with widgets.show_errors():
        return [_match(here, path).value for path in paths[:_LOOKED_AT]]
    return []


def _show_matches(paths: list[str], matches: list[cdn.Match]) -> None:
    rows: list[dict[str, Any]] = []
    for found in matches:
        count = f"{len(found.keys):,}{' or more' if found.more else ''}"
        rows.append(
            {
                "Path": found.path,
                "Objects": count if found.keys else "none",
                "Such as": ", ".join(found.keys[:3]) or "at most a cached “not found”",
            }
        )
    rows += [
        {"Path": path, "Objects": "not looked up", "Such as": ""} for path in paths[len(rows) :]
    ]
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "Path": st.column_config.TextColumn(width="medium"),
            "Objects": st.column_config.TextColumn(width="small"),
            "Such as": st.column_config.TextColumn(width="large"),
        },
    )


def _show_advice(paths: list[str]) -> None:
    for advice in cdn.advise(paths):
        saved = len(advice.instead_of) - (not advice.already_there)
        plural = "s" if saved > 1 else ""
        left, right = st.columns([5, 1], vertical_alignment="center")
        if advice.already_there:
            left.info(
                f"`{advice.wildcard}` covers {', '.join(f'`{p}`' for p in advice.instead_of[:3])} "
                f"already: leaving {'them' if plural else 'it'} out saves {saved} path{plural}.",
                icon=":material/lightbulb:",
            )
        else:
            left.info(
                f"One `{advice.wildcard}` instead of these {len(advice.instead_of)} saves {saved} "
                f"path{plural}. It also drops all else below, which is then fetched again once.",
                icon=":material/lightbulb:",
            )
        right.button(
            "Use it",
            key=f"use {advice.wildcard}",
            on_click=_use,
            args=(cdn.follow(advice, paths),),
        )


def _use(paths: list[str]) -> None:
    st.session_state["cdn paths"] = "\n".join(paths)


def _show_result(identifier: str) -> None:
    st.success(
        f"CloudFront has dropped them (`{identifier}`). Browsers keep an avatar one more minute.",
        icon=":material/check_circle:",
    )


def _show_history(found: cdn.History) -> None:
    st.header("History", anchor=False)
    if not found.invalidations:
        widgets.empty("Nothing was invalidated yet. A new avatar needs none: it shows in a minute.")
        return
    st.dataframe(
        [
            {
                "State": _state(item.status),
                "Created": f"{item.created.astimezone():%Y-%m-%d %H:%M:%S}",
                "Age": units.duration(time.time() - item.created.timestamp()),
                "Paths": None if item.paths is None else len(item.paths),
                "Which": "not read yet" if item.paths is None else "  ".join(item.paths),
                "Id": item.id,
            }
            for item in found.invalidations
        ],
        hide_index=True,
        column_config={
            "Age": st.column_config.TextColumn(width="small"),
            "Paths": st.column_config.NumberColumn(width="small"),
            "Which": st.column_config.TextColumn(width="large"),
        },
    )


def _state(status: str) -> str:
    return "✓ completed" if status == "Completed" else "… in progress"


main()
