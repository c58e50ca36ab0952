"""What every page shares: the environment, who acts, what was looked up and when."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from console.jobs import Job, Jobs
from console.operations.audit import access, audit
from console.operations.audit.access import Actor
from console.operations.audit.audit import Audit
from console.operations.environments import databases, deployment, target
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.progress import Report

T = TypeVar("T")
Work = Callable[[Report], Any]
_SAME_CLICK_SECONDS = 2
LET_IN = "let in"


@dataclass(frozen=True)
class Looked(Generic[T]):
    """What was looked up, and when (seconds since 1970)."""

    value: T
    at: float


def env() -> str:
    """Return the environment's name."""
    return target.chosen_env()


def here() -> Deployment:
    """Return the environment that this console operates; read anew, as `make env` rewrites it.

    Raises
    ------
    OperationError
        If nobody is signed in who may look, or there is no such environment.
    """
    require_actor()
    return deployment.load(env())


@st.cache_resource
def jobs() -> Jobs:
    """Return the jobs, shared by all sessions."""
    return Jobs()


@st.cache_resource
def the_audit() -> Audit:
    """Return the audit, shared by all sessions."""
    return Audit(
        env(),
        lambda: databases.operator_url(deployment.load(env())),
        target.state_folder(env()) / "audit-waiting.jsonl",
    )


def sign_in_is_demanded() -> bool:
    """Say whether others than this machine's user can reach the console."""
    return not access.is_loopback(cast("str | None", st.get_option("server.address")))


def sign_in_is_configured() -> bool:
    """Say whether OIDC is set up in ``.streamlit/secrets.toml``."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def actor() -> Actor | None:
    """Return who acts: the signed-in user, or this machine's user where nobody else can come.

    None is a stranger: not signed in, or in no group that may look.
    """
    if not sign_in_is_demanded() and not sign_in_is_configured():
        return Actor(getpass.getuser(), may_operate=True)
    user: Any = st.user
    if not user.get("is_logged_in"):
        return None
    return access.actor_of(
        str(user.get("email") or user.get("sub")), user.get("cognito:groups") or ()
    )


def let_in(admitted: bool) -> None:
    """Note whether app.py has let this session in."""
    st.session_state[LET_IN] = admitted


def require_entrance() -> None:
    """Send whoever came past app.py back through it.

    Until `st.navigation` has been called once since the server's start, Streamlit answers the
    address of a file in ``pages/`` by running that file alone.
    """
    if not st.session_state.get(LET_IN):
        PagesManager.uses_pages_directory = False
        st.rerun()


def require_actor() -> Actor:
    """Return who acts.

    Raises
    ------
    OperationError
        If it is a stranger.
    """
    found = actor()
    if found is None:
        raise OperationError("Nobody is signed in.", "Sign in, then try again.")
    return found


@st.cache_resource
def _looked_up() -> dict[tuple[str, Any], Looked[Any]]:
    return {}


def look(name: str, seconds: float, find: Callable[[], T], *arguments: Any) -> Looked[T]:
    """Return what `find` returned at most `seconds` ago, or ask it now.

    Parameters
    ----------
    name, arguments
        What is looked up; arguments must be hashable.
    """
    known, key = _looked_up(), (name, arguments)
    found = known.get(key)
    if found is None or time.time() - found.at > seconds:
        found = known[key] = Looked(find(), time.time())
    return found


def look_all(
    seconds: float, finds: Mapping[str, Callable[[], Any]]
) -> dict[str, Looked[Any] | OperationError]:
    """Look several things up at once; what fails is an error of its own."""
    known = _looked_up()

    def one(name: str, find: Callable[[], Any]) -> Looked[Any] | OperationError:
        found = known.get((name, ()))
        if found is None or time.time() - found.at > seconds:
            try:
                found = known[name, ()] = Looked(find(), time.time())
            except OperationError as error:
                return error
        return found

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(finds, pool.map(one, finds, finds.values()), strict=True))


def forget(*names: str) -> None:
    """Look these up anew the next time; without a name, everything."""
    known = _looked_up()
    for key in [key for key in known if not names or key[0] in names]:
        known.pop(key, None)


def act(kind: str, action: str, target: str, key: str, work: Work) -> Job:
    """Start an action as a job: checked, done once for its key, and recorded in the audit.

    Raises
    ------
    OperationError
        If the user may not act.
    """
    who = require_actor()
    access.require_operator(who)
    record = the_audit()

    def audited(report: Report) -> Any:
        return record.perform(who, action, target, key, lambda: work(report))

    return jobs().start(key, kind, f"{action}: {target}", audited)


def act_once(kind: str, action: str, target: str, name: str, work: Work) -> Job:
    """Start an action, or return its job if this same click has started it already.

    Parameters
    ----------
    name
        The same for every arrival of one click, such as the action with its targets. Clicked
        again while the action runs, or within seconds of its end, it is the same click.
    """
    job = next((job for job in jobs().of(kind) if job.key == action_key(name)), None)
    # without a job, the key is of one that is no longer kept
    if job is None or (job.ended and time.time() - job.ended > _SAME_CLICK_SECONDS):
        spend_key(name)
    return act(kind, action, target, action_key(name), work)


def action_key(name: str) -> str:
    """Return the key of the next action of that name: stays until `spend_key` makes a new one."""
    slot = f"key of {name}"
    if slot not in st.session_state:
        st.session_state[slot] = audit.new_key()
    return str(st.session_state[slot])


def spend_key(name: str) -> None:
    """Make the next action of that name one of its own."""
    st.session_state.pop(f"key of {name}", None)
