"""The contract tried on the running system, whole and with parts broken by hand."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator

import psycopg
import pytest

from console.operations import acceptance, changes
from console.operations.acceptance import Accept, Result
from console.operations.acceptance.subject import Subject
from console.operations.audit.access import Actor
from console.operations.environments.deployment import ROOT, Deployment
from console.operations.environments.doctor import examination
from console.operations.environments.terraform import Workspace
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters
from console.operations.progress import ignore
from console.operations.uploads import test_users
from tests.integration.live import configured
from tests.integration.system import System
from tests.integration.test_doctor import (
    FRONT_ENDS,
    at_its_ports,
    bucket_policy,
    cors,
    function,
)

Break = Callable[[Deployment], contextlib.AbstractContextManager[None]]
SHORT_SECONDS = 3
"""A removal waits for as long as the resize function may run."""


def prepared(system: System, here: Deployment) -> Accept:
    target = system.target()
    return acceptance.prepare(target, here, lambda: Workspace(target))


def accounts(here: Deployment) -> list[str]:
    """Return the test users that runs have left."""
    listed = here.cognito.list_users(UserPoolId=here.user_pool_id)["Users"]
    names = [
        item["Value"] for user in listed for item in user["Attributes"] if item["Name"] == "email"
    ]
    return [name for name in names if name.startswith("acceptance-")]


def test_the_running_system_keeps_every_promise_and_nothing_is_left(
    system: System, here: Deployment
) -> None:
    dead = dead_letters.counts(here)["dead"]
    with function(here, "resize", Timeout=SHORT_SECONDS):
        printed = system.make("accept", "JSON=1")
    report = json.loads(printed[printed.index("\n{") : printed.rindex("}") + 1])
    results = [Result(**result) for result in report["results"]]
    assert [result for result in results if result.state == "failed"] == []
    assert {result.name for result in results if result.state == "not asked"} == {
        "429 above api_throttling",
        "429 too_many_uploads",
        "500 and 503",
        "an expired token",
        "what the alarms measure",
    }
    assert len(results) > 120
    page = (ROOT / "docs/local-differences.md").read_text()
    asked = page.partition("\n## What make accept asks of AWS\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| ([^|]+?) \|", asked, re.MULTILINE)) - {"question", "---"}
    assert {result.name for result in results if result.embedded} == documented
    assert (report["environment"], report["emulated"]) == ("local", True)

    (kept,) = (system.directory / "state/local/acceptance").glob("*.json")
    text = kept.read_text()
    assert json.loads(text)["results"] == report["results"]
    assert not any(secret in text for secret in ("eyJ", "X-Amz-Signature", "AWS4-HMAC"))

    assert accounts(here) == []
    assert dead_letters.counts(here)["dead"] == dead
    (handle,) = set(re.findall(r"acceptance-[0-9a-f]{10}", text))
    with psycopg.connect(system.target().database_url()) as connection:
        rows = connection.execute("SELECT FROM users WHERE handle = %s", (handle,))
        assert rows.fetchone() is None
    assert "accept on local, account 000000000000" in printed
    assert f"+ the test user {handle}" in printed


def assert_clean(here: Deployment, change: Accept) -> None:
    assert accounts(here) == []
    if not (sub := change.subject_of_run.sub):
        return
    for bucket, prefix in (
        (here.uploads_bucket, sub),
        (here.assets_bucket, f"avatars/{sub}"),
        (here.assets_bucket, f"variants/{sub}"),
        (here.assets_bucket, f"rejections/{sub}"),
    ):
        versions = here.s3.list_object_versions(Bucket=bucket, Prefix=prefix)
        assert not versions.get("Versions")
        assert not versions.get("DeleteMarkers")


def throttled(here: Deployment) -> contextlib.AbstractContextManager[None]:
    @contextlib.contextmanager
    def reserved() -> Iterator[None]:
        name = here.function_names["presign"]
        here.functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        try:
            yield
        finally:
            here.functions.delete_function_concurrency(FunctionName=name)

    return reserved()


def authorizer_of_another_client(here: Deployment) -> contextlib.AbstractContextManager[None]:
    name = here.function_names["authorizer"]
    before = here.functions.get_function_configuration(FunctionName=name)["Environment"]
    variables = before["Variables"] | {"CLIENT_ID": "another"}
    return configured(here, "authorizer", Environment={"Variables": variables})


@pytest.mark.parametrize(
    ("broken", "tried", "says"),
    [
        (
            lambda here: cors(here, None),
            ("the test user", "POST /avatars/key_upload with a token", "preflight of PUT"),
            {
                f"preflight of PUT from {origin}": "PUT allowed → refused"
                for origin in FRONT_ENDS
            },
        ),
        (
            bucket_policy,
            ("the banner", "a missing picture", "a folder", "a query", "POST to the CDN"),
            {"the banner": "assets bucket's policy must let the distribution read it"},
        ),
        (
            authorizer_of_another_client,
            ("",),
            {
                "POST /avatars/key_upload with a token": (
                    "200 → 403: the authorizer refused the token (wrong_client)"
                ),
            },
        ),
        (
            throttled,
            ("",),
            {
                "POST /avatars/key_upload with a token": (
                    "the function presign is throttled, its reserved concurrency is 0"
                ),
            },
        ),
    ],
    ids=["CORS rule gone", "bucket policy gone", "wrong client id", "function throttled"],
)  # fmt: skip
def test_each_broken_part_is_named_and_cleaned_up_after(
    system: System,
    here: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    broken: Break,
    tried: tuple[str, ...],
    says: dict[str, str],
) -> None:
    """What needs the broken part is not asked; `tried` leaves out what takes long."""
    every = acceptance.checks

    def some(subject: Subject) -> list[examination.Check]:
        return [check for check in every(subject) if check.key.startswith(tried)]

    monkeypatch.setattr(acceptance, "checks", some)
    change = prepared(system, here)
    with broken(here):
        change.execute(ignore)
    failed = {
        result.name: f"{result.expected} → {result.answered} {result.remedy}"
        for result in acceptance.failed(change.results)
    }
    says = {at_its_ports(system, name): said for name, said in says.items()}
    assert failed.keys() == says.keys()
    for name, said in says.items():
        assert said in failed[name]
    assert_clean(here, change)


def test_an_interrupted_run_deletes_its_test_user(
    system: System, here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = prepared(system, here)

    def interrupted(checks: list[examination.Check], *_: object) -> None:
        (sign_in,) = (check for check in checks if check.area == "Users")
        assert [found.state for found in sign_in.run()] == ["ok"]
        assert accounts(here)
        raise KeyboardInterrupt

    monkeypatch.setattr(examination, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        change.execute(ignore)
    assert accounts(here) == []
    assert [result.name for result in change.results] == ["the test user"]


def test_a_viewer_may_not_run_it(system: System, here: Deployment) -> None:
    change = prepared(system, here)

    def confirm(_: changes.Change) -> None:
        pytest.fail("it must be refused before anything is shown")

    with pytest.raises(OperationError, match="may look at everything and change nothing"):
        changes.carry_out(
            change,
            confirm,
            None,
            Actor("viewer", may_operate=False),
            ignore,  # type: ignore[arg-type]
        )
    assert test_users.email(change.subject_of_run.user) not in accounts(here)
