"""Send test avatars and watch them come; find any avatar, go back, take it down."""

from __future__ import annotations

import functools
import hashlib
import time
from datetime import datetime
from typing import Any
from urllib.parse import quote

import streamlit as st

from console import session, widgets
from console.jobs import Job
from console.operations import progress
from console.operations.avatars import takedown, timeline, versions
from console.operations.avatars.versions import Version
from console.operations.environments import target
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import profiles, samples, send
from console.operations.uploads.send import UploadResult

_EVENTS = 50
_USERS = ("ada", "grace", "alan", "emilie")


def draw_sending(here: Deployment) -> None:
    """Draw what is sent, as whom, and how it arrives."""
    left, right = st.columns([3, 2])
    with left:
        files = st.file_uploader(
            "Pictures",
            type=list(send.CONTENT_TYPES),
            accept_multiple_files=True,
            help="One or several",
        )
        seed = st.session_state.setdefault("seed", int(time.time()))
        use_generated = st.checkbox("A generated picture", value=not files)
    with right:
        way = st.radio(
            "Send",
            ["As a user", "Directly"],
            captions=["token, presigned URL, PUT, as a browser does", "into the uploads bucket"],
        )
        user = st.selectbox("User", _USERS) if way == "As a user" else ""
        prefix = st.text_input("Folder", placeholder="none") if way == "Directly" else ""
    pictures = [(file.name, file.getvalue()) for file in files]
    if use_generated:
        pictures.append((f"generated-{seed}.jpg", samples.generated(seed)))
    if not pictures:
        widgets.empty("Choose a picture above, or tick *A generated picture*.")
    else:
        st.caption("This will be sent:")
        columns = st.columns(6)
        for index, (name, data) in enumerate(pictures):
            with columns[index % 6]:
                widgets.picture(data)
                st.caption(f"{name} · {widgets.size(len(data))}")
    label = f"Send {len(pictures)} pictures" if len(pictures) > 1 else "Send"
    if pictures and widgets.button(label, key="send", type="primary", icon=":material/send:"):
        before: Job | None = None
        for name, data in pictures:
            # a version is the MD5 of its bytes
            digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
            st.session_state.setdefault("sent", {})[digest] = data
            target = f"{name} as {user}" if user else f"{prefix}{name}"
            work = functools.partial(_send, here, name, data, user, prefix, before)
            with widgets.show_errors():
                before = session.act_once("avatar", "Send", target, f"send {target}", work)
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
    data = st.session_state.get("sent", {}).get(arrival.version)
    if data is None:  # another operator's
        st.code(arrival.url, language=None)
        return
    columns = st.columns(len(arrival.variants) + 1)
    with columns[0]:
        widgets.picture(data)
        st.caption(f"**sent** · {widgets.size(len(data))}")
    for column, variant in zip(columns[1:], arrival.variants, strict=True):
        with column:
            st.image(variant.url)
            saved = 1 - variant.size / len(data)
            name = variant.url.rpartition("/")[2]
            st.caption(f"**{name}** · {widgets.size(variant.size)} · {_saved(saved)}")
    st.code(arrival.url, language=None)


def _saved(part: float) -> str:
    return f"{part:.1%} saved" if part >= 0 else f"{-part:.1%} more"


def find(here: Deployment) -> None:
    """Draw an avatar's versions and what happened to it."""
    name = st.text_input(
        "Avatar's name",
        placeholder="@ada, a user's sub, or a file's name without extension",
        key="find",
    ).strip()
    if not name:
        widgets.empty("Give the name of an avatar to see its versions and what happened to it.")
        return
    if name.startswith("@"):
        try:
            name = session.look("sub", 60, lambda: profiles.read(here, name).sub, name).value
        except OperationError as error:
            widgets.show_error(error)
            return
    with widgets.show_errors():
        found = session.look("versions", 5, lambda: versions.versions(here, name), name)
        if not found.value:
            widgets.empty(f"No original is stored of **{name}**. Case matters; no extension.")
            _take_down(here, name)  # caches may hold it, or an earlier try may have stopped halfway
            widgets.show_jobs("version")
            return
        smallest = _smallest_pictures(here, name)
        left, right = st.columns([1, 3])
        with left:
            st.image(f"{here.assets_url}/avatars/{quote(name)}.jpg?{found.value[0].version}")
            st.caption(f"what users see · {widgets.age(found)}")
        with right:
            for version in found.value:
                _version(here, name, version, smallest.get(version.version))
        with widgets.show_errors():
            _timeline(here, name, found.value)
        _take_down(here, name)
    widgets.show_jobs("version")


def _smallest_pictures(here: Deployment, name: str) -> dict[str, str]:
    """Return the address of the smallest picture of each version that has any."""
    stored = session.look("objects", 10, lambda: takedown.objects_of(here, name), name).value
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
            small.image(picture, width=64)
        why = f" — {version.rejection.message}" if version.rejection else ""
        what.markdown(
            f"{widgets.badge(status[version.state], version.state)} "
            f"{version.uploaded.astimezone():%Y-%m-%d %H:%M:%S} · {widgets.size(version.size)} · "
            f":gray[{version.version[:8]}]{why}"
        )
        if version.state != "kept":
            return
        key = f"restore {version.key} {version.version_id}"
        with action:
            if widgets.button(
                "Show again",
                key=key,
                width="stretch",
                help=f"{name} will show this version instead",
            ):
                work = functools.partial(versions.restore, here, name, version)
                with widgets.show_errors():
                    session.act_once("version", "Restore", name, key, work)
                st.rerun()


def _timeline(here: Deployment, name: str, stored: list[Version]) -> None:
    since = time.time() - 86_400
    found = session.look("timeline", 15, lambda: timeline.timeline(here, name, stored, since), name)
    st.subheader("From presign to CDN, in the last day", anchor=False)
    st.dataframe(
        [
            {
                "At": f"{datetime.fromtimestamp(item.at).astimezone():%H:%M:%S}",
                "Where": item.where,
                "What": item.what,
                "Version": item.version[:8],
                "Took": "" if item.seconds is None else widgets.duration(item.seconds),
                "Detail": item.detail,
            }
            for item in found.value[:_EVENTS]
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


def _take_down(here: Deployment, name: str) -> None:
    st.subheader("Take it down", anchor=False)
    with st.container(border=True), widgets.show_errors():
        change = session.look(
            "take-down",
            10,
            lambda: takedown.take_down(target.resolve(target.chosen_env()), here, name),
            name,
        ).value
        objects = change.listing.objects
        st.markdown(
            f"This deletes **{len(objects)} objects** for good, all originals and variants, shows "
            "the default picture instead, and drops them from the CDN's caches:"
        )
        st.dataframe(
            [{"object": f"{item.bucket}/{item.key}", "bytes": item.size} for item in objects],
            hide_index=True,
            width="stretch",
            height=min(240, 38 * (len(objects) + 1)),
        )
        sure = widgets.confirmed(name, key=f"confirm {name}", what="delete it for good")
        if widgets.button("Take down", key="take-down", type="primary", disabled=not sure):
            session.act_once("version", "Take down", name, f"down {name}", change.execute)
            st.rerun()


def main() -> None:
    widgets.header(
        "Test avatars",
        "Send pictures as a user does and watch each step; find any avatar, go back, take it down.",
        refresh=("versions", "timeline", "objects", "take-down"),
    )
    try:
        here = session.here()
    except OperationError as error:
        widgets.show_error(error)
        return
    draw: Any = {"Send": draw_sending, "Find": find}
    chosen = st.segmented_control(
        "What",
        list(draw),
        default="Send",
        label_visibility="collapsed",
        required=True,
        key="test avatars view",
    )
    draw[chosen or "Send"](here)


main()
