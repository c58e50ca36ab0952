"""Terraform's root module with one environment's settings and state."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from console.operations import progress
from console.operations.environments import clients, terraform_process, terraform_program
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import ROOT
from console.operations.environments.target import TFVARS, Target
from console.operations.environments.terraform_process import failed
from console.operations.errors import OperationError, StaleChangeError

DIRECTORY = ROOT / "terraform"
# Machines that build without the registry keep a mirror of the provider here
_MIRROR = Path("/opt/tf-plugins")
_AT_WORK = re.compile(r"(\S.*): (?:Refreshing state|Reading|Still reading|Read complete)\b")
_SUMMARY = re.compile(r"^Plan: .*?(\d+) to add, (\d+) to change, (\d+) to destroy", re.MULTILINE)

# What takes minutes on AWS, by the resource's type and what is done to it
_WAITS = {
    ("aws_cloudfront_distribution", action): "CloudFront tells its edge locations: 3 to 10 minutes"
    for action in ("create", "update", "delete")
} | {
    ("aws_acm_certificate_validation", "create"): "the certificate's record must be seen in DNS: "
    "minutes, and for ever where the zone is not delegated",
}


@dataclass(frozen=True)
class Changes:
    """How many resources a plan adds, changes and removes."""

    add: int = 0
    change: int = 0
    remove: int = 0

    def __bool__(self) -> bool:
        return bool(self.add or self.change or self.remove)

    def __str__(self) -> str:
        return f"{self.add} to add, {self.change} to change, {self.remove} to remove"


@dataclass(frozen=True)
class Plan:
    """A saved plan, with all that an apply of it would read.

    Attributes
    ----------
    path
        The plan's file, of this run alone.
    changes
        How many resources it touches; it may change outputs alone.
    empty
        Whether it changes nothing at all.
    description
        The plan in Terraform's own words, line by line.
    digest
        SHA-256 of the plan and of the functions' zips, whose bytes are no part of it.
    """

    path: Path
    changes: Changes
    empty: bool
    artifacts: Path
    description: tuple[str, ...] = ()
    digest: str = ""

    def current_digest(self) -> str:
        """Return the SHA-256 of what an apply would read now."""
        digest = hashlib.sha256()
        for path in (self.path, *sorted(self.artifacts.glob("*.zip"))):
            digest.update(path.name.encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def check(self) -> None:
        """Raise StaleChangeError unless plan and zips are those that were shown."""
        try:
            same = self.current_digest() == self.digest
        except FileNotFoundError:
            same = False
        if not same:
            raise StaleChangeError(
                "The plan or the functions' zips have changed since the plan was shown.",
                "Run the same command again and read its plan.",
            )


class Workspace:
    """Terraform's root module with one environment's settings and state.

    Parameters
    ----------
    target
        The environment; its settings are ``terraform/envs/<env>.tfvars``.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.settings = TFVARS / f"{target.env}.tfvars"
        if not self.settings.exists():
            raise OperationError(
                f"There is no terraform/envs/{target.env}.tfvars.",
                f"Copy example.tfvars there to {target.env}.tfvars and fill it in.",
            )
        self.artifacts = artifacts_directory(target.state, emulated=bool(target.endpoint))
        self._data = target.state / "terraform"
        self._terraform = terraform_program.find().path
        self._environment = terraform_program.quiet_environment() | dict(target.access)
        if target.access:
            for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
                self._environment.pop(name, None)
        self._environment |= {
            "AWS_REGION": target.region,
            "TF_DATA_DIR": str(self._data),
            "TF_VAR_artifacts_directory": os.path.relpath(self.artifacts, DIRECTORY),
        }
        if target.env == "local":
            console = os.environ.get("CONSOLE_PORT") or "8501"
            demo = os.environ.get("DEMO_PORT") or "3000"
            self._environment["TF_VAR_console_origins"] = json.dumps(
                [f"http://{host}:{console}" for host in ("localhost", "127.0.0.1")]
                + [f"http://localhost:{demo}"]
            )
        if target.endpoint:
            place = urlsplit(target.endpoint)
            self._environment["TF_VAR_service_urls"] = json.dumps(
                {
                    "api": f"{target.endpoint}/_aws/execute-api/%s/$default",
                    "assets": f"{place.scheme}://%s.cloudfront.localhost:{place.port or 80}",
                }
            )
            self._environment["TF_VAR_jwks_url"] = f"{target.endpoint}/%s/.well-known/jwks.json"

    def client(self, service: str) -> Any:
        """Return a boto3 client for the account that this environment lives in."""
        access = tuple(sorted(self.target.access.items()))
        return clients.client(service, self.target.region, access)

    @property
    def state_bucket(self) -> str:
        """The name of the bucket that holds the state, one for an account and region."""
        return f"avatar-ops-terraform-state-{self.target.account}-{self.target.region}"

    @property
    def state_key(self) -> str:
        """The state's object key."""
        return f"{self.target.env}/terraform.tfstate"

    def bootstrap(self) -> bool:
        """Make the state bucket: private, versioned, encrypted, over TLS only.

        Every setting is made each time: a first run may have ended half-way.

        Returns
        -------
        bool
            False if the bucket was there already.
        """
        bucket, s3 = self.state_bucket, self.client("s3")
        owner = {"ExpectedBucketOwner": self.target.account}
        with aws_errors(f"make the state bucket {bucket}"):
            there = _is_there(s3, bucket, owner)
            if not there:
                location = (
                    {}
                    if self.target.region == "us-east-1"
                    else {"CreateBucketConfiguration": {"LocationConstraint": self.target.region}}
                )
                s3.create_bucket(Bucket=bucket, **location)
            s3.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}, **owner
            )
            s3.put_public_access_block(
                Bucket=bucket,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
                **owner,
            )
            s3.put_bucket_encryption(
                Bucket=bucket,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
                **owner,
            )
            if not self.target.endpoint.startswith("http:"):
                s3.put_bucket_policy(Bucket=bucket, Policy=_tls_only(s3, bucket), **owner)
        return not there

    def init(self) -> None:
        """Initialise the data folder, unless it is already for this state."""
        options = [
            f"-backend-config=bucket={self.state_bucket}",
            f"-backend-config=key={self.state_key}",
            f"-backend-config=region={self.target.region}",
            f"-backend-config=use_path_style={'true' if self.target.endpoint else 'false'}",
        ]
        stamp = self._data / "initialised.json"
        lock = (DIRECTORY / ".terraform.lock.hcl").read_text()
        modules = sorted(str(path) for path in DIRECTORY.glob("modules/*"))
        wanted = json.dumps([options, lock, modules])
        if stamp.exists() and stamp.read_text() == wanted:
            return
        self._run("init", "-reconfigure", "-lockfile=readonly", *options, *_plugins())
        stamp.write_text(wanted)

    @contextlib.contextmanager
    def planned(self, report: progress.Report, *options: str) -> Iterator[Plan]:
        """Plan into a file of this run alone, and keep others out until the block ends.

        Raises
        ------
        OperationError
            If another command of this machine plans or applies the same environment, or
            Terraform fails.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        with self._exclusively(), tempfile.TemporaryDirectory(dir=self._data) as folder:
            self.init()
            path = Path(folder) / "plan"  # readable for this user alone, as the folder is
            plan = self._plan(path, report, options)
            yield replace(plan, digest=plan.current_digest())

    def _plan(self, path: Path, report: progress.Report, options: Sequence[str]) -> Plan:
        description: list[str] = []

        def read(line: str) -> None:
            if at_work := _AT_WORK.match(line):
                report(progress.Event(step, "advanced", at_work[1]))
            else:
                description.append(line.rstrip())

        words = self._command(
            "plan", "-no-color", "-compact-warnings", "-detailed-exitcode",
            f"-var-file={self.settings}", f"-out={path}", *options,
        )  # fmt: skip
        with progress.timed(report, step := "Terraform plan") as detail:
            ended = terraform_process.run(words, self._environment, read)
            # with -detailed-exitcode, 2 says that there is something to change
            if ended.status not in {0, 2}:
                raise failed("plan", ended.errors, ended.status)
            said = _SUMMARY.search("\n".join(description))
            changes = Changes(*map(int, said.groups())) if said else Changes()
            detail.append(str(changes))
        shown = "\n".join(description).partition("\n─")[0].strip().splitlines()
        return Plan(path, changes, ended.status == 0, self.artifacts, tuple(shown))

    def apply(self, plan: Plan, report: progress.Report) -> Changes:
        """Apply a plan, reporting each resource.

        Raises
        ------
        StaleChangeError
            If plan or zips are not those that were planned, or the state has changed since.
        OperationError
            If Terraform fails.
        """
        plan.check()
        with progress.timed(report, "Terraform apply") as detail:
            changes = self._apply(plan, report)
            detail.append(str(changes))
        return changes

    def outputs(self) -> dict[str, Any]:
        """Return the outputs' values; none if nothing was applied to its end."""
        self.init()
        found = json.loads(self._run("output", "-json"))
        return {name: output["value"] for name, output in found.items()}

    def unlock(self, lock_id: str) -> None:
        """Remove the lock of a run that was killed."""
        self.init()
        self._run("force-unlock", "-force", lock_id)

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        with (self._data / "run.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise OperationError(
                    f"Terraform is at work on {self.target.env} here already, in the process "
                    f"{lock.read().strip() or 'of another command'}.",
                    "Wait until that has ended, or answer its question.",
                ) from None
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    def _command(self, *arguments: str) -> list[str]:
        return [self._terraform, f"-chdir={DIRECTORY}", *arguments]

    def _run(self, command: str, *arguments: str) -> str:
        words = self._command(command, "-no-color", *arguments)
        ended = terraform_process.run(words, self._environment)
        if ended.status:
            raise failed(command, ended.errors, ended.status)
        return ended.output

    def _apply(self, plan: Plan, report: progress.Report) -> Changes:
        reader = _Reader(report)
        words = self._command("apply", "-json", str(plan.path))
        ended = terraform_process.run(words, self._environment, reader.read)
        if not ended.status:
            return reader.changes
        if any("Saved plan is stale" in error for error in reader.errors):
            raise StaleChangeError(
                f"The state of {self.target.env} has changed since the plan was shown.",
                "Run the same command again and read its plan.",
            )
        more = f" (and {len(reader.errors) - 1} more)" if len(reader.errors) > 1 else ""
        said = reader.errors[0] + more if reader.errors else ended.errors
        raise failed("apply", said, ended.status)


class _Reader:
    """The JSON lines of an apply, as progress, the counts at the end, and errors."""

    def __init__(self, report: progress.Report) -> None:
        self.changes = Changes()
        self.errors: list[str] = []
        self._report = report
        self._done = self._total = 0

    def read(self, text: str) -> None:
        if not text.startswith("{"):
            return
        line = json.loads(text)
        kind = line.get("type")
        if kind == "change_summary":
            counts = line["changes"]
            self.changes = Changes(counts["add"], counts["change"], counts["remove"])
            self._total = counts["add"] + counts["change"] + counts["remove"]
        elif kind == "planned_change":
            self._total += 1
        elif kind in {"apply_start", "apply_complete", "refresh_complete"}:
            self._done += kind == "apply_complete"
            self._report(
                progress.Event(
                    "Terraform apply",
                    "advanced",
                    line["hook"]["resource"]["addr"],
                    done=self._done if kind != "refresh_complete" else None,
                    total=self._total or None,
                )
            )
        elif kind == "apply_progress":
            hook = line["hook"]
            detail = f"{hook['resource']['addr']}: {hook['elapsed_seconds']} s"
            if why := _WAITS.get((hook["resource"]["resource_type"], hook["action"])):
                detail += f" ({why})"
            self._report(
                progress.Event(
                    "Terraform apply",
                    "advanced",
                    detail,
                    done=self._done,
                    total=self._total or None,
                )
            )
        elif kind == "diagnostic" and line["diagnostic"]["severity"] == "error":
            found = line["diagnostic"]
            detail = terraform_process.flat(f"{found['summary']}: {found.get('detail', '')}")
            place = found.get("address")
            self.errors.append(f"{place}: {detail}" if place else detail)


def artifacts_directory(state: Path, *, emulated: bool) -> Path:
    """Return the folder of the functions' zips: an emulator's are built for this machine."""
    return state / "build" if emulated else ROOT / "build/aws"


def initialised_for_checks(data_directory: Path) -> tuple[str, dict[str, str]]:
    """Initialise without any state, for ``validate`` and ``test``.

    Returns
    -------
    tuple
        Terraform's path, and the environment to run it in.
    """
    terraform = terraform_program.find().path
    environment = terraform_program.quiet_environment() | {"TF_DATA_DIR": str(data_directory)}
    options = ["-backend=false", "-lockfile=readonly", "-no-color", *_plugins()]
    ended = terraform_process.run([terraform, f"-chdir={DIRECTORY}", "init", *options], environment)
    if ended.status:
        raise failed("init", ended.errors, ended.status)
    return terraform, environment


def _is_readable(folder: Path) -> bool:
    # Path.is_dir raises where a parent is closed
    return os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)  # noqa: PTH112


def _plugins() -> list[str]:
    mirror = Path(os.environ.get("TF_PLUGIN_DIR") or _MIRROR).absolute()
    return [f"-plugin-dir={mirror}"] if _is_readable(mirror) else []


def _is_there(s3: Any, bucket: str, owner: dict[str, str]) -> bool:
    try:
        s3.head_bucket(Bucket=bucket, **owner)
    except s3.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "403":
            raise OperationError(
                f"The bucket {bucket} is another account's, or you have no right to it.",
                "Ask for s3:ListBucket on it; never keep a state in a bucket of somebody else.",
            ) from error
        if code != "404":
            raise
        return False
    return True


def _tls_only(s3: Any, bucket: str) -> str:
    arn = f"arn:{s3.meta.partition}:s3:::{bucket}"
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "DenyInsecureTransport",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [arn, f"{arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
    )
