"""Run Terraform on one environment: its own state, its own data folder, progress as events."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from console.operations import progress
from console.operations.environments import clients, deployment, terraform_program
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import ROOT
from console.operations.errors import OperationError

DIRECTORY = ROOT / "terraform"
# Machines that build without the registry keep a mirror of the provider here
_MIRROR = Path("/opt/tf-plugins")


@dataclass(frozen=True)
class Changes:
    """How many resources a plan adds, changes and removes."""

    add: int
    change: int
    remove: int

    def __bool__(self) -> bool:
        return bool(self.add or self.change or self.remove)

    def __str__(self) -> str:
        return f"{self.add} to add, {self.change} to change, {self.remove} to remove"


def state_directory() -> Path:
    """Return the folder of what is kept between runs (``AVATAR_OPS_STATE`` moves it)."""
    return Path(os.environ.get("AVATAR_OPS_STATE") or ROOT / ".local/state").resolve()


class Workspace:
    """Terraform's root module with one environment's settings and state.

    Parameters
    ----------
    env
        The environment's name: ``terraform/envs/<env>.tfvars``.
    access
        Environment variables that point at an emulator; empty on AWS.
    state_directory
        Holds Terraform's data folder and, for an emulator, the zips.
    """

    def __init__(self, env: str, access: Mapping[str, str], state_directory: Path) -> None:
        deployment.check_name(env)
        self.env = env
        self.access = dict(access)
        self.settings = DIRECTORY / "envs" / f"{env}.tfvars"
        if not self.settings.exists():
            raise OperationError(
                f"There is no terraform/envs/{env}.tfvars.",
                f"Copy example.tfvars there to {env}.tfvars and fill it in.",
            )
        self.region = _region(self.settings)
        self._data = state_directory / "terraform" / env
        self._terraform = terraform_program.find().path
        self._environment = terraform_program.quiet_environment() | dict(access)
        if access:
            for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
                self._environment.pop(name, None)
        self.endpoint = self._environment.get("AWS_ENDPOINT_URL", "")
        self.target: Literal["aws", "local"] = "local" if self.endpoint else "aws"
        self.artifacts = (state_directory / "build") if self.endpoint else ROOT / "build/aws"
        self._environment |= {
            "AWS_REGION": self.region,
            "TF_DATA_DIR": str(self._data),
            "TF_VAR_artifacts_directory": os.path.relpath(self.artifacts, DIRECTORY),
        }
        if env == "local":
            port = os.environ.get("CONSOLE_PORT") or "8501"
            self._environment["TF_VAR_console_origins"] = json.dumps(
                [f"http://localhost:{port}", f"http://127.0.0.1:{port}"]
            )
        if self.endpoint:
            place = urlsplit(self.endpoint)
            self._environment["TF_VAR_service_urls"] = json.dumps(
                {
                    "api": f"{self.endpoint}/_aws/execute-api/%s/$default",
                    "assets": f"{place.scheme}://%s.cloudfront.localhost:{place.port or 80}",
                }
            )
            self._environment["TF_VAR_jwks_url"] = f"{self.endpoint}/%s/.well-known/jwks.json"

    def client(self, service: str) -> Any:
        """Return a boto3 client for the account that this environment lives in."""
        access = {
            name: self._environment[name]
            for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
            if self.endpoint and name in self._environment
        }
        return clients.client(service, self.region, tuple(sorted(access.items())))

    def state_bucket(self) -> str:
        """Return the name of the bucket that holds the state, one for an account and region."""
        with aws_errors("ask AWS who we are"):
            account = self.client("sts").get_caller_identity()["Account"]
        return f"avatar-ops-terraform-state-{account}-{self.region}"

    @property
    def state_key(self) -> str:
        """The state's object key."""
        return f"{self.env}/terraform.tfstate"

    def bootstrap(self) -> bool:
        """Make the state bucket: private, versioned, encrypted.

        Returns
        -------
        bool
            False if it was there already.
        """
        bucket, s3 = self.state_bucket(), self.client("s3")
        with aws_errors(f"make the state bucket {bucket}"):
            if bucket in {found["Name"] for found in s3.list_buckets()["Buckets"]}:
                return False
            location = (
                {}
                if self.region == "us-east-1"
                else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
            )
            s3.create_bucket(Bucket=bucket, **location)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            s3.put_public_access_block(
                Bucket=bucket,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
            )
            s3.put_bucket_encryption(
                Bucket=bucket,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
            )
        return True

    def init(self) -> None:
        """Initialise the data folder, unless it is already for this state."""
        options = [
            f"-backend-config=bucket={self.state_bucket()}",
            f"-backend-config=key={self.state_key}",
            f"-backend-config=region={self.region}",
            f"-backend-config=use_path_style={'true' if self.endpoint else 'false'}",
        ]
        stamp = self._data / "initialised.json"
        lock = (DIRECTORY / ".terraform.lock.hcl").read_text()
        modules = sorted(str(path) for path in DIRECTORY.glob("modules/*"))
        wanted = json.dumps([options, lock, modules])
        if stamp.exists() and stamp.read_text() == wanted:
            return
        self._run("init", "-reconfigure", "-lockfile=readonly", *options, *_plugins())
        stamp.write_text(wanted)

    def show_plan(self, *options: str) -> Path | None:
        """Plan, in Terraform's own words on standard output.

        Returns
        -------
        Path or None
            The plan's file, or None if there is nothing to change.
        """
        self.init()
        plan_file = self._data / "plan.tfplan"
        done = subprocess.run(
            [
                self._terraform, f"-chdir={DIRECTORY}", "plan", f"-var-file={self.settings}",
                f"-out={plan_file}", "-detailed-exitcode", "-compact-warnings", *options,
            ],
            env=self._environment,
            check=False,
        )  # fmt: skip
        if done.returncode not in {0, 2}:
            raise OperationError(
                "Terraform could not plan.", "Mend what it says above, then try again."
            )
        return plan_file if done.returncode == 2 else None

    def destroy_plan(self, *, force: bool) -> Path | None:
        """Plan to delete everything.

        Parameters
        ----------
        force
            Delete the buckets' objects too.

        Raises
        ------
        OperationError
            If a bucket holds objects and that was not asked for.
        """
        outputs = self.outputs()
        if force:
            # Terraform reads force_destroy from the state: it must be there before
            _, changes = self.plan(progress.ignore, "-var=force_destroy_buckets=true")
            if changes:
                self.apply(self._data / "plan.tfplan", progress.ignore)
        else:
            for name in (outputs["uploads_bucket"], outputs["assets_bucket"]):
                self._refuse_if_filled(name)
        return self.show_plan("-destroy")

    def _refuse_if_filled(self, bucket: str) -> None:
        with aws_errors(f"look into {bucket}"):
            found = self.client("s3").list_object_versions(Bucket=bucket, MaxKeys=10)
        own = {"avatars/_default.jpg", "banners/banner.jpg"}  # Terraform's, and deleted by it
        if any(item["Key"] not in own for item in found.get("Versions", [])):
            raise OperationError(
                f"The bucket {bucket} holds objects.",
                f"Save what is needed, then: make destroy ENV={self.env} FORCE=1",
            )

    def plan(self, report: progress.Report, *options: str) -> tuple[Path, Changes]:
        """Plan quietly; return the plan's file and what it would do."""
        plan_file = self._data / "plan.tfplan"
        changes = self._stream(
            report, "Plan", "plan", f"-var-file={self.settings}", f"-out={plan_file}", *options
        )
        return plan_file, changes

    def apply(self, plan_file: Path, report: progress.Report) -> Changes:
        """Apply a plan, reporting each resource."""
        return self._stream(report, "Apply", "apply", str(plan_file))

    def show(self, plan_file: Path) -> dict[str, Any]:
        """Return a plan as Terraform's JSON describes it."""
        shown: dict[str, Any] = json.loads(self._run("show", "-json", str(plan_file)))
        return shown

    def outputs(self) -> dict[str, Any]:
        """Return the outputs' values.

        Raises
        ------
        OperationError
            If nothing has been applied.
        """
        self.init()
        found = json.loads(self._run("output", "-json"))
        if not found:
            raise OperationError(
                f"The environment {self.env} has no outputs: nothing was applied.",
                f"Run `make apply ENV={self.env}`.",
            )
        return {name: output["value"] for name, output in found.items()}

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._terraform, f"-chdir={DIRECTORY}", *arguments, "-no-color"],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise OperationError(
                f"terraform {arguments[0]} failed: {_flat(done.stderr)}", _remedy(done.stderr)
            )
        return done.stdout

    def _stream(self, report: progress.Report, step: str, *arguments: str) -> Changes:
        """Run a command with JSON output and report what it says while it goes on."""
        changes = Changes(0, 0, 0)
        errors: list[str] = []
        total = done = 0
        command, *rest = arguments
        with _started(
            [self._terraform, f"-chdir={DIRECTORY}", command, "-json", *rest], self._environment
        ) as lines:
            for line in lines:
                kind = line.get("type")
                if kind == "change_summary":
                    counts = line["changes"]
                    changes = Changes(counts["add"], counts["change"], counts["remove"])
                    total = changes.add + changes.change + changes.remove
                elif kind == "planned_change":
                    total += 1
                elif kind in {"apply_start", "apply_complete", "refresh_complete"}:
                    done += kind == "apply_complete"
                    address = line["hook"]["resource"]["addr"]
                    report(
                        progress.Event(
                            step,
                            "advanced",
                            address,
                            done=done if kind != "refresh_complete" else None,
                            total=total or None,
                        )
                    )
                elif kind == "diagnostic" and line["diagnostic"]["severity"] == "error":
                    found = line["diagnostic"]
                    place = found.get("address")
                    detail = _flat(f"{found['summary']}: {found.get('detail', '')}")
                    errors.append(f"{place}: {detail}" if place else detail)
        if errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise OperationError(
                f"terraform {command} failed: {errors[0]}{more}", _remedy(errors[0])
            )
        return changes


def initialised_for_checks(data_directory: Path) -> tuple[str, dict[str, str]]:
    """Initialise without any state, for ``validate`` and ``test``.

    Returns
    -------
    tuple
        Terraform's path, and the environment to run it in.
    """
    terraform = terraform_program.find().path
    environment = terraform_program.quiet_environment() | {"TF_DATA_DIR": str(data_directory)}
    done = subprocess.run(
        [terraform, f"-chdir={DIRECTORY}", "init", "-backend=false", "-lockfile=readonly",
         "-no-color", *_plugins()],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise OperationError(f"terraform init failed: {_flat(done.stderr)}", _remedy(done.stderr))
    return terraform, environment


def _is_readable(folder: Path) -> bool:
    # Path.is_dir raises where a parent is closed
    return os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)  # noqa: PTH112


def _plugins() -> list[str]:
    mirror = Path(os.environ.get("TF_PLUGIN_DIR") or _MIRROR).absolute()
    return [f"-plugin-dir={mirror}"] if _is_readable(mirror) else []


@contextlib.contextmanager
def _started(
    command: list[str], environment: Mapping[str, str]
) -> Iterator[Iterator[dict[str, Any]]]:
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        try:
            yield (json.loads(line) for line in process.stdout if line.startswith("{"))
        except BaseException:
            process.terminate()  # Terraform stops in good order and saves its state
            raise
        status = process.wait()
        errors.seek(0)
        words = _flat(errors.read())
        if status < 0:
            raise OperationError(f"Terraform was killed. {words}", "Run the same command again.")
        if status and words:
            raise OperationError(f"Terraform failed: {words}", _remedy(words))


def _region(settings: Path) -> str:
    match = re.search(r'^\s*region\s*=\s*"([a-z0-9-]+)"', settings.read_text(), re.MULTILINE)
    if not match:
        raise OperationError(
            f"{settings.name} sets no region.", 'Add a line such as: region = "eu-central-1"'
        )
    return match[1]


def _flat(text: str, limit: int = 600) -> str:
    words = " ".join(re.sub(r"[│╷╵]", " ", text).split())
    return words if len(words) <= limit else words[:limit] + " …"


def _remedy(message: str) -> str:
    if "state lock" in message:
        return (
            "Another run holds the state. If none is running, one was killed: remove its lock "
            "with `terraform force-unlock <ID>`."
        )
    if "NoSuchBucket" in message or "does not exist" in message:
        return "Run `make bootstrap` for this environment first."
    if "checksum" in message or "Failed to query available provider" in message:
        return "Terraform needs the AWS provider: allow the registry, or set TF_PLUGIN_DIR."
    return "Mend what it names, then run the same command again."
