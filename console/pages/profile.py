"""A user's page as the user sees it, and as a test user changes it."""

from __future__ import annotations

import base64
import time
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from console import session, units, widgets
from console.operations import migrations
from console.operations.accounts import account, erasure, export, legal_hold
from console.operations.accounts.account import Account
from console.operations.avatars import takedown, thumbnails
from console.operations.avatars.takedown import Listing
from console.operations.changes import Operation, fingerprint
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.uploads import names, profiles, refusals
from console.operations.uploads.profiles import Profile
from console.operations.uploads.test_users import SignIn

KIND = "profile"
SIGNED_IN = "signed in as"
_LARGEST_DOWNLOAD = 200 * 2**20
"""Streamlit keeps what it sends in memory."""
_COMPONENT = Path(__file__).resolve().parent.parent / "components"
_STYLE = """<style>
.banner { height: 180px; width: 100%; object-fit: cover; border-radius: .6rem; display: block;
  background: color-mix(in srgb, currentColor 10%, transparent); }
.who { display: flex; gap: 1.2rem; align-items: flex-end; margin: -56px 0 0 1.4rem; }
.who img { width: 128px; height: 128px; border-radius: 50%; object-fit: cover; flex: none;
  border: 4px solid var(--st-background-color, canvas); background: #8884; }
.who .name { font-size: 1.5rem; font-weight: 700; line-height: 1.2; }
.who .handle { opacity: .7; }
.who > div { padding-bottom: .6rem; min-width: 0; overflow-wrap: anywhere; }
.stands-in { display: flex; gap: .6rem; align-items: center; margin: .6rem 1.4rem 0; }
.stands-in > :is(img, b) { width: 32px; height: 32px; border-radius: 50%; flex: none; }
.stands-in b { display: grid; place-items: center; color: #fff; font-size: .8rem; }
.bio { margin: 1rem 1.4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.activity { padding: .8rem 1.4rem; border-top: 1px solid #8883; overflow-wrap: anywhere; }
.activity small { opacity: .7; }
.activities { margin-top: 1.2rem; }
</style>"""


@session.cached(30)
def _profile(_here: Deployment, handle: str) -> Profile:
    return profiles.read(_here, handle)


def main() -> None:
    """Draw the page."""
    widgets.header(
        "Profile", "A user's page, as the user sees it, through the real API.", refresh=(_profile,)
    )
    page, controls = st.columns([3, 2], gap="large")
    with controls:
        handle = _choose_user()
    with widgets.show_errors():
        here = session.here()
        with page:
            looked = _profile(here, handle)
            with st.container(border=True):
                st.html(_STYLE + _page(here, looked.value))
            st.caption(f"From `{here.api_url}` · {_crop(looked.value)} · {widgets.age(looked)}")
        with controls:
            _as_the_user(here, looked.value)
    with controls:
        widgets.show_jobs(KIND, result=_show_result, newest=2)
    with widgets.show_errors():
        _account(session.here(), handle)


def _choose_user() -> str:
    chosen = st.selectbox(
        "User",
        list(migrations.DEMO_USERS),
        accept_new_options=True,
        format_func=lambda name: f"@{name.removeprefix('@')}",
        help="A demo user, or type another handle.",
    )
    return str(chosen).removeprefix("@")


def _page(here: Deployment, profile: Profile) -> str:
    activities = "".join(
        f'<div class="activity">{escape(item.message)}<br><small>'
        f"{units.duration(max(0, time.time() - item.created_at))} ago · "
        f"{item.replies} replies · {item.reposts} reposts · {item.likes} likes</small></div>"
        for item in profile.activities
    )
    nothing = '<div class="activity"><small>No activity yet.</small></div>'
    return (
        f'<img class="banner" src="{escape(profile.banner_url)}" '
        f'alt="Banner of {escape(profile.handle)}">'
        f'<div class="who"><img src="{escape(profile.avatar_url)}" '
        f'alt="Avatar of {escape(profile.handle)}">'
        f'<div><div class="name">{escape(profile.display_name)}</div>'
        f'<div class="handle">@{escape(profile.handle)}</div></div></div>'
        f"{_stands_in(profile)}"
        f'<div class="bio">{escape(profile.bio) or "<i>No bio yet.</i>"}</div>'
        f'<div class="activities">{activities or nothing}</div>'
    )


def _stands_in(profile: Profile) -> str:
    """Draw what pages show while the avatar loads, and without one, as `<Avatar>` does."""
    drawn = thumbnails.of_placeholder(profile.placeholder) if profile.placeholder else None
    loading = (
        f'<img src="data:image/png;base64,{base64.b64encode(drawn).decode()}"'
        ' alt="Placeholder">while it loads'
        if drawn
        else ""
    )
    colour = f"oklch(0.48 0.11 {int(profile.hue)})"
    return (
        f'<div class="stands-in">{loading}<b style="background: {colour}">'
        f"{escape(profile.initials)}</b>without a picture</div>"
    )


def _crop(profile: Profile) -> str:
    if profile.crop is None:
        return "the avatar shows the middle of its picture"
    x, y, side = (f"{part:.0%}" for part in profile.crop)
    return f"the avatar's crop: {x} from the left, {y} from the top, {side} in size"


def _as_the_user(here: Deployment, profile: Profile) -> None:
    user = _signed_in(profile)
    if user is None:
        _sign_in(here, profile)
        return
    left, right = st.columns([3, 1], vertical_alignment="center")
    rest = units.duration(user.expires_at - time.time())
    left.markdown(widgets.badge("ok", f"signed in as @{profile.handle}") + f" :gray[for {rest}]")
    if right.button("Leave", help="End this sign-in here", width="stretch"):
        del st.session_state[SIGNED_IN]
        st.rerun()
    _new_avatar(here, profile, user)
    _edit(here, profile, user)


def _signed_in(profile: Profile) -> SignIn | None:
    """Return this profile's sign-in, unless it has ended."""
    user: SignIn | None = (st.session_state.get(SIGNED_IN) or [None])[0]
    if user is None or user.sub != profile.sub or user.expires_at < time.time() + 60:
        return None
    return user


def _sign_in(here: Deployment, profile: Profile) -> None:
    st.markdown(
        ":gray[Sign in as this test user to change their bio or picture. It sets their account a "
        "new random password; accounts of real users can't be signed in to.]"
    )
    # The token goes into this session alone: not into the job, its result or the audit
    box: list[SignIn] = st.session_state.setdefault(SIGNED_IN, [])

    def work(_report: Any) -> str:
        box[:] = [profiles.sign_in(here, profile)]
        return f"Signed in as @{profile.handle}."

    widgets.change_button(
        f"Sign in as @{profile.handle}",
        KIND,
        lambda on: Operation(
            on,
            "sign in as a test user",
            f"@{profile.handle}",
            (f"set a new random password for {profile.sub}",),
            work,
        ),
        key="sign in",
        icon=":material/login:",
        type="primary",
    )


def _edit(here: Deployment, profile: Profile, user: SignIn) -> None:
    with st.container(border=True):
        st.markdown("**Edit the profile**")
        name = st.text_input("Display name", profile.display_name, key=f"name {profile}")
        bio = st.text_area("Bio", profile.bio, key=f"bio {profile}", height=100)

        def work(_report: Any) -> str:
            changed = profiles.update(here, user, name, bio)
            return f"@{changed.handle} is now “{changed.display_name}”: {changed.bio}"

        before = f"from “{profile.display_name}”: {profile.bio}"

        def change(on: Target) -> Operation:
            touches = (before, f"to “{name}”: {bio}")
            return Operation(on, "edit a test user's profile", f"@{profile.handle}", touches, work)

        same = (name, bio) == (profile.display_name, profile.bio)
        widgets.change_button(
            "Save",
            KIND,
            None if same else change,
            key="save",
            icon=":material/save:",
            type="primary",
        )


@st.cache_resource
def _component() -> Any:
    html, css, js = (
        (_COMPONENT / f"avatar_upload.{kind}").read_text() for kind in ("html", "css", "js")
    )
    return st.components.v2.component("avatar_upload", html=html, css=css, js=js)


def _new_avatar(here: Deployment, profile: Profile, user: SignIn) -> None:
    with st.container(border=True):
        st.markdown("**New avatar** :gray[sent by this browser itself]")
        if not session.may_operate():
            widgets.empty("You may look, and change nothing.")
            return
        result = _component()(
            key="avatar upload",
            data={"api_url": here.api_url, "assets_url": here.assets_url, "token": user.token},
            on_uploaded_change=lambda: None,
            on_failed_change=lambda: None,
        )
        if result.failed:
            widgets.show_error(refusals.explain(here, refusals.Refusal(**result.failed)))
        if result.uploaded:
            version = str(result.uploaded["version"])
            sent = Operation(
                session.the_target(),
                "upload an avatar from the browser",
                f"@{profile.handle} {version[:8]}",
                (f"{user.sub} {version}",),
                lambda report: profiles.wait_until_shown(
                    here, profile.handle, user, version, report
                ),
            )
            session.start(KIND, sent, fingerprint(sent))
            st.rerun()


@session.cached(10)
def _account_of(_here: Deployment, handle: str) -> Account:
    return account.find(session.the_target(), _here, f"@{handle}")


@session.cached(10)
def _stored(_here: Deployment, sub: str) -> tuple[Listing, ...]:
    return tuple(takedown.list_stored(_here, name) for name in names.of_user(sub))


@session.cached(10)
def _held(_here: Deployment, sub: str) -> datetime | None:
    return legal_hold.held_since(_here, sub)


def _account(here: Deployment, handle: str) -> None:
    """Draw what can be done about the whole account: export, legal hold, erasure."""
    with st.expander(f"The account of @{handle}"), widgets.show_errors():
        whose = _account_of(here, handle).value
        held = _held(here, whose.sub).value
        st.markdown(f"`{whose.sub}` · {whose.activities} activities")
        _export(here, whose)
        _legal_hold(here, whose, held)
        _erase(here, whose, held)


def _export(here: Deployment, whose: Account) -> None:
    st.header("Give them what is stored", anchor=False)
    with st.container(border=True):
        st.markdown(
            "A zip with pictures, profile, activities, rejections, limits and what was done to the "
            "account. This machine keeps it for a day."
        )
        folder = export.folder(session.the_target())
        widgets.change_button(
            "Export",
            KIND,
            lambda on: export.Export(on, here, whose, folder / export.default_file(whose)),
            key="export an account",
            icon=":material/folder_zip:",
        )
        if not session.may_operate():
            return
        for file in sorted(folder.glob(f"{whose.sub}-*.zip"), reverse=True)[:3]:
            size = file.stat().st_size
            if size > _LARGEST_DOWNLOAD:
                st.caption(f"{units.size(size)}, too large to be sent from here: `{file}`")
                continue
            st.download_button(
                f"Save {file.name} ({units.size(size)})",
                data=file.read_bytes,
                file_name=file.name,
                mime="application/zip",
                key=f"save {file.name}",
            )


def _legal_hold(here: Deployment, whose: Account, held: datetime | None) -> None:
    st.header("Legal hold", anchor=False)
    with st.container(border=True):
        if held:
            st.markdown(f"Held since **{held.astimezone():%Y-%m-%d %H:%M}**: it can't be erased.")
        else:
            st.markdown("Keeps a copy of all that is stored, and refuses to erase the account.")
        reason = st.text_input(
            "The order, or the case", key="reason of the hold", autocomplete="off"
        )
        widgets.change_button(
            "Keep what has come since" if held else "Place a legal hold",
            KIND,
            (lambda on: legal_hold.place(on, here, whose, reason)) if reason.strip() else None,
            key="place a legal hold",
        )
        if held:
            widgets.change_button(
                "Release the hold",
                KIND,
                lambda on: legal_hold.ReleaseHold(on, here, whose.sub, held),
                key="release a legal hold",
            )


def _erase(here: Deployment, whose: Account, held: datetime | None) -> None:
    st.header("Erase it", anchor=False)
    with st.container(border=True):
        if held:
            widgets.empty("What is held is not erased. Release the hold first.")
            return
        listings = _stored(here, whose.sub).value
        caches = st.checkbox(
            "Drop what the CDN holds at once", value=True, help="Else it does within a day."
        )
        user = st.checkbox("Delete the sign-in too", value=True)
        widgets.change_button(
            "Erase the account",
            KIND,
            lambda on: erasure.Erase(
                on, here, whose, listings, drops_caches=caches, keeps_user=not user
            ),
            key="erase an account",
            type="primary",
        )


def _show_result(result: str) -> None:
    if result.startswith("http"):
        st.caption(f"The new picture: `{result}`")
    else:
        st.text(result)


main()
