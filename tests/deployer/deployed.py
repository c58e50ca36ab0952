"""An environment made, run and deleted by somebody who has the printed policies and no other right.

Run as a program, it is the command line with settings of another folder: ``python -m
tests.deployer.deployed FOLDER COMMAND …``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from console import cli
from console.operations import progress
from console.operations.environments import target, terraform
from console.operations.environments.deployment import ROOT, client
from console.operations.migrations import postgres_server
from local import emulator, zips
from local.settings import CREDENTIALS, REGION, LocalSettings
from tests.integration.system import free_port, unattended

ENV = "shop"
ACCOUNT = "000000000000"
DOMAIN = "shop.example"
PARAMETER = f"/avatar-ops/{ENV}/database-url"


@dataclass(frozen=True)
class Authorised:
    """A decision of IAM: what was asked, and whether it was allowed."""

    action: str
    resource: str
    allowed: bool


class Deployed:
    """An emulator, a Postgres, and the settings of an environment there."""

    def __init__(self, folder: Path, endpoint: str, owner_url: str, record: Path) -> None:
        self.folder = folder
        self.endpoint = endpoint
        self.owner_url = owner_url
        self._record = record
        self._access = tuple({"AWS_ENDPOINT_URL": endpoint, **CREDENTIALS}.items())
        self.key = self.secret = ""
        (folder / "envs").mkdir()

    def root(self, service: str) -> Any:
        """Return a client of the account's root."""
        return client(service, REGION, self._access)

    def settings(self, **changed: str) -> None:
        """Write the tfvars; a value is an expression of Terraform's language."""
        values = {
            "environment": json.dumps(ENV),
            "region": json.dumps(REGION),
            "account_id": json.dumps(ACCOUNT),
            "domain_name": json.dumps(DOMAIN),
            "front_end_origins": '["https://shop.example"]',
            "database": f'{{ url_parameter_name = "{PARAMETER}", maximum_concurrency = 5 }}',
            "resize": "{ maximum_concurrency = 2, timeout = 15 }",
            "alarm_email": '"operators@example.com"',
            "moderation": '"reports"',
            "deny_insecure_transport": "false",
            "s3_use_path_style": "true",
            "viewer_protocol_policy": '"allow-all"',
            "wait_for_cdn": "false",
            "user_pool_deletion_protection": "false",
        } | changed
        lines = [f"{name} = {text}" for name, text in values.items()]
        (self.folder / "envs" / f"{ENV}.tfvars").write_text("\n".join(lines) + "\n")

    def sign_in(self, documents: dict[str, Any]) -> None:
        """Make a user who has these policies, and be that user from now on."""
        iam = self.root("iam")
        iam.create_user(UserName="deployer")
        for name, document in documents.items():
            made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))
            iam.attach_user_policy(UserName="deployer", PolicyArn=made["Policy"]["Arn"])
        key = iam.create_access_key(UserName="deployer")["AccessKey"]
        self.key, self.secret = key["AccessKeyId"], key["SecretAccessKey"]

    def run(self, *arguments: str, status: int = 0, **options: str) -> str:
        """Run a command as the user, and return all that it says."""
        words = [sys.executable, "-m", "tests.deployer.deployed", str(self.folder), *arguments]
        ended, output = unattended(words, {**self.environment(), **options}, seconds=400)
        assert ended == status, f"{arguments}: {output}\n{self.refused()}"
        return output

    def environment(self) -> dict[str, str]:
        """Return the environment of the user's commands."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
        return kept | {
            "ENV": ENV,
            "AVATAR_OPS_STATE": str(self.folder / "state"),
            "AVATAR_OPS_ENV_DIR": str(self.folder),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "COLUMNS": "200",
        }

    def authorised(self) -> list[Authorised]:
        """Return every decision about the user so far."""
        lines = map(json.loads, self._record.read_text().splitlines())
        return [
            Authorised(line["action"], line["resource"], line["allowed"])
            for line in lines
            if line["key"] == self.key
        ]

    def refused(self) -> list[Authorised]:
        """Return what the user was refused."""
        return [decision for decision in self.authorised() if not decision.allowed]


@contextmanager
def deployed(folder: Path) -> Iterator[Deployed]:
    """Start an emulator that asks IAM as AWS does, and a Postgres; stop and delete both."""
    local = folder / "emulator"
    local.mkdir()
    settings = replace(LocalSettings.from_environment(), state=local, aws_port=free_port())
    running = emulator.Emulator(settings)
    # By a process of its own, as `make up` is: the emulator is nobody's child here
    start = [sys.executable, "-m", "tests.deployer.deployed", "--start", str(local)]
    subprocess.run([*start, str(settings.aws_port)], cwd=ROOT, check=True)
    try:
        owner = postgres_server.start(folder / "postgres", free_port())
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {ENV}")
        url = psycopg.conninfo.make_conninfo(owner, dbname=ENV)
        here = Deployed(folder, settings.endpoint, owner, local / "authorised.jsonl")
        here.root("route53").create_hosted_zone(Name=DOMAIN, CallerReference=DOMAIN)
        here.root("ssm").put_parameter(
            Name=f"{PARAMETER}-owner", Value=_url(url), Type="SecureString"
        )
        zips.build("local", folder / "state" / ENV / "build", progress.ignore)
        yield here
    finally:
        running.stop()
        postgres_server.stop(folder / "postgres")


def _url(text: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(text)
    password = f":{parts['password']}" if parts.get("password") else ""
    return (
        f"postgresql://{parts['user']}{password}@{parts['host']}:{parts['port']}/{parts['dbname']}"
    )


def generic(resource: str) -> str:
    """Return an ARN with what is this run's alone replaced, so that two runs give the same."""
    for text, name in (
        (f"avatar-ops-{ENV}", "{name}"), (ACCOUNT, "{account}"), (REGION, "{region}"),
        (f"/{ENV}/", "/{env}/"), (DOMAIN, "{domain}"),
    ):  # fmt: skip
        resource = resource.replace(text, name)
    for pattern, name in (
        (r"(userpool/)\{region\}_\w+", r"\1{id}"),
        (r"((?:function|alarm):|role/|/aws/lambda/)\{name\}-[\w-]+", r"\1{name}-*"),
        (r"(hostedzone/|change/)\w+", r"\1{id}"),
        (r"(certificate/|event-source-mapping:)[\w-]+", r"\1{id}"),
        (
            r"(distribution|origin-access-control|cache-policy|response-headers-policy)/[\w-]+",
            r"\1/{id}",
        ),
        (r"(/apis/|/authorizers/|/integrations/|/routes/|/apimappings/)\w+", r"\1{id}"),
        (r"(arn:aws:s3:::\{name\}-\w+-\{account\})/.+", r"\1/{key}"),
    ):
        resource = re.sub(pattern, name, resource)
    return resource


def _start(local: str, port: str) -> None:
    emulator.install()
    emulator.MAIN = ROOT / "tests/deployer/exact_iam.py"
    settings = replace(LocalSettings.from_environment(), state=Path(local), aws_port=int(port))
    emulator.Emulator(settings).start()


if __name__ == "__main__":
    if sys.argv[1] == "--start":
        _start(*sys.argv[2:])
        sys.exit()
    place = Path(sys.argv.pop(1))
    target.TFVARS = terraform.TFVARS = place / "envs"
    cli.main()
