"""Pictures that are reported or held, on the running system, as their users see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from console.operations import web
from console.operations.avatars import moderation
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import reviews
from console.operations.pipeline.reviews import Review
from console.operations.progress import ignore
from console.operations.uploads import outcomes
from console.operations.uploads.test_users import SignIn
from tests.integration.live import configured
from tests.integration.system import NOWHERE, picture, wait_for_version, wait_until
from tests.integration.test_crop import crop
from tests.integration.test_limits import forget, put
from tests.integration.test_uploads import grant


@pytest.fixture
def newcomer(here: Deployment, grace: SignIn) -> Iterator[SignIn]:
    """A user of whom nothing is counted, and nothing waits."""
    forget(here, grace)
    reviews.drop(here, grace.sub)
    yield grace
    forget(here, grace)
    reviews.drop(here, grace.sub)


@contextmanager
def hold_uploads(here: Deployment) -> Iterator[None]:
    """Hold each upload, as Terraform has it with ``moderation = "all"``."""
    name = here.function_names["resize"]
    before = here.functions.get_function_configuration(FunctionName=name)["Environment"]
    table = here.dynamodb.describe_table(TableName=here.reviews_table)["Table"]["TableArn"]
    hold = {"Effect": "Allow", "Action": "dynamodb:UpdateItem", "Resource": table}
    role: Any = {"RoleName": name, "PolicyName": "hold"}
    here.iam.put_role_policy(
        **role, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [hold]})
    )
    variables = before["Variables"] | {"MODERATION": "all"}
    with configured(here, "resize", Environment={"Variables": variables}):
        yield
    here.iam.delete_role_policy(**role)


@pytest.fixture
def holding(here: Deployment) -> Iterator[None]:
    with hold_uploads(here):
        yield


def report(here: Deployment, reporter: SignIn, of: str, **said: str) -> web.Response:
    return web.request(
        "POST",
        f"{here.api_url}/avatars/{of}/report",
        {"Authorization": f"Bearer {reporter.token}", "Content-Type": "application/json"},
        json.dumps({"reason": "hate"} | said).encode(),
    )


def send(here: Deployment, user: SignIn, seed: int) -> str:
    data = picture(seed, (64, 64))
    return put(grant(here, user, data), data)


def told(here: Deployment, user: SignIn, version: str) -> str | None:
    """Return the code that the user's front end reads at the CDN."""
    answer = web.request("GET", f"{here.assets_url}/rejections/{user.sub}/{version}.json")
    return str((answer.json() or {})["code"]) if answer.status == 200 else None


def held(here: Deployment, user: SignIn) -> list[Review]:
    return [each for each in reviews.of_avatar(here, user.sub) if each.waits]


def test_what_is_held_is_shown_when_it_is_approved_and_rejected_when_not(
    here: Deployment, newcomer: SignIn, holding: None
) -> None:
    before = outcomes.shown_version(here, newcomer.sub)
    first, second = send(here, newcomer, 410), send(here, newcomer, 411)
    for version in (first, second):
        wait_until(lambda v=version: told(here, newcomer, v) == "held", "what its user is told")  # type: ignore[misc]
    wait_until(lambda: len(held(here, newcomer)) == 2, "what waits")
    assert outcomes.shown_version(here, newcomer.sub) == before

    by_version = {review.etag: review for review in held(here, newcomer)}
    moderation.approve(NOWHERE, here, by_version[second]).execute(ignore)
    wait_for_version(here, newcomer.sub, second)
    moderation.approve(NOWHERE, here, by_version[first]).execute(ignore)
    third = send(here, newcomer, 412)
    wait_until(lambda: len(held(here, newcomer)) == 1, "what waits")
    moderation.refuse(NOWHERE, here, held(here, newcomer)[0], lock=False).execute(ignore)
    wait_until(
        lambda: (
            (found := outcomes.rejection(here, newcomer.sub, third)) is not None
            and found.code == "not_allowed"
        ),
        "the rejection",
    )
    assert outcomes.shown_version(here, newcomer.sub) == second, "the older one came too late"


def test_what_is_held_or_refused_is_so_in_any_crop(
    here: Deployment, newcomer: SignIn, holding: None
) -> None:
    before = outcomes.shown_version(here, newcomer.sub)
    version = send(here, newcomer, 414)
    wait_until(lambda: told(here, newcomer, version) == "held", "what its user is told")
    answer = crop(here, newcomer, crop=[0, 0, 0.5], version=version)
    assert answer.status == 202, answer.body
    cropped = answer.json()["version"]
    wait_until(lambda: told(here, newcomer, cropped) == "held", "what its user is told")
    wait_until(lambda: len(held(here, newcomer)) == 2, "what waits")
    for review in held(here, newcomer):
        moderation.refuse(NOWHERE, here, review, lock=False).execute(ignore)
    wait_until(
        lambda: (
            (found := outcomes.rejection(here, newcomer.sub, cropped)) is not None
            and found.code == "not_allowed"
        ),
        "the rejection",
    )
    answer = crop(here, newcomer, crop=[0.5, 0, 0.5])
    assert (answer.status, answer.json()["error"]["code"]) == (403, "not_allowed")
    assert outcomes.shown_version(here, newcomer.sub) == before


def test_what_is_reported_stays_until_it_is_refused(
    here: Deployment, newcomer: SignIn, ada: SignIn
) -> None:
    version = send(here, newcomer, 413)
    wait_for_version(here, newcomer.sub, version)

    answers = [
        report(here, ada, newcomer.sub, version=version, text="see there"),
        report(here, ada, newcomer.sub, version=version),
        report(here, ada, "nobody"),
    ]
    assert {(answer.status, answer.body) for answer in answers} == {(202, b"{}")}
    assert report(here, ada, newcomer.sub, reason="because").status == 400
    assert outcomes.shown_version(here, newcomer.sub) == version
    (review,) = held(here, newcomer)
    assert [(each.reason, each.text) for each in review.reports] == [("hate", "see there")]
    assert newcomer.sub in [each.key for each in reviews.page(here).reviews]
    forget(here, ada)

    change = moderation.refuse(NOWHERE, here, review, lock=True)
    assert change.destructive
    change.execute(ignore)
    assert outcomes.shown_version(here, newcomer.sub) is None
    assert held(here, newcomer) == []
    answer = web.request("GET", f"{here.assets_url}/variants/{newcomer.sub}/{version}/512.jpg")
    assert answer.status == 404


def test_without_a_token_nothing_is_reported(here: Deployment) -> None:
    answer = web.request("POST", f"{here.api_url}/avatars/nobody/report", {}, b"{}")
    assert answer.status == 401
