"""The rights table: each operation of each page, tried as operator, as viewer and as nobody.

Operators' clicks are carried out and recorded. Viewers' buttons are disabled, and a click on
one that is enabled all the same changes nothing: not in AWS, not in the database, not in the audit.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.client
import psycopg
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from console import session, widgets
from console.operations import announcements, changes, migrations, progress
from console.operations.accounts import account, erasure, legal_hold, records
from console.operations.accounts.account import Account
from console.operations.audit.access import Actor
from console.operations.audit.audit import Audit
from console.operations.environments.deployment import ROOT, Deployment
from console.operations.pipeline import rejections
from console.operations.releases import aliases
from console.operations.uploads import outcomes, profiles
from console.operations.uploads.profiles import Profile
from console.operations.uploads.test_users import SignIn
from tests.integration.system import NOWHERE, wait_until
from tests.unit.console import deployments
from tests.unit.console.move_tasks import MoveTasks
from tests.unit.console.pages.conftest import Show

ADA = Profile("ada", "Ada", "", "7f3a52c0-9a1e-4d6b-8f00-0123456789ab", "", "")
# StartQuery reads logs; looking at dead-letter messages hides them for the moment of the look
_READS = re.compile(
    r"(Get|List|Describe|Head|Filter|BatchGet)\w*|Query|StartQuery|ReceiveMessage"
    r"|ChangeMessageVisibilityBatch"
)
Prepare = Callable[["World", AppTest], None]
Setup = Callable[["World"], None]


class Browser:
    """The part of the page Profile that runs in the browser, and what it sends back.

    Attributes
    ----------
    drawn
        How often the page drew it.
    sent
        The event of a picture that the browser has uploaded, which the page gets once.
    """

    def __init__(self) -> None:
        self.drawn = 0
        self.sent: dict[str, object] | None = None

    def __call__(self, **_options: object) -> SimpleNamespace:
        self.drawn += 1
        uploaded, self.sent = self.sent, None
        return SimpleNamespace(uploaded=uploaded, failed=None)


@dataclass
class World:
    """A system on moto and a real Postgres, and what was asked of AWS since the page was drawn."""

    here: Deployment
    database: str
    folder: Path
    calls: list[str] = field(default_factory=list)
    browser: Browser = field(default_factory=lambda: Browser())

    def changes(self) -> list[str]:
        return [call for call in self.calls if not _READS.fullmatch(call)]

    def state(self) -> tuple[Any, ...]:
        """Return all that an action leaves behind outside AWS."""
        with psycopg.connect(self.database) as connection:
            tables = connection.execute(
                "SELECT schemaname, relname, n_tup_ins + n_tup_upd + n_tup_del"
                " FROM pg_stat_user_tables ORDER BY 1, 2"
            ).fetchall()
            databases = connection.execute("SELECT count(*) FROM pg_database").fetchone()
            roles = connection.execute("SELECT rolname FROM pg_roles ORDER BY 1").fetchall()
            history = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
            heads = (
                connection.execute("SELECT * FROM alembic_version").fetchall()
                if history != (None,)
                else []
            )
        files = sorted(path.name for path in (ROOT / "migrations/versions").glob("*.py"))
        return tables, databases, roles, heads, files, list(self.folder.glob("local/audit/*/*"))


def _nothing(world: World, app: AppTest) -> None:
    pass


def _choose(world: World, app: AppTest) -> None:
    app.checkbox[0].check().run()


def _choose_and_type(world: World, app: AppTest) -> None:
    _choose(world, app)
    _type(world, app)


def _type(world: World, app: AppTest) -> None:
    app.main.text_input[-1].set_value("local").run()


def _write_a_line(world: World, app: AppTest) -> None:
    app.text_input(key="announcement").set_value("No applies today").run()


def _announced(world: World) -> None:
    change = announcements.announce(NOWHERE, "No applies today", 1)
    somebody = Actor("somebody", may_operate=True)
    changes.carry_out(change, lambda _: None, session.the_audit(), somebody, progress.ignore)
    st.cache_data.clear()


def _show_rejected(world: World, app: AppTest) -> None:
    app.segmented_control[0].set_value("Rejected uploads").run()


def _show_rejected_and_type(world: World, app: AppTest) -> None:
    _show_rejected(world, app)
    _type(world, app)


def _rejected(world: World, app: AppTest) -> None:
    _show_rejected(world, app)
    _choose(world, app)


def _rejected_and_type(world: World, app: AppTest) -> None:
    _rejected(world, app)
    _type(world, app)


def _redrive_elsewhere(world: World) -> None:
    MoveTasks(world.here, each_time=0)
    world.here.sqs.start_message_move_task(SourceArn="arn:aws:sqs:eu-central-1:123456789012:dead")
    world.calls.clear()


def _find(world: World, app: AppTest) -> None:
    app.session_state["view"] = "Find"
    app.run()
    app.text_input(key="find").set_value("kept").run()


def _find_and_type(world: World, app: AppTest) -> None:
    _find(world, app)
    app.text_input(key="typed for take-down").set_value("local").run()


def _find_locked(world: World, app: AppTest) -> None:
    deployments.lock(world.here, "kept")
    world.calls.clear()
    _find(world, app)


def _signed_in(world: World, app: AppTest) -> None:
    app.session_state["signed in as"] = [SignIn(ADA.sub, "ada", "token", 9e12)]
    app.run()


def _edit(world: World, app: AppTest) -> None:
    _signed_in(world, app)
    app.text_area[0].set_value("new").run()


def _reason(world: World, app: AppTest) -> None:
    app.text_input(key="reason of the hold").set_value("case 4711").run()


def _type_to_erase(world: World, app: AppTest) -> None:
    app.text_input(key="typed for erase an account").set_value("local").run()


def _type_to_release(world: World, app: AppTest) -> None:
    app.text_input(key="typed for release a legal hold").set_value("local").run()


def _hold(world: World) -> None:
    world.here.dynamodb.put_item(
        TableName="limits", Item=legal_hold.key(ADA.sub) | {"held": {"N": "1767323045"}}
    )
    world.calls.clear()


def _name_avatar(world: World, app: AppTest) -> None:
    app.text_input(key="cdn name").set_value("ada").run()


def _name_migration(world: World, app: AppTest) -> None:
    next(item for item in app.text_input if item.label == "What it does").set_value("add_x").run()


def _previewed(world: World, app: AppTest, key: str) -> None:
    """Show the preview of what is chosen, whoever looks: another operator has asked for it."""
    target = session.the_target()
    direction = "up" if key == "migrate to" else "down"
    chosen = str(app.selectbox(key=key).value)
    found = migrations.preview(world.database, to=chosen, direction=direction)  # type: ignore[arg-type]
    names = _with_digests([chosen, *(item.name for item in found)])
    change = changes.Operation(target, f"preview {direction}", chosen, names, lambda _: None)
    job = session.jobs().start(
        changes.fingerprint(change), "preview", "preview", lambda _key, _report: found
    )
    job.over.wait(20)
    app.run()


def _compared(world: World, app: AppTest) -> None:
    """Show the comparison with the schema that is there, which another operator has asked for."""
    found = migrations.adoption(world.database)
    job = session.jobs().start("compared", "compare", "compare", lambda _key, _report: found)
    job.over.wait(20)
    app.run()
    app.text_input(key="typed for adopt").set_value("local").run()


def _with_digests(names: list[str]) -> tuple[str, ...]:
    files = {path.stem: path for path in (ROOT / "migrations/versions").glob("*.py")}
    return tuple(f"{n} {hashlib.sha256(files[n].read_bytes()).hexdigest()}" for n in names)


def _preview(world: World, app: AppTest) -> None:
    _previewed(world, app, "migrate to")


def _preview_and_type(world: World, app: AppTest) -> None:
    _previewed(world, app, "rollback to")
    app.text_input(key="typed for rollback").set_value("local").run()


@dataclass(frozen=True)
class Operation:
    """A button: its page, its label's beginning, the audit's verb.

    Attributes
    ----------
    prepare
        What is done on the page before it can be clicked.
    setup
        What has happened before the page is opened.
    """

    page: str
    label: str
    action: str
    prepare: Prepare = _nothing
    setup: Setup = lambda world: None

    def button(self, app: AppTest) -> Button:
        named = [item for item in app.button if item.label.startswith(self.label)]
        return next((item for item in named if self.action in (item.key or "")), named[0])


def _leave_an_action_of_another_machine(world: World) -> None:
    elsewhere = Audit("local", lambda: world.database, world.folder / "elsewhere/audit")
    elsewhere.perform(Actor("ada", may_operate=True), "migrate", "head", "1", lambda: None)
    with psycopg.connect(world.database) as connection:
        connection.execute("SET session_replication_role = 'replica'")
        connection.execute("DELETE FROM avatar_ops.audit_entries WHERE outcome = 'done'")
        connection.execute("INSERT INTO avatar_ops.audit_running VALUES ('1')")


def _publish(world: World) -> None:
    deployments.publish(world.here, 2)
    world.calls.clear()


def _promote(world: World) -> None:
    deployments.publish(world.here, 2)
    change = aliases.promote(NOWHERE, world.here, aliases.read(world.here, "resize"))
    change.execute(progress.ignore)
    world.calls.clear()


def _lose_the_history(world: World) -> None:
    with psycopg.connect(world.database) as connection:
        connection.execute("DROP TABLE alembic_version, migration_history")


BROWSER = ("upload an avatar from the browser", "profile")
IN_THE_BROWSER = Operation(BROWSER[1], "", BROWSER[0], _signed_in)
OPERATIONS = [
    Operation("overview", "Show it to all", "announce", _write_a_line),
    Operation("overview", "Remove", "withdraw", setup=_announced),
    Operation("test_avatars", "Send", "send"),
    Operation("test_avatars", "Show again", "restore", _find),
    Operation("test_avatars", "Lock", "lock", _find),
    Operation("test_avatars", "Unlock", "unlock", _find_locked),
    Operation("test_avatars", "Take down", "clear", _find_and_type),
    Operation("failures", "Redrive all 1 at 50 a second", "redrive"),
    Operation("failures", "Redrive 1", "redrive", _choose),
    Operation("failures", "Stop this redrive", "stop redrive", setup=_redrive_elsewhere),
    Operation("failures", "Discard all 1", "discard", _type),
    Operation("failures", "Discard chosen", "discard", _choose_and_type),
    Operation("failures", "Try all 1 again at 50 a second", "try again", _show_rejected),
    Operation("failures", "Try 1 again", "try again", _rejected),
    Operation("failures", "Discard all records", "discard records", _show_rejected_and_type),
    Operation("failures", "Discard records", "discard records", _rejected_and_type),
    Operation("review", "Approve", "approve"),
    Operation("review", "Refuse", "refuse"),
    Operation("review", "Refuse and lock", "refuse and lock"),
    Operation("profile", "Sign in as", "sign in as a test user"),
    Operation("profile", "Save", "edit a test user's profile", _edit),
    Operation("profile", "Export", "export an account"),
    Operation("profile", "Place a legal hold", "place a legal hold", _reason),
    Operation("profile", "Release", "release a legal hold", _type_to_release, _hold),
    Operation("profile", "Erase", "erase an account", _type_to_erase),
    Operation("environment", "Run checks with a sign-in", "examine"),
    Operation("releases", "Release version 2 to 10 %", "release", setup=_publish),
    Operation("releases", "Promote version 2", "promote", setup=_publish),
    Operation("releases", "Back to version 1", "back", setup=_promote),
    Operation("migrations", "Preview", "preview up"),
    Operation("migrations", "Preview", "preview down"),
    Operation("migrations", "Apply 1", "migrate", _preview),
    Operation("migrations", "Roll back 1", "rollback", _preview_and_type),
    Operation("migrations", "Compare the live", "drift"),
    Operation("migrations", "Rehearse", "rehearse"),
    Operation("migrations", "Compare with", "compare", setup=_lose_the_history),
    Operation("migrations", "Adopt", "adopt", _compared, _lose_the_history),
    Operation("migrations", "Write the file", "new migration", _name_migration),
    Operation("cdn", "Invalidate", "invalidate", _name_avatar),
    Operation("audit", "Close 1", "close actions", setup=_leave_an_action_of_another_machine),
]


@pytest.fixture
def world(
    settings: Path, migrated_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    here = deployments.make(tmp_path)
    migrations.rollback(migrated_database, steps=1)
    with psycopg.connect(migrated_database) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
    monkeypatch.setenv("DATABASE_URL", migrated_database)
    deployments.bury(here, "ada.jpg")
    deployments.reject(here, "grace.jpg")
    deployments.hold(here, "held")
    for body in (b"one", b"two"):
        here.s3.put_object(Bucket=here.uploads_bucket, Key="kept.jpg", Body=body)
    monkeypatch.setattr(profiles, "read", lambda here, handle: ADA)
    monkeypatch.setattr(account, "find", lambda on, here, name: Account(ADA.sub, (ADA.handle,)))
    monkeypatch.setattr(account, "users", lambda here, sub: [])
    monkeypatch.setattr(records, "users", lambda here, sub: [])
    monkeypatch.setattr(erasure, "_wait", lambda seconds, report: None)
    monkeypatch.setattr(migrations, "create", lambda name: Path(name))
    # nobody resizes here
    monkeypatch.setattr(rejections, "SETTLE_SECONDS", 0)
    monkeypatch.setattr(outcomes, "ARRIVAL_SECONDS", 0)
    made = World(here, migrated_database, tmp_path)
    ask = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def recorded(client: Any, operation: str, parameters: Any) -> Any:
        made.calls.append(operation)
        return ask(client, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", recorded)
    of_a_tab = lambda **_options: SimpleNamespace(hidden=None)  # noqa: E731
    monkeypatch.setattr(
        st.components.v2,
        "component",
        lambda name, **_options: made.browser if name == "avatar_upload" else of_a_tab,
    )
    yield made
    wait_until(lambda: not session.jobs().running(), "the jobs")


@pytest.fixture
def drawn(show: Show, world: World) -> Callable[[Operation, str], AppTest]:
    def draw(operation: Operation, group: str) -> AppTest:
        app = show(operation.page, group=group)
        wait_until(lambda: not session.jobs().running(), "what the page looks up")
        app.run()
        operation.prepare(world, app)
        return app

    return draw


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.page}: {o.label}")
def test_an_operators_click_is_carried_out_and_recorded(
    drawn: Callable[[Operation, str], AppTest], world: World, operation: Operation
) -> None:
    operation.setup(world)
    app = drawn(operation, "operators")
    operation.button(app).click().run()
    wait_until(lambda: not session.jobs().running(), "the change")
    found = next(a for a in session.the_audit().actions() if a.action == operation.action)
    assert found.actor == "vera@example.com"
    assert found.outcome != "running"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.page}: {o.label}")
def test_a_viewer_opens_the_page_and_clicks_and_nothing_is_changed(
    drawn: Callable[[Operation, str], AppTest],
    world: World,
    operation: Operation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operation.setup(world)
    before = world.state()
    app = drawn(operation, "viewers")
    assert operation.button(app).disabled
    # Streamlit ignores clicks on what is disabled; here the button is enabled by mistake
    monkeypatch.setattr(widgets, "_allowed", lambda options: options)
    app.run()
    operation.button(app).click().run()
    wait_until(lambda: not session.jobs().running(), "what the click began, if anything")
    assert world.changes() == []
    assert world.state() == before
    assert not app.exception
    assert all(a.actor != "vera@example.com" for a in session.the_audit().actions())


def test_the_reason_of_one_action_is_recorded_with_it_alone(
    drawn: Callable[[Operation, str], AppTest], world: World
) -> None:
    app = drawn(Operation("failures", "Redrive all 1 at 50 a second", "redrive"), "operators")
    (field,) = (each for each in app.sidebar.text_input if each.label.startswith("Reason"))
    field.set_value("OPS-7: the bucket; is back").run()
    for _ in range(2):
        deployments.bury(world.here, "ada.jpg")
        st.cache_data.clear()
        app.run()
        buttons = (each for each in app.button if each.label.startswith("Redrive all"))
        next(buttons).click().run()
        wait_until(lambda: not session.jobs().running(), "the change")
    found = [a.reason for a in session.the_audit().actions() if a.action == "redrive"]
    assert found == ["", "OPS-7: the bucket; is back"]


def test_an_operators_picture_from_the_browser_is_recorded(
    drawn: Callable[[Operation, str], AppTest], world: World
) -> None:
    app = drawn(IN_THE_BROWSER, "operators")
    assert world.browser.drawn
    world.browser.sent = {"version": "0" * 32, "size": 1}
    app.run()
    wait_until(lambda: not session.jobs().running(), "the change")
    found = next(a for a in session.the_audit().actions() if a.action == BROWSER[0])
    assert found.actor == "vera@example.com"


def test_a_viewer_gets_no_upload_in_the_browser_and_none_is_taken_from_it(
    drawn: Callable[[Operation, str], AppTest], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.state()
    app = drawn(IN_THE_BROWSER, "viewers")
    assert not world.browser.drawn, "the token is given to an operator's browser alone"
    # the page draws it by mistake
    monkeypatch.setattr(session, "may_operate", lambda: True)
    world.browser.sent = {"version": "0" * 32, "size": 1}
    app.run()
    assert world.browser.drawn
    assert "may look at everything and change nothing" in app.error[0].value
    assert world.changes() == []
    assert world.state() == before
    assert session.the_audit().actions() == []


@pytest.mark.parametrize("page", sorted({operation.page for operation in OPERATIONS}))
def test_nobody_sees_a_page_or_a_button(show: Show, world: World, page: str) -> None:
    app = show(page, group="test-users")
    assert [button.label for button in app.button] == ["Sign out"]
    assert world.calls == []
    assert not world.browser.drawn


def test_the_documented_table_is_this_one() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z_]+) \| yes, recorded \| no \| no \|$",
                      (ROOT / "docs/console.md").read_text(), re.MULTILINE)  # fmt: skip
    tried = [(operation.action, operation.page) for operation in OPERATIONS]
    assert set(rows) == {*tried, BROWSER}
