"""An environment's parts must agree before anything is done to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from console.operations.environments import clients, databases, target
from console.operations.errors import OperationError

ACCOUNT = "123456789012"
SECRET = "hunter2"


class Place:
    """The folders in which an environment's tfvars, settings file and state are."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch

    def tfvars(self, env: str, **values: str) -> None:
        lines = [f'{name} = "{value}"' for name, value in values.items()]
        (self.folder / f"{env}.tfvars").write_text("\n".join(['# environment = "x"', *lines]))

    def settings(self, env: str, **values: str) -> None:
        lines = [f"{name}={value}" for name, value in values.items()]
        (self.folder / f".env.{env}").write_text("\n".join(lines))

    def variable(self, name: str, value: str) -> None:
        self._monkeypatch.setenv(name, value)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name in ("DATABASE_URL", "DATABASE_URL_ORIGIN", "AWS_ENDPOINT_URL", "TUNNEL"):
        monkeypatch.delenv(name, raising=False)
    made = Place(tmp_path, monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        made.variable(name, "testing")
    made.variable("AVATAR_OPS_ENV_DIR", str(tmp_path))
    made.variable("AVATAR_OPS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(target, "TFVARS", tmp_path)
    clients.forget_clients()
    with mock_aws():
        yield made
    clients.forget_clients()


def good(place: Place, env: str = "prod") -> None:
    place.tfvars(env, environment=env, region="eu-central-1", account_id=ACCOUNT)


def test_a_target_says_in_one_line_what_it_is(place: Place) -> None:
    good(place)
    resolved = target.resolve("prod")
    assert str(resolved) == f"prod, account {ACCOUNT}, eu-central-1, no database"
    assert resolved.state == place.folder / "state/prod"


@pytest.mark.parametrize(
    ("tfvars", "said"),
    [
        ({"environment": "prod"}, "ENV is staging, but terraform/envs/staging.tfvars is of 'prod'"),
        ({"environment": ""}, "names no environment"),
        ({"region": ""}, "sets no region"),
        ({"account_id": "999999999999"}, f"account {ACCOUNT}, but .* in 999999999999"),
        ({"account_id": ""}, f'which AWS account staging is in.*account_id = "{ACCOUNT}"'),
    ],
)
def test_parts_that_disagree_are_refused_in_words(
    place: Place, tfvars: dict[str, str], said: str
) -> None:
    whole = {"environment": "staging", "region": "eu-central-1", "account_id": ACCOUNT}
    place.tfvars("staging", **(whole | tfvars))
    with pytest.raises(OperationError, match=said):
        target.resolve("staging")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"REGION": "eu-west-1"}, "says eu-central-1, but prod was applied in eu-west-1"),
        ({"ACCOUNT_ID": "999999999999"}, r"but \.env\.prod says that prod is in 999999999999"),
    ],
)
def test_what_was_applied_elsewhere_is_not_applied_here(
    place: Place, settings: dict[str, str], said: str
) -> None:
    good(place)
    place.settings("prod", **settings)
    with pytest.raises(OperationError, match=said):
        target.resolve("prod")


def test_a_machine_without_tfvars_knows_the_account_from_the_settings_file(place: Place) -> None:
    place.settings("prod", REGION="eu-central-1", ACCOUNT_ID=ACCOUNT)
    assert target.resolve("prod").account == ACCOUNT


@pytest.mark.parametrize(
    ("env", "origin", "said"),
    [
        ("prod", "", "prod has its own database"),
        ("prod", "command line", "prod has its own database"),
        ("local", "", "set in the shell"),
        ("local", "environment", "set in the shell"),
    ],
)
def test_a_database_url_of_the_shell_is_refused(
    place: Place, env: str, origin: str, said: str
) -> None:
    good(place, env)
    place.variable("DATABASE_URL", f"postgresql://owner:{SECRET}@db:5432/other")
    place.variable("DATABASE_URL_ORIGIN", origin)
    with pytest.raises(OperationError, match=said) as refused:
        target.resolve(env)
    assert SECRET not in str(refused.value)


def test_a_database_of_makes_command_line_is_named_without_its_password(place: Place) -> None:
    place.variable("DATABASE_URL", f"postgresql://owner:{SECRET}@db:6432/app")
    place.variable("DATABASE_URL_ORIGIN", "command line")
    resolved = target.resolve("local")
    assert "database owner@db:6432/app" in str(resolved)
    assert SECRET in resolved.database_url()
    for shown in (str(resolved), repr(resolved), repr(dataclasses.asdict(resolved))):
        assert SECRET not in shown


def test_a_tunnel_changes_where_connections_go_and_not_whose_certificate_counts() -> None:
    found = databases.parse("postgresql://owner@db.internal:5432/app", "localhost:6543")
    assert str(found) == "database owner@db.internal:5432/app through localhost:6543"
    said = found.url().split()
    assert {"host=db.internal", "hostaddr=127.0.0.1", "port=6543"} <= set(said)
    with pytest.raises(OperationError, match="near end"):
        databases.parse("postgresql://owner@db.internal/app", "db.internal")


@pytest.mark.parametrize(
    "url", ["nonsense", "postgresql://a:b@c:port/d", f"postgresql://x:{SECRET}@[/"]
)
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(OperationError, match="not valid") as refused:
        databases.parse(url)
    assert url not in str(refused.value)
    assert refused.value.__cause__ is None


def test_each_environment_has_a_state_folder_and_brings_along_what_was_shared(place: Place) -> None:
    root = place.folder / "state"
    for env in ("prod", "local"):
        (root / "terraform" / env).mkdir(parents=True)
        (root / "terraform" / env / "initialised.json").write_text(env)
        (root / f"audit-waiting-{env}.jsonl").write_text(env)
    folder = target.state_folder("prod")
    assert (folder / "terraform/initialised.json").read_text() == "prod"
    assert (folder / "audit-waiting.jsonl").read_text() == "prod"
    assert (root / "audit-waiting-local.jsonl").exists()
    assert target.state_folder("prod") == folder
