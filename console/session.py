"""What every page shares: the target, who acts, what was looked up and when, what was started."""

from __future__ import annotations

import functools
import inspect
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from console.jobs import Job, Jobs
from console.operations import changes
from console.operations.audit import access
from console.operations.audit.access import Actor
from console.operations.audit.audit import Audit
from console.operations.changes import Change, Operation
from console.operations.environments import deployment, target
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.progress import Report

T = TypeVar("T")
P = ParamSpec("P")
AUTHORIZED = "authorized"
_TARGET_SECONDS = 60
REASON = "reason"
_TAKEN = "reason taken"
_FINISHED = "finished before"


@dataclass(frozen=True)
class CachedValue(Generic[T]):
    """What a lookup answered, and when it was asked (seconds since 1970)."""

    value: T
    at: float


class Lookup(Protocol[P, T]):
    """A function whose answers all sessions share for a while."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> CachedValue[T]:
        """Return the answer, asking only if none is young enough."""
        ...

    def clear(self) -> None:
        """Ask again the next time."""
        ...


def cached(
    seconds: float, entries: int = 100, *, outlives_changes: bool = False
) -> Callable[[Callable[P, T]], Lookup[P, T]]:
    """Decorate a function so that all sessions share its answers.

    Parameters
    ----------
    seconds
        For how long at most.
    entries
        How many answers are kept, by the arguments; those whose names begin with ``_`` don't
        count. What is asked at once for the same arguments is asked once.
    outlives_changes
        Keep them when something was changed by this console: no change makes them wrong.
    """

    def decorate(find: Callable[P, T]) -> Lookup[P, T]:
        @functools.wraps(find)
        def ask(finished: int, *args: P.args, **kwargs: P.kwargs) -> CachedValue[T]:
            at = time.time()
            return CachedValue(find(*args, **kwargs), at)

        # Streamlit leaves arguments out by their names, which it reads here
        signature = inspect.signature(find)
        first = inspect.Parameter("finished", inspect.Parameter.POSITIONAL_ONLY)
        ask.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[first, *signature.parameters.values()]
        )
        kept = st.cache_data(ttl=seconds, max_entries=entries, show_spinner=False)(ask)

        @functools.wraps(find)
        def look(*args: P.args, **kwargs: P.kwargs) -> CachedValue[T]:
            return kept(0 if outlives_changes else jobs().finished, *args, **kwargs)

        look.clear = kept.clear  # type: ignore[attr-defined]
        return cast("Lookup[P, T]", look)

    return decorate


def ask_all(
    lookups: Mapping[str, Callable[[], CachedValue[Any]]],
) -> dict[str, CachedValue[Any] | OperationError]:
    """Look several things up at once; what fails is an error of its own."""
    context = get_script_run_ctx()

    def one(look: Callable[[], CachedValue[Any]]) -> CachedValue[Any] | OperationError:
        try:
            return look()
        except OperationError as error:
            return error

    with ThreadPoolExecutor(8, initializer=add_script_run_ctx, initargs=(None, context)) as pool:
        return dict(zip(lookups, pool.map(one, lookups.values()), strict=True))


def env() -> str:
    """Return the environment's name."""
    return target.chosen_env()


def here() -> Deployment:
    """Return the environment that this console operates, as its settings file says now.

    Raises
    ------
    OperationError
        If nobody is signed in who may look, or there is no such environment.
    """
    require_actor()
    return deployment.load(env())


@st.cache_resource(ttl=_TARGET_SECONDS, show_spinner=False)
def _resolved(env: str) -> Target:
    return target.resolve(env)


def the_target() -> Target:
    """Return what every change on the pages is done to.

    Raises
    ------
    OperationError
        If nobody is signed in who may look, or its parts disagree.
    """
    require_actor()
    return _resolved(env())


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """Return the jobs, shared by all sessions."""
    return Jobs()


def begin_run() -> None:
    """Remember what was changed before a page is drawn."""
    st.session_state[_FINISHED] = jobs().finished


def has_changed() -> bool:
    """Say, once, whether something was changed by this console while the page was drawn."""
    before = st.session_state.get(_FINISHED)
    begin_run()
    return before is not None and before != st.session_state[_FINISHED]


@st.cache_resource(show_spinner=False)
def the_audit() -> Audit:
    """Return the audit, shared by all sessions."""
    folder = target.state_folder(env()) / "audit"
    return Audit(env(), lambda: target.resolve(env()).database_url(), folder)


def sign_in_is_demanded() -> bool:
    """Say whether others than this machine's user can reach the console."""
    return not access.is_loopback(cast("str | None", st.get_option("server.address")))


def sign_in_is_configured() -> bool:
    """Say whether OIDC is set up in ``.streamlit/secrets.toml``.

    Raises
    ------
    OperationError
        If such a file is there and can't be read: it may be the one that demands the sign-in.
    """
    try:
        return "auth" in st.secrets
    except OSError as error:
        files: list[str] = st.get_option("secrets.files")
        if not any(os.path.lexists(file) for file in files):
            return False
        raise OperationError(
            f"Streamlit's secrets can't be read: {error}",
            "Correct .streamlit/secrets.toml: docs/console.md shows an example.",
        ) from error


def actor() -> Actor | None:
    """Return who acts: the signed-in user, or this machine's user where nobody else can come.

    None is somebody who is not signed in, or in no group that may look.
    """
    if not sign_in_is_demanded() and not sign_in_is_configured():
        return Actor(access.os_user(), may_operate=True)
    user: Any = st.user
    if not user.get("is_logged_in"):
        return None
    return access.actor_of(
        str(user.get("email") or user.get("sub")), user.get("cognito:groups") or ()
    )


def authorize(allowed: bool) -> None:
    """Note whether app.py has authorized this session."""
    st.session_state[AUTHORIZED] = allowed


def require_authorized() -> None:
    """Send whoever came past app.py back to it.

    Until `st.navigation` has been called once since the server's start, Streamlit answers the
    address of a file in ``pages/`` by running that file alone.
    """
    if not st.session_state.get(AUTHORIZED):
        PagesManager.uses_pages_directory = False
        st.rerun()


def require_actor() -> Actor:
    """Return who acts.

    Raises
    ------
    OperationError
        If nobody is signed in who may look.
    """
    found = actor()
    if found is None:
        raise OperationError("Nobody is signed in.", "Sign in, then try again.")
    return found


def may_operate() -> bool:
    """Say whether whoever looks may also change something."""
    found = actor()
    return found is not None and found.may_operate


def stop(key: str) -> None:
    """End what runs by this key, here or in another console or terminal, where it next may.

    Its record then says who stopped it.

    Raises
    ------
    OperationError
        If the user may not act, or it runs no more.
    """
    who = require_actor()
    the_audit().stop(key, who)
    for job in jobs().running():
        if job.key == key:
            job.stopped_by = who.name


def clear_taken_reason() -> None:
    """Empty the field of the reason, before it is drawn, if an action has taken it."""
    if st.session_state.pop(_TAKEN, False):
        st.session_state[REASON] = ""


def _take_reason() -> str:
    st.session_state[_TAKEN] = True
    return str(st.session_state.get(REASON, "")).strip()


def start(kind: str, change: Change, shown: str) -> Job:
    """Start a change as a job, done once however often its click arrives.

    Parameters
    ----------
    kind
        Where its progress is shown.
    shown
        The fingerprint of what the operator saw and confirmed.

    Raises
    ------
    OperationError
        If the user may not act.
    """
    who = require_actor()
    access.require_operator(who)
    record, reason = the_audit(), _take_reason()

    def work(key: str, report: Report) -> Any:
        confirm = changes.confirmed_as(shown)
        said = changes.carry_out(change, confirm, record, who, report, key=key, reason=reason)
        results = change.results if isinstance(change, Operation) else None
        return results[-1] if results else said

    return jobs().start(shown, kind, f"{change.action}: {change.subject}", work)
