"""Process everything again, as after a change of sizes, formats or the engine.

S3 Batch Operations calls the resize function for each original, where Terraform made a role for it
(`reprocess.enabled`); else each is put on the queue, page by page. Either way the function makes
what is shown again, and tries again what it had rejected for the picture's own sake; what was
refused, held, removed or erased stays so.
"""

from __future__ import annotations

import csv
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from console.operations import costs, progress
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError, StaleChangeError
from console.operations.pipeline import reconcile
from console.operations.releases import aliases
from console.operations.uploads import names

STEP = "Reprocess"
REPORTS = "reprocess"
"""The prefix of the jobs' reports in the assets bucket."""
MARKER = "reprocess.json"
ENDED = ("Complete", "Failed", "Cancelled")
_ACTIVE = ("New", "Preparing", "Suspended", "Ready", "Active", "Pausing", "Paused", "Cancelling")
_POLL_SECONDS = 10
_REPORTED = 10_000
"""So many failed tasks of a report are read at most."""

LOGS_GB = 0.85
"""Of a million lines of the function."""


def usd(originals: int, variants: int, memory: int, *, by_job: bool) -> float:
    """Return what it costs at most, by the prices of docs/cost.md.

    Parameters
    ----------
    variants
        How many are made of each, besides the avatar itself.
    memory
        The function's, in MB.
    """
    million = (
        costs.calls_usd(memory, costs.billed_ms(costs.PROCESSOR_MS, memory))
        + (variants + 1) * costs.PUT
        + 2 * costs.GET
        + costs.TOPIC
        + LOGS_GB * (costs.LOGS_IN_GB + costs.LOGS_KEPT_GB)
        + (costs.BATCH_OBJECTS if by_job else 3 * costs.QUEUE)
    )
    return million * originals / 1e6 + (costs.BATCH_JOB if by_job else 0)


@dataclass(frozen=True)
class Engine:
    """What would process the originals: the function as it is now."""

    code: str
    variants: str
    memory: int

    @property
    def made(self) -> int:
        """How many variants it makes of an original, at most."""
        return max(len(kind.split(",")) for kind in self.variants.split(" "))


def engine(deployment: Deployment) -> Engine:
    """Look at the resize function."""
    with aws_errors("look at the resize function"):
        found = deployment.functions.get_function_configuration(
            FunctionName=deployment.function_names["resize"], Qualifier=aliases.ALIAS
        )
    settings = found.get("Environment", {}).get("Variables", {})
    made = (settings.get(name) for name in ("AVATAR_VARIANTS", "BANNER_VARIANTS"))
    return Engine(found["CodeSha256"], " ".join(filter(None, made)), found["MemorySize"])


def by_job(deployment: Deployment) -> bool:
    """Say whether S3 Batch Operations does it."""
    return bool(deployment.reprocess_role_arn)


def count(deployment: Deployment) -> int:
    """Return how many originals there are, at most.

    For a job, CloudWatch's daily count, which has old versions in it, where there is one yet.
    """
    if by_job(deployment):
        now = datetime.now(UTC)
        with aws_errors("ask CloudWatch how many originals there are"):
            points = deployment.cloudwatch.get_metric_statistics(
                Namespace="AWS/S3",
                MetricName="NumberOfObjects",
                Dimensions=[
                    {"Name": "BucketName", "Value": deployment.uploads_bucket},
                    {"Name": "StorageType", "Value": "AllStorageTypes"},
                ],
                StartTime=now - timedelta(days=3),
                EndTime=now,
                Period=86_400,
                Statistics=["Average"],
            )["Datapoints"]
        if points:
            return round(max(points, key=lambda point: point["Timestamp"])["Average"])
    return sum(len(keys) for keys in _pages(deployment))


def _pages(deployment: Deployment, after: str = "") -> Iterator[list[str]]:
    with aws_errors("walk through the uploads bucket"):
        for page in deployment.s3.get_paginator("list_objects_v2").paginate(
            Bucket=deployment.uploads_bucket, StartAfter=after
        ):
            yield [item["Key"] for item in page.get("Contents", [])]


class _Everything:
    """What both ways have in common: they are shown by what they cost, and hold for one engine."""

    action = "reprocess"
    subject = "every original"
    destructive = True

    def __init__(self, target: Target, deployment: Deployment) -> None:
        self.target = target
        self.deployment = deployment
        self.engine = engine(deployment)
        self.originals = count(deployment)

    def lines(self) -> Iterable[str]:
        """Return what will be made, of how many, by which engine, and for how much."""
        way = by_job(self.deployment)
        cost = usd(self.originals, self.engine.made, self.engine.memory, by_job=way)
        yield f"~ what is shown of up to {self.originals:,} originals is made again"
        yield f"~ {self.engine.variants.replace(' ', ' and ')}, by code {self.engine.code[:12]}"
        yield f"~ about {cost:,.2f} USD at most, in us-east-1"

    def check(self) -> None:
        """Refuse if the function has been changed since."""
        if engine(self.deployment) != self.engine:
            raise StaleChangeError(
                "The resize function was changed since this was shown.", "Run the command again."
            )


class Job(_Everything):
    """A new job of S3 Batch Operations over the current version of each original."""

    job_id = ""

    def lines(self) -> Iterable[str]:
        """Return what it does, and with which role."""
        yield from super().lines()
        yield f"+ a job of S3 Batch Operations with the role {self.deployment.reprocess_role_arn}"
        yield f"+ its report in s3://{self.deployment.assets_bucket}/{REPORTS}/"

    def check(self) -> None:
        """Refuse also if a job runs already."""
        super().check()
        if job := active(self.target, self.deployment):
            raise StaleChangeError(
                f"The job {job} does it already.",
                f"`make reprocess ENV={self.target.env}` follows it.",
            )

    def execute(self, report: progress.Report) -> str:
        """Create the job; `follow` waits for its end."""
        del report
        with aws_errors("create a job of S3 Batch Operations"):
            self.job_id = self.deployment.s3control.create_job(
                **request(self.target, self.deployment)
            )["JobId"]
        return f"Job {self.job_id} was created."


def request(target: Target, deployment: Deployment) -> dict[str, Any]:
    """Return the arguments of S3's CreateJob."""
    partition = deployment.reprocess_role_arn.split(":")[1]
    return {
        "AccountId": target.account,
        "ConfirmationRequired": False,
        "ClientRequestToken": uuid.uuid4().hex,
        "Priority": 10,
        "RoleArn": deployment.reprocess_role_arn,
        "Description": _description(target),
        "Operation": {
            "LambdaInvoke": {
                "FunctionArn": f"arn:{partition}:lambda:{deployment.region}:{target.account}"
                f":function:{deployment.function_names['resize']}:{aliases.ALIAS}",
                "InvocationSchemaVersion": "1.0",
            }
        },
        "ManifestGenerator": {
            "S3JobManifestGenerator": {
                "ExpectedBucketOwner": target.account,
                "SourceBucket": f"arn:{partition}:s3:::{deployment.uploads_bucket}",
                # what comes later is processed by this engine anyway
                "Filter": {"CreatedBefore": datetime.now(UTC)},
                "EnableManifestOutput": False,
            }
        },
        "Report": {
            "Enabled": True,
            "Bucket": f"arn:{partition}:s3:::{deployment.assets_bucket}",
            "ExpectedBucketOwner": target.account,
            "Prefix": REPORTS,
            "Format": "Report_CSV_20180820",
            "ReportScope": "FailedTasksOnly",
        },
    }


def _description(target: Target) -> str:
    return f"Avatar Ops {target.env}: reprocess"


def active(target: Target, deployment: Deployment) -> str:
    """Return the id of the job that has not ended yet, whoever created it; "" without one."""
    more: dict[str, Any] = {}
    with aws_errors("list the jobs of S3 Batch Operations"):
        while True:
            page = deployment.s3control.list_jobs(
                AccountId=target.account, JobStatuses=[*_ACTIVE], MaxResults=1000, **more
            )
            for job in page.get("Jobs", []):
                if job.get("Description") == _description(target):
                    return str(job["JobId"])
            if not page.get("NextToken"):
                return ""
            more = {"NextToken": page["NextToken"]}


def describe(target: Target, deployment: Deployment, job_id: str) -> dict[str, Any]:
    """Return what S3 says of a job."""
    with aws_errors(f"look at the job {job_id}"):
        return deployment.s3control.describe_job(AccountId=target.account, JobId=job_id)["Job"]  # type: ignore[no-any-return]


def follow(
    target: Target, deployment: Deployment, job_id: str, report: progress.Report
) -> dict[str, Any]:
    """Wait until a job has ended, and return what S3 says of it then."""
    while True:
        job = describe(target, deployment, job_id)
        said = job.get("ProgressSummary", {})
        done, failed = said.get("NumberOfTasksSucceeded", 0), said.get("NumberOfTasksFailed", 0)
        detail = f"{job['Status']}, {failed} failed" if failed else job["Status"]
        total = said.get("TotalNumberOfTasks") or None
        if job["Status"] in ENDED:
            report(progress.Event(STEP, "done", detail, done=done + failed, total=total))
            return job
        report(progress.Event(STEP, "advanced", detail, done=done + failed, total=total))
        time.sleep(_POLL_SECONDS)


def stop(target: Target, deployment: Deployment, job_id: str) -> str:
    """Cancel a job: what it has made stays."""
    with aws_errors(f"cancel the job {job_id}"):
        deployment.s3control.update_job_status(
            AccountId=target.account,
            JobId=job_id,
            RequestedJobStatus="Cancelled",
            StatusUpdateReason="make reprocess STOP=1",
        )
    return f"Job {job_id} is being cancelled."


def failures(deployment: Deployment, job_id: str) -> list[tuple[str, int, str]]:
    """Return what a job's report says of the tasks that failed: why, how many, and one's key."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    prefix = f"{REPORTS}/job-{job_id}/manifest.json"
    with aws_errors("read the job's report"):
        found = deployment.s3.list_objects_v2(Bucket=deployment.assets_bucket, Prefix=prefix)
        if not found.get("Contents"):
            return []
        manifest = json.loads(_body(deployment, prefix).read())
        for part in manifest["Results"]:
            if part["TaskExecutionStatus"] != "failed":
                continue
            lines = (line.decode() for line in _body(deployment, part["Key"]).iter_lines())
            for row in csv.reader(lines):
                # Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage
                counts[row[6]] += 1
                examples.setdefault(row[6], unquote_plus(row[1]))
                if counts.total() >= _REPORTED:
                    break
    return [(why, number, examples[why]) for why, number in counts.most_common()]


def _body(deployment: Deployment, key: str) -> Any:
    return deployment.s3.get_object(Bucket=deployment.assets_bucket, Key=key)["Body"]


class Queued(_Everything):
    """Each original put on the queue, going on where a run for the same engine was stopped.

    Attributes
    ----------
    queued
        How many were, in all runs.
    """

    def __init__(self, target: Target, deployment: Deployment) -> None:
        super().__init__(target, deployment)
        self._marker = marker(target)
        kept = _read(self._marker)
        same = kept.get("engine") == vars(self.engine)
        self.after: str = kept["after"] if same else ""
        self.queued: int = kept["queued"] if same else 0

    def lines(self) -> Iterable[str]:
        """Return what it does, and from where."""
        yield from super().lines()
        if self.after:
            yield f"~ goes on after {self.after}: {self.queued:,} are queued already"

    def execute(self, report: progress.Report) -> str:
        """Queue them, keeping after each page where it stands."""
        for keys in _pages(self.deployment, self.after):
            originals = [(key, None) for key in keys if names.name_of(key)]
            reconcile.queue(self.deployment, originals, again=True)
            self.queued += len(originals)
            if keys:
                self.after = keys[-1]
                self._keep()
            report(
                progress.Event(STEP, "advanced", self.after, done=self.queued, total=self.originals)
            )
        self._marker.unlink(missing_ok=True)
        return f"{self.queued} of {self.originals} put on the queue."

    def _keep(self) -> None:
        self._marker.parent.mkdir(parents=True, exist_ok=True)
        partial = self._marker.with_suffix(".partial")
        kept = {"engine": vars(self.engine), "after": self.after, "queued": self.queued}
        partial.write_text(json.dumps(kept))
        partial.replace(self._marker)


def marker(target: Target) -> Path:
    """Return the file that says where the queue's run was stopped."""
    return target.state / MARKER


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        return {}  # from the beginning, then: each may be queued twice
    return kept if isinstance(kept, dict) and {"engine", "after", "queued"} <= kept.keys() else {}


def new(target: Target, deployment: Deployment) -> Job | Queued:
    """Return the change that has everything processed again."""
    if not by_job(deployment):
        return Queued(target, deployment)
    if not target.account:
        raise OperationError("The account is not known.", "Sign in to AWS.")
    return Job(target, deployment)
