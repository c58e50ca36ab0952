"""What `make accept` prints, and what only AWS lets it find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from console.commands import acceptance as command
from console.operations.acceptance import Result, _results, _tried, alarms, api, failed
from console.operations.acceptance.subject import Subject
from console.operations.environments import clients
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.doctor import Finding, examination
from console.operations.environments.doctor.examination import Check
from console.operations.environments.terraform_state import TerraformState
from tests.integration.system import NOWHERE
from tests.unit.console.test_doctor_checks import here

RESULTS = [
    Result("API", "a route", "ok", "404", "404"),
    Result("API", "an upload", "failed", "200", "403 [forbidden]", "Sign in again."),
    Result("CDN", "X-Cache", "ok", "", "Hit from cloudfront", "", "Miss from cloudfront"),
    Result("Not asked", "429", "not asked", "", "too many requests"),
]


@pytest.mark.parametrize("emulated", [True, False])
def test_the_table_says_what_failed_and_on_aws_what_only_aws_can_tell(
    emulated: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    command.show(RESULTS, emulated=emulated)
    shown = capsys.readouterr().out
    assert "200 → 403 [forbidden]" in shown
    assert "Sign in again." in shown
    assert "✓ 2 ok  ✗ 1 failed  - 1 not asked" in shown
    assert ("It answers" in shown) != emulated
    assert ("Miss from cloudfront" in shown) != emulated
    assert [result.name for result in failed(RESULTS)] == ["an upload"]


def attempt(code: str) -> Iterator[Finding]:
    with aws_errors("look"):
        raise ClientError({"Error": {"Code": code, "Message": "No."}}, "Look")
    yield


@pytest.mark.parametrize(
    ("code", "state"), [("AccessDenied", "not asked"), ("InvalidParameterException", "failed")]
)
def test_only_what_may_not_be_asked_is_not_asked(code: str, state: str) -> None:
    check = Check("API", "an attempt", lambda: attempt(code))
    tried = examination.run([Check("API", "x", lambda: _tried(check))], lambda _: None)
    (result,) = _results(tried)
    assert (result.state, result.answered) == (state, "Could not look: No.")
    assert result.remedy


def test_nothing_is_asked_as_a_user_who_could_not_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        with aws_errors("sign in"):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "No."}}, "SignIn")

    monkeypatch.setattr(api.test_users, "sign_in", refuse)
    (found,) = api._sign_in(Subject(here(), None, target=NOWHERE))
    assert found.state == "error"


ALARM = {
    "alarm_name": "ops-api-errors",
    "namespace": "AWS/ApiGateway",
    "metric_name": "5xx",
    "dimensions": {"ApiId": "abc"},
    "arn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:ops-api-errors",
}


SHARE = {
    "alarm_name": "ops-api-errors",
    "namespace": "",
    "metric_name": "",
    "dimensions": None,
    "metric_query": [
        {"id": "part", "expression": "", "metric": [ALARM]},
        {"id": "share", "expression": "100 * part", "metric": []},
    ],
    "arn": ALARM["arn"],
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    clients.forget_clients()
    with mock_aws():
        yield clients.client("cloudwatch", "eu-central-1")
    clients.forget_clients()


@pytest.mark.parametrize("alarm", [ALARM, SHARE], ids=["one metric", "a share"])
@pytest.mark.parametrize(
    ("dimensions", "state", "says"),
    [
        ({"ApiId": "abc"}, "ok", "under the alarms' dimensions"),
        ({"ApiId": "abc", "Stage": "$default"}, "error", "ops-api-errors under ApiId Stage"),
        ({"ApiId": "other"}, "unknown", "nothing yet of ops-api-errors"),
    ],
)
def test_an_alarm_that_watches_what_nobody_measures_is_found(
    aws: Any, alarm: dict[str, Any], dimensions: dict[str, str], state: str, says: str
) -> None:
    aws.put_metric_data(
        Namespace="AWS/ApiGateway",
        MetricData=[
            {
                "MetricName": "5xx",
                "Value": 0,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            }
        ],
    )
    known = TerraformState({}, {"aws_cloudwatch_metric_alarm": [alarm]})
    found = list(alarms._metrics(Subject(here(), known, target=NOWHERE)))
    assert (found[-1].state, says in found[-1].found) == (state, True)
