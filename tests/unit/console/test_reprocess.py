"""Processing everything again: what it costs, S3's job, and the queue in its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import StaleChangeError
from console.operations.pipeline import reprocess
from tests.unit.console import deployments

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/avatar-ops-prod-reprocess"
JOB = "f3cc4f60-61f6-4a2b-8a21-d07600c373ce"
ENGINE = reprocess.Engine("codecodecodecode", "512.jpg,128.webp 1500x500.jpg,600x200.webp", 1769)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    monkeypatch.setattr(reprocess, "engine", lambda _: ENGINE)
    with mock_aws():
        yield deployments.make(tmp_path)


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target("prod", ACCOUNT, deployments.REGION, None, tmp_path / "state")


class S3Control:
    """The deployment's s3control client, with answers held to AWS's own model."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, here: Deployment) -> None:
        self.client = boto3.client("s3control", region_name=deployments.REGION)
        self.stub = Stubber(self.client)
        self.stub.activate()
        monkeypatch.setattr(Deployment, "s3control", self.client)
        self.here = replace(here, reprocess_role_arn=ROLE)

    def lists(self, *jobs: dict[str, Any]) -> None:
        self.stub.add_response(
            "list_jobs",
            {"Jobs": list(jobs)},
            {"AccountId": ACCOUNT, "JobStatuses": ANY, "MaxResults": 1000},
        )

    def describes(self, status: str, done: int, failed: int = 0) -> None:
        self.stub.add_response(
            "describe_job",
            {
                "Job": {
                    "JobId": JOB,
                    "Status": status,
                    "ProgressSummary": {
                        "TotalNumberOfTasks": 10,
                        "NumberOfTasksSucceeded": done,
                        "NumberOfTasksFailed": failed,
                    },
                }
            },
            {"AccountId": ACCOUNT, "JobId": JOB},
        )


@pytest.fixture
def s3control(monkeypatch: pytest.MonkeyPatch, here: Deployment) -> S3Control:
    monkeypatch.setattr(reprocess.time, "sleep", lambda _: None)
    return S3Control(monkeypatch, here)


def fill(here: Deployment, count: int) -> set[str]:
    keys = {f"user {number:04}+é.jpg" for number in range(count)}
    for key in keys:
        here.s3.put_object(Bucket=here.uploads_bucket, Key=key, Body=b"picture")
    return keys


def queued(here: Deployment) -> list[dict[str, Any]]:
    records = []
    while messages := here.sqs.receive_message(QueueUrl=here.queue_url, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        records += [json.loads(message["Body"])["Records"][0] for message in messages]
    return records


def test_a_job_is_what_s3_takes_and_names_role_function_originals_and_report(
    s3control: S3Control, target: Target
) -> None:
    fill(s3control.here, 3)
    s3control.lists()
    s3control.stub.add_response("create_job", {"JobId": JOB}, None)
    change = reprocess.new(target, s3control.here)
    assert isinstance(change, reprocess.Job)
    shown = "\n".join(change.lines())
    assert "up to 3 originals" in shown
    assert "0.25 USD" in shown
    assert ROLE in shown
    change.check()
    assert JOB in change.execute(lambda _: None)
    assert change.job_id == JOB
    s3control.stub.assert_no_pending_responses()

    asked = reprocess.request(target, s3control.here)
    assert asked["RoleArn"] == ROLE
    assert asked["Operation"]["LambdaInvoke"]["FunctionArn"] == (
        f"arn:aws:lambda:{deployments.REGION}:{ACCOUNT}:function:resize:live"
    )
    generator = asked["ManifestGenerator"]["S3JobManifestGenerator"]
    assert generator["SourceBucket"] == "arn:aws:s3:::uploads"
    assert asked["Report"]["ReportScope"] == "FailedTasksOnly"
    assert asked["Report"]["Bucket"] == "arn:aws:s3:::assets"


def test_only_one_job_runs_whoever_created_it(s3control: S3Control, target: Target) -> None:
    other = {"JobId": "other", "Status": "Active", "Description": "Avatar Ops test: reprocess"}
    mine = {"JobId": JOB, "Status": "Active", "Description": "Avatar Ops prod: reprocess"}
    s3control.lists(other, mine)
    with pytest.raises(StaleChangeError, match=JOB):
        reprocess.new(target, s3control.here).check()


def test_a_job_is_followed_from_any_moment_to_its_end(s3control: S3Control, target: Target) -> None:
    s3control.describes("Preparing", 0)
    s3control.describes("Active", 4)
    s3control.describes("Complete", 9, failed=1)
    events: list[Any] = []
    job = reprocess.follow(target, s3control.here, JOB, events.append)
    assert job["Status"] == "Complete"
    assert [(event.done, event.total) for event in events] == [(0, 10), (4, 10), (10, 10)]
    assert events[-1].detail == "Complete, 1 failed"


def test_a_job_is_cancelled(s3control: S3Control, target: Target) -> None:
    s3control.stub.add_response(
        "update_job_status",
        {"JobId": JOB, "Status": "Cancelling"},
        {
            "AccountId": ACCOUNT,
            "JobId": JOB,
            "RequestedJobStatus": "Cancelled",
            "StatusUpdateReason": ANY,
        },
    )
    assert JOB in reprocess.stop(target, s3control.here, JOB)


def test_a_jobs_report_says_why_tasks_failed_and_how_many(here: Deployment) -> None:
    rows = (
        b'uploads,a%20b%2B1.jpg,v1,failed,200,PermanentFailure,"rejected, but shown already"\n'
        b'uploads,c.jpg,v2,failed,200,PermanentFailure,"rejected, but shown already"\n'
        b"uploads,d.jpg,v3,failed,200,TemporaryFailure,OSError: slow\n"
    )
    folder = f"reprocess/job-{JOB}"
    manifest = {
        "Format": "Report_CSV_20180820",
        "Results": [
            {"TaskExecutionStatus": "failed", "Bucket": "assets", "Key": f"{folder}/results/1.csv"}
        ],
        "ReportSchema": "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, "
        "ResultMessage",
    }
    assert reprocess.failures(here, JOB) == []
    here.s3.put_object(Bucket="assets", Key=f"{folder}/results/1.csv", Body=rows)
    here.s3.put_object(
        Bucket="assets", Key=f"{folder}/manifest.json", Body=json.dumps(manifest).encode()
    )
    assert reprocess.failures(here, JOB) == [
        ("rejected, but shown already", 2, "a b+1.jpg"),
        ("OSError: slow", 1, "d.jpg"),
    ]


def pages_of(here: Deployment, monkeypatch: pytest.MonkeyPatch, size: int) -> Deployment:
    """Return the deployment with smaller pages than S3's."""
    paginator = here.s3.get_paginator("list_objects_v2")

    def paginate(**arguments: Any) -> Any:
        return paginator.paginate(**arguments, PaginationConfig={"PageSize": size})

    s3 = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=paginate))
    monkeypatch.setattr(Deployment, "s3", s3)
    return here


class KilledError(BaseException):
    """The command is killed."""


def test_a_killed_run_by_the_queue_goes_on_where_it_stood_and_loses_none(
    here: Deployment, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = fill(here, 45)
    pages_of(here, monkeypatch, 10)
    first = reprocess.new(target, here)
    assert isinstance(first, reprocess.Queued)
    assert first.originals == 45

    sent = reprocess.reconcile.queue
    pages = iter(range(3))

    def dying(*arguments: Any, **more: Any) -> None:
        sent(*arguments, **more)
        if next(pages) == 2:
            raise KilledError  # queued, and not yet noted

    monkeypatch.setattr(reprocess.reconcile, "queue", dying)
    with pytest.raises(KilledError):
        first.execute(lambda _: None)
    monkeypatch.setattr(reprocess.reconcile, "queue", sent)

    second = reprocess.new(target, here)
    assert isinstance(second, reprocess.Queued)
    assert second.queued == 20
    assert any("20 are queued already" in line for line in second.lines())
    assert "45 of 45" in second.execute(lambda _: None)
    assert not reprocess.marker(target).exists()

    records = queued(here)
    assert {record["eventName"] for record in records} == {"ObjectCreated:Reprocess"}
    found = [reprocess.unquote_plus(record["s3"]["object"]["key"]) for record in records]
    assert set(found) == keys
    assert len(found) == 55  # one page twice


def test_for_another_engine_it_starts_from_the_beginning(
    here: Deployment, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"engine": vars(ENGINE), "after": "m", "queued": 7}
    reprocess.marker(target).parent.mkdir(parents=True)
    reprocess.marker(target).write_text(json.dumps(kept))
    same = reprocess.new(target, here)
    assert isinstance(same, reprocess.Queued)
    assert same.after == "m"
    monkeypatch.setattr(reprocess, "engine", lambda _: replace(ENGINE, code="other"))
    other = reprocess.new(target, here)
    assert isinstance(other, reprocess.Queued)
    assert (other.after, other.queued) == ("", 0)
    with pytest.raises(StaleChangeError):
        same.check()
    reprocess.marker(target).write_text("{cut sho")
    assert reprocess.Queued(target, here).after == ""


def test_cloudwatch_counts_where_it_has_counted(
    s3control: S3Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudwatch = boto3.client("cloudwatch", region_name=deployments.REGION)
    stub = Stubber(cloudwatch)
    now = reprocess.datetime.now(reprocess.UTC)
    points = [
        {"Timestamp": now - reprocess.timedelta(days=days), "Average": average}
        for days, average in ((2, 90_000_000.0), (1, 100_000_000.0))
    ]
    stub.add_response("get_metric_statistics", {"Datapoints": points}, None)
    stub.activate()
    monkeypatch.setattr(Deployment, "cloudwatch", cloudwatch)
    assert reprocess.count(s3control.here) == 100_000_000
