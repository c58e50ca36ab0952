"""Send test avatars and watch them come; find any avatar, go back, take it down."""

from __future__ import annotations

import functools
import hashlib
import time
from datetime import datetime
from typing import Any
from urllib.parse import quote

import streamlit as st

from console import session, units, widgets
from console.jobs import Job
from console.operations import progress
from console.operations.avatars import search, takedown, timeline, versions
from console.operations.avatars.search import Mentions
from console.operations.avatars.takedown import Listing, TakeDown
from console.operations.avatars.timeline import TimelineEvent
from console.operations.avatars.versions import Version
from console.operations.changes import Operation, fingerprint
from console.operations.environments import health
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import locks, names, profiles, samples, send
from console.operations.uploads.send import UploadResult

_EVENTS_SHOWN = 50
_AVATARS_OFFERED = 10
_USERS = ("ada", "grace", "alan", "emilie")
_GENERATED, _FILES = "A generated one", "Files"
_LARGEST_MEGABYTES = 64  # what is too large for an avatar is refused by the API, with its limit


@session.cached(60)
def _sub(_here: Deployment, handle: str) -> str:
    return profiles.read(_here, handle).sub


@session.cached(5)
def _versions(_here: Deployment, name: str) -> list[Version]:
    return versions.versions(_here, name)


@session.cached(10)
def _stored(_here: Deployment, name: str) -> Listing:
    return takedown.list_stored(_here, name)


@session.cached(10)
def _locked(_here: Deployment, user: str) -> datetime | None:
    return locks.locked_since(_here, user)


@session.cached(15)
def _events(_here: Deployment, name: str, _originals: list[Version]) -> list[TimelineEvent]:
    return timeline.timeline(_here, name, _originals, time.time() - health.DAY)


@session.cached(30)
def _mentions(_here: Deployment, text: str) -> Mentions:
    return search.mentions(_here, text, time.time() - health.DAY)


def draw_sending(here: Deployment) -> None:
    """Draw what is sent, as whom, and how it arrives."""
    left, right = st.columns([3, 2])
    with left:
        what = st.segmented_control(
            "Pictures", (_GENERATED, _FILES), default=_GENERATED, required=True, key="pictures"
        )
        seed = st.session_state.setdefault("seed", int(time.time()))
        if what == _FILES:
            # every file, so that what is refused has its reason said, and nothing takes its place
            files = st.file_uploader(
                "Files",
                accept_multiple_files=True,
                max_upload_size=_LARGEST_MEGABYTES,
                help="One or several",
            )
            pictures = [
                (file.name, file.getvalue()) for file in files if not _refusal(file.name, file.size)
            ]
            for why in filter(None, (_refusal(file.name, file.size) for file in files)):
                st.warning(why, icon=":material/block:")
        else:
            pictures = [(f"generated-{seed}.jpg", samples.generated(seed))]
    with right:
        way = st.radio(
            "Send",
            ["As a user", "Directly"],
            captions=["token, presigned URL, PUT, as a browser does", "into the uploads bucket"],
            key="way",
            persist_state="session",
        )
        user = (
            st.selectbox("User", _USERS, key="user", persist_state="session")
            if way == "As a user"
            else ""
        )
        prefix = (
            st.text_input("Folder", placeholder="none", key="folder", persist_state="session")
            if way == "Directly"
            else ""
        )
    if not pictures:
        widgets.empty("Choose a picture above, or send *A generated one*.")
    else:
        st.caption("This will be sent:")
        columns = st.columns(6)
        for index, (name, data) in enumerate(pictures):
            with columns[index % 6]:
                widgets.picture(data, name)
                shown = widgets.plain(widgets.shortened(name))
                st.caption(f"{shown} · {units.size(len(data))}")
    label = f"Send {len(pictures)} pictures" if len(pictures) > 1 else "Send"
    if pictures and widgets.button(label, key="send", type="primary", icon=":material/send:"):
        before: Job | None = None
        for name, data in pictures:
            # a version is the MD5 of its bytes
            digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
            small = widgets.thumbnail(data) or b""
            st.session_state.setdefault("sent", {})[digest] = (small, len(data))
            subject = f"{name} as {user}" if user else f"{prefix}{name}"
            work = functools.partial(_send, here, name, data, user, prefix, before)
            with widgets.show_errors():
                sent = Operation(
                    session.the_target(),
                    "send",
                    subject,
                    (f"{digest}, {units.size(len(data))}",),
                    work,
                )
                before = session.start("avatar", sent, fingerprint(sent))
        st.session_state["seed"] = seed + 1
        st.rerun()
    widgets.show_jobs("avatar", show_arrival, newest=6)


def _send(
    here: Deployment,
    name: str,
    data: bytes,
    user: str,
    prefix: str,
    before: Job | None,
    report: progress.Report,
) -> UploadResult:
    if before and not before.over.is_set():
        # sent at once, those of one user would overtake one another
        with progress.timed(report, "Wait for the one before"):
            before.over.wait()
    if user:
        return send.send_as_user(here, data, name.rpartition(".")[2].lower(), user, report)
    return send.send_directly(here, data, f"{prefix}{name}", report)


def show_arrival(arrival: UploadResult) -> None:
    """Draw before and after side by side, with the bytes saved."""
    small, size = st.session_state.get("sent", {}).get(arrival.version, (b"", 0))
    if not size:  # another operator's
        st.code(arrival.url, language=None, wrap_lines=True)
        return
    columns = st.columns(len(arrival.variants) + 1)
    with columns[0]:
        widgets.picture(small, "sent")
        st.caption(f"**sent** · {units.size(size)}")
    for column, variant in zip(columns[1:], arrival.variants, strict=True):
        with column:
            saved = 1 - variant.size / size
            name = variant.url.rpartition("/")[2]
            st.image(variant.url, alt=name)
            st.caption(f"**{name}** · {units.size(variant.size)} · {_saved(saved)}")
    st.code(arrival.url, language=None, wrap_lines=True)


def _refusal(file: str, size: int) -> str:
    """Say why a file is not sent; empty if it is."""
    named = f"**{widgets.plain(widgets.shortened(file))}** is not sent"
    if not size:
        return f"{named}: it is empty. Choose a picture that opens on this machine."
    if file.rpartition(".")[2].lower() in send.CONTENT_TYPES:
        return ""
    return (
        f"{named}: its ending is none of a JPEG, "
        "PNG, WebP, GIF or AVIF. Save it as one of these, such as a JPEG."
    )


def _saved(part: float) -> str:
    return f"{part:.1%} saved" if part >= 0 else f"{-part:.1%} more"


def find(here: Deployment) -> None:
    """Draw an avatar's versions and what happened to it."""
    name = st.text_input(
        "Avatar's name",
        placeholder="@ada, a user's sub, a file's name, a version, or the id of a request",
        key="find",
        bind="query-params",
    ).strip()
    if not name:
        widgets.empty("Give the name of an avatar to see its versions and what happened to it.")
        return
    if name.startswith("@"):
        try:
            name = _sub(here, name).value
        except OperationError as error:
            widgets.show_error(error)
            return
    with widgets.show_errors():
        found = _versions(here, name)
        if not found.value and names.name_of(name) != name:
            whole = _versions(here, names.name_of(name))
            if whole.value:
                name, found = names.name_of(name), whole
        if not found.value:
            widgets.empty(
                f"No original is stored of **{widgets.shortened(name)}**. Case matters; no "
                "extension."
            )
            _offer_user(here, name)
            _offer_mentioned(here, name)
            _lock(here, name)
            _take_down(here, name)  # caches may hold it, or an earlier try may have stopped halfway
            widgets.show_jobs("version", st.write)
            return
        smallest = _smallest_pictures(here, name)
        left, right = st.columns([1, 3])
        with left:
            st.image(
                f"{here.assets_url}/avatars/{quote(name)}.jpg?{found.value[0].version}",
                alt="the avatar",
            )
            st.caption(f"what users see · {widgets.age(found)}")
        with right:
            for version in found.value:
                _version(here, name, version, smallest.get(version.version))
        with widgets.show_errors():
            _timeline(here, name, found.value)
        _lock(here, name)
        _take_down(here, name)
    widgets.show_jobs("version", st.write)


def _offer_user(here: Deployment, name: str) -> None:
    """Draw the way to the user of that handle, if there is one."""
    try:
        _sub(here, name)
    except OperationError:  # nobody's, or there are no profiles
        return

    st.button(
        f"Show the avatar of the user @{name}",
        on_click=_find,
        args=(f"@{name}",),
        icon=":material/person:",
    )


def _find(name: str) -> None:
    st.session_state["find"] = name


def _offer_mentioned(here: Deployment, text: str) -> None:
    """Draw the way to the avatars of a version, or of a request or message by its id."""
    with widgets.show_errors():
        found = _mentions(here, text).value
        if not found.lines:
            return
        st.markdown("The functions' logs of the last day mention it:")
        with st.container(horizontal=True):
            for name in found.names[:_AVATARS_OFFERED]:
                st.button(
                    f"Show {widgets.shortened(name)}",
                    key=f"show {name}",
                    on_click=_find,
                    args=(name,),
                    icon=":material/image:",
                )
        st.table(
            [
                {
                    "At": f"{datetime.fromtimestamp(line.time).astimezone():%H:%M:%S}",
                    "Where": line.function,
                    "What": widgets.plain(str(line.fields.get("message") or line.text)[:200]),
                    "Detail": widgets.plain(
                        str(
                            line.fields.get("code")
                            or line.fields.get("reason")
                            or line.fields.get("key")
                            or ""
                        )
                    ),
                }
                for line in found.lines[-_EVENTS_SHOWN:]
            ],
            hide_index=True,
        )


def _smallest_pictures(here: Deployment, name: str) -> dict[str, str]:
    """Return the address of the smallest picture of each version that has any."""
    stored = _stored(here, name).value.objects
    pictures = [
        item for item in stored if item.key.startswith("variants/") and item.key.endswith(".jpg")
    ]
    pictures.sort(key=lambda item: -item.size)
    return {item.version: f"{here.assets_url}/{quote(item.key)}" for item in pictures}


def _version(here: Deployment, name: str, version: Version, picture: str | None) -> None:
    status: dict[str, widgets.Status] = {"shown": "ok", "kept": "unknown", "rejected": "error"}
    with st.container(border=True):
        small, what, action = st.columns([1, 5, 2], vertical_alignment="center")
        if picture:
            small.image(picture, width=64, alt=f"version {version.version[:8]}")
        why = f" — {version.rejection.message}" if version.rejection else ""
        what.markdown(
            f"{widgets.badge(status[version.state], version.state)} "
            f"{version.uploaded.astimezone():%Y-%m-%d %H:%M:%S} · {units.size(version.size)} · "
            f":gray[{version.version[:8]}]{why}"
        )
        if version.state != "kept":
            return
        with action:
            widgets.change_button(
                "Show again",
                "version",
                lambda on: versions.Restore(on, here, name, version),
                key=f"restore {version.key} {version.version_id}",
                width="stretch",
                help=f"{name} will show this version instead",
            )


def _timeline(here: Deployment, name: str, stored: list[Version]) -> None:
    found = _events(here, name, stored)
    st.header("From presign to CDN, in the last day", anchor=False)
    st.dataframe(
        [
            {
                "At": f"{datetime.fromtimestamp(item.at).astimezone():%H:%M:%S}",
                "Where": item.where,
                "What": item.what,
                "Version": item.version[:8],
                "Took": "" if item.seconds is None else units.duration(item.seconds),
                "Detail": item.detail,
            }
            for item in found.value[:_EVENTS_SHOWN]
        ],
        hide_index=True,
        column_config={
            "At": st.column_config.TextColumn(width="small"),
            "Where": st.column_config.TextColumn(width="small"),
            "Version": st.column_config.TextColumn(width="small"),
            "Took": st.column_config.TextColumn(width="small"),
        },
    )
    st.caption(f"Newest first · {widgets.age(found)}")


def _lock(here: Deployment, name: str) -> None:
    if not here.limits_table:  # applied before there was one
        return
    st.header("Lock its user", anchor=False)
    with st.container(border=True), widgets.show_errors():
        since = _locked(here, names.user_of(name)).value
        st.markdown(
            f"Locked since **{since.astimezone():%Y-%m-%d %H:%M}**: the user can send no pictures."
            if since
            else "The user can send no more pictures then. What is shown stays: take it down too."
        )
        widgets.change_button(
            "Unlock" if since else "Lock",
            "version",
            lambda on: locks.set_lock(on, here, name, locked=not since),
            key="lock",
        )


def _take_down(here: Deployment, name: str) -> None:
    st.header("Take it down", anchor=False)
    with st.container(border=True), widgets.show_errors():
        listing = _stored(here, name).value
        st.markdown(
            f"This deletes **{len(listing.objects)} objects** for good, all originals and "
            "variants, shows the default picture instead, and drops them from the CDN's caches:"
        )
        widgets.change_button(
            "Take down",
            "version",
            lambda on: TakeDown(on, here, name, listing),
            key="take-down",
            type="primary",
        )


def main() -> None:
    widgets.header(
        "Test avatars",
        "Send pictures as a user does and watch each step; find any avatar, go back, take it down.",
        refresh=(_versions, _events, _stored),
    )
    here = session.here()
    draw: Any = {"Send": draw_sending, "Find": find}
    chosen = st.segmented_control(
        "What",
        list(draw),
        default="Find" if st.query_params.get("find") else "Send",
        label_visibility="collapsed",
        required=True,
        key="view",
        bind="query-params",
    )
    draw[chosen or "Send"](here)


main()
