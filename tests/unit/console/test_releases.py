"""Which version is called: a release, its promotion, its rollback, and what an apply does to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

from console.operations import progress
from console.operations.environments import infrastructure, terraform_state
from console.operations.environments.deployment import Deployment
from console.operations.environments.terraform import Changes, Plan
from console.operations.environments.terraform_state import TerraformState
from console.operations.errors import OperationError, StaleChangeError
from console.operations.releases import aliases, figures
from console.operations.releases.aliases import Alias, Move
from console.operations.releases.figures import Figures
from tests.integration.system import NOWHERE
from tests.unit.console import deployments


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """Three versions of resize, of which the first is called."""
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    with mock_aws():
        made = deployments.make(tmp_path)
        deployments.publish(made, 3)
        yield made


def look(here: Deployment) -> Alias:
    return aliases.read(here, "resize")


def do(change: Move) -> str:
    change.check()
    return change.execute(progress.ignore)


def called(here: Deployment) -> tuple[str, str, int, str]:
    alias = look(here)
    return alias.live, alias.trial, alias.percent, alias.before


def test_a_release_is_tried_promoted_and_taken_back(here: Deployment) -> None:
    assert called(here) == ("1", "", 0, "")
    change = aliases.release(NOWHERE, here, look(here), 10)
    lines = list(change.lines())
    assert lines[0] == "- resize: version 1"
    assert lines[1].startswith("+ version 3 of resize is called for 10 % of the calls, version 1")
    assert do(change).startswith("Version 3 of resize is called for 10 %")
    assert called(here) == ("1", "3", 10, "")
    do(aliases.release(NOWHERE, here, look(here), 50))
    assert called(here) == ("1", "3", 50, "")
    do(aliases.promote(NOWHERE, here, look(here)))
    assert called(here) == ("3", "", 0, "1")
    assert do(aliases.back(NOWHERE, here, look(here))) == "Version 1 of resize is called"
    assert called(here) == ("1", "", 0, "3")
    do(aliases.back(NOWHERE, here, look(here)))
    assert called(here) == ("3", "", 0, "1")


def test_back_ends_a_release_and_keeps_what_was_before_it(here: Deployment) -> None:
    do(replace(aliases.promote(NOWHERE, here, look(here)), version="2"))
    do(aliases.release(NOWHERE, here, look(here), 1))
    assert called(here) == ("2", "3", 1, "1")
    do(aliases.back(NOWHERE, here, look(here)))
    assert called(here) == ("2", "", 0, "1")


@pytest.mark.parametrize("percent", [0, 100, -1, 1000])
def test_a_share_of_nothing_or_of_all_is_no_release(here: Deployment, percent: int) -> None:
    with pytest.raises(OperationError, match="no share of the calls"):
        aliases.release(NOWHERE, here, look(here), percent)


def test_nothing_newer_is_neither_released_nor_promoted(here: Deployment) -> None:
    do(aliases.promote(NOWHERE, here, look(here)))
    with pytest.raises(OperationError, match="Nothing newer than version 3"):
        aliases.release(NOWHERE, here, look(here), 10)
    with pytest.raises(OperationError, match="Nothing newer than version 3"):
        aliases.promote(NOWHERE, here, look(here))


def test_there_is_no_way_back_from_the_first(here: Deployment) -> None:
    with pytest.raises(OperationError, match="No version of resize was live before version 1"):
        aliases.back(NOWHERE, here, look(here))


def test_a_version_that_was_deleted_is_nothing_to_go_back_to(here: Deployment) -> None:
    do(aliases.promote(NOWHERE, here, look(here)))
    here.functions.delete_function(FunctionName="resize", Qualifier="1")
    with pytest.raises(OperationError, match="No version of resize was live before version 3"):
        aliases.back(NOWHERE, here, look(here))


def test_what_is_no_longer_as_shown_is_not_changed(here: Deployment) -> None:
    shown = aliases.promote(NOWHERE, here, look(here))
    do(aliases.release(NOWHERE, here, look(here), 10))
    with pytest.raises(StaleChangeError, match="no longer what was shown"):
        do(shown)
    assert called(here) == ("1", "3", 10, "")


def test_somebody_elses_move_in_the_last_moment_wins(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = aliases.promote(NOWHERE, here, look(here))
    with Stubber(here.functions) as stub:
        stub.add_client_error(
            "update_alias",
            "PreconditionFailedException",
            expected_params={
                "FunctionName": "resize",
                "Name": "live",
                "FunctionVersion": "3",
                "RoutingConfig": {"AdditionalVersionWeights": {}},
                "Description": "The version before was 1.",
                "RevisionId": change.alias.revision,
            },
        )
        with pytest.raises(StaleChangeError):
            change.execute(progress.ignore)


@pytest.mark.parametrize("name", ["", "resise"])
def test_a_function_that_is_not_there_is_told_with_those_that_are(
    here: Deployment, name: str
) -> None:
    with pytest.raises(OperationError) as refused:
        aliases.read(here, name)
    assert "resize" in refused.value.remedy


def test_a_function_from_before_there_were_aliases_says_so(here: Deployment) -> None:
    here.functions.delete_alias(FunctionName="resize", Name="live")
    with pytest.raises(OperationError, match="has no alias live") as refused:
        look(here)
    assert "make apply" in refused.value.remedy


def test_an_apply_has_called_what_it_published_and_remembers_what_was_before(
    here: Deployment,
) -> None:
    do(aliases.release(NOWHERE, here, look(here), 10))
    assert aliases.go_live(here.functions, {"resize": "3"}) == ["resize"]
    assert called(here) == ("3", "", 0, "1")
    assert aliases.go_live(here.functions, {"resize": "3"}) == []
    assert called(here) == ("3", "", 0, "1")


def test_figures_of_each_version_are_asked_for_by_the_alias_in_one_call(here: Deployment) -> None:
    do(aliases.release(NOWHERE, here, look(here), 10))
    dimensions = [
        {"Name": "FunctionName", "Value": "resize"},
        {"Name": "Resource", "Value": "resize:live"},
        {"Name": "ExecutedVersion", "Value": "3"},
    ]
    answer: Any = {
        "MetricDataResults": [
            {"Id": name, "Values": values, "Timestamps": [], "StatusCode": "Complete"}
            for name, values in {
                "calls_0": [20.0],
                "errors_0": [3.0],
                "p50_0": [140.5],
                "p99_0": [900.0],
                "calls_1": [],
            }.items()
        ]
    }
    with Stubber(here.cloudwatch) as stub:
        stub.add_response(
            "get_metric_data",
            answer,
            {"MetricDataQueries": ANY, "StartTime": ANY, "EndTime": ANY},
        )
        sent: list[Any] = []
        here.cloudwatch.meta.events.register(
            "provide-client-params.cloudwatch.GetMetricData",
            lambda params, **_: sent.append(params),
        )
        found = figures.by_version(here, [look(here)], 3600)
    assert found == {
        ("resize", "3"): Figures(20, 3, 140.5, 900.0),
        ("resize", "1"): Figures(),
    }
    (asked,) = sent
    assert (asked["EndTime"] - asked["StartTime"]).total_seconds() == 3600
    stats = [query["MetricStat"] for query in asked["MetricDataQueries"]]
    assert len(stats) == 8
    assert [(one["Metric"]["MetricName"], one["Stat"], one["Period"]) for one in stats[:4]] == [
        ("Invocations", "Sum", 3600),
        ("Errors", "Sum", 3600),
        ("Duration", "p50", 3600),
        ("Duration", "p99", 3600),
    ]
    assert stats[0]["Metric"]["Dimensions"] == dimensions


class Applied:
    """A workspace whose apply publishes these versions."""

    def __init__(self, here: Deployment, before: dict[str, str], after: dict[str, str]) -> None:
        self.target = NOWHERE
        self.versions = [before, after]
        self._here = here

    def client(self, _service: str) -> Any:
        return self._here.functions

    def apply(self, _plan: Plan, _report: progress.Report) -> Changes:
        del self.versions[0]
        return Changes(0, 1, 0)

    def state(self) -> TerraformState:
        if not self.versions[0]:
            raise terraform_state.NothingAppliedError("test")
        functions = [
            {"function_name": name, "version": version}
            for name, version in self.versions[0].items()
        ]
        return TerraformState({}, {"aws_lambda_function": functions})


@pytest.mark.parametrize(
    ("before", "after", "hold", "live"),
    [
        ({"resize": "2"}, {"resize": "3"}, False, "3"),
        ({"resize": "2"}, {"resize": "3"}, True, "1"),
        ({"resize": "3"}, {"resize": "3"}, False, "1"),
        # made by this apply, its alias calls it already
        ({}, {"resize": "1"}, False, "1"),
        ({"resize": "$LATEST"}, {"resize": "1"}, False, "1"),
    ],
    ids=["another version", "held", "of something else", "the first", "the first with an alias"],
)
def test_an_apply_has_called_what_it_published_itself_unless_held(
    here: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, str],
    after: dict[str, str],
    hold: bool,
    live: str,
) -> None:
    monkeypatch.setattr(terraform_state, "read", lambda workspace: workspace.state())
    plan = Plan(Path("plan"), Changes(0, 1, 0), False, Path("build"))
    change = infrastructure.Apply(Applied(here, before, after), plan, hold)  # type: ignore[arg-type]
    outcome = change.execute(progress.ignore)
    assert look(here).live == live
    assert ("Called are now: resize 3." in outcome) == (live == "3")


@pytest.mark.parametrize("hold", [False, True])
def test_an_apply_says_of_each_function_that_it_changes_what_will_be_called(hold: bool) -> None:
    described = (
        "  # module.resize.aws_lambda_function.this will be updated in-place",
        '  ~ resource "aws_lambda_function" "this" {',
        "  # module.report[0].aws_lambda_function.this will be updated in-place",
        "  # module.cdn.aws_s3_object.banner will be updated in-place",
    )
    plan = Plan(Path("plan"), Changes(0, 3, 0), False, Path("build"), described)
    lines = list(infrastructure.Apply(None, plan, hold).lines())  # type: ignore[arg-type]
    said = lines[len(described) :]
    assert [line.split()[1] for line in said] == ["module.resize:", "module.report[0]:"]
    assert all(("waits for `make release`" in line) == hold for line in said)
