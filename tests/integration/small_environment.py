"""An environment of a few resources, so that applying and destroying it takes seconds.

Run as a program, it is the command line on that environment: ``python -m
tests.integration.small_environment FOLDER COMMAND …``.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg

from console import cli
from console.operations import migrations
from console.operations.environments import databases, target, terraform
from console.operations.environments.deployment import ROOT
from console.operations.environments.settings_files import CONSOLE
from tests.integration.system import System, unattended
from tests.terminal import Terminal

_VARIABLES = """
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
  backend "s3" {
    use_lockfile = true
  }
}

variable "environment" { type = string }
variable "region" { type = string }
variable "account_id" { type = string }
variable "front_end_origins" { type = list(string) }
variable "artifacts_directory" { type = string }
variable "service_urls" { type = any }
variable "jwks_url" { type = string }
variable "known" { type = map(string) }
variable "runs" { type = string }
"""
# Without AWS's provider, a run of Terraform takes a second instead of ten
_THINGS = """
resource "terraform_data" "thing" {
  input = var.known.api_url
}
resource "terraform_data" "running" {
  count = var.runs == "" ? 0 : 1
  input = "distribution"

  provisioner "local-exec" {
    command = var.runs
  }
}
resource "terraform_data" "behind_it" {
  count      = var.runs == "" ? 0 : 1
  input      = var.known.distribution_id
  depends_on = [terraform_data.running]
}
"""
_BUCKETS = """
provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]
  s3_use_path_style   = true
}

resource "aws_s3_bucket" "uploads" { bucket = "${var.environment}-uploads" }
resource "aws_s3_bucket_versioning" "uploads" {
  bucket = aws_s3_bucket.uploads.id
  versioning_configuration { status = "Enabled" }
}
resource "aws_s3_bucket" "assets" { bucket = "${var.environment}-assets" }
resource "aws_s3_object" "default" {
  bucket  = aws_s3_bucket.assets.id
  key     = "avatars/_default.jpg"
  content = "default"
}
resource "aws_cognito_user_pool" "this" {
  name                = var.environment
  deletion_protection = "ACTIVE"
}
"""
_KNOWN = [name for name in CONSOLE if name not in ("region", "account_id", "reviews_table")]
# All that the console reads
_OUTPUTS = {
    "region": "var.region",
    "account_id": "var.account_id",
    "user_pool_region": "var.region",
    "front_end_origins": "var.front_end_origins",
    **{name: f"var.known.{name}" for name in _KNOWN},
    # like CloudFront's on AWS, what a first apply may not come to
    "distribution_id": "try(terraform_data.behind_it[0].output, var.known.distribution_id)",
}


class SmallEnvironment:
    """An environment beside the local one: the same emulator, the same Postgres.

    Parameters
    ----------
    buckets
        Whether it has buckets and a user pool of its own, not only something to change.
    """

    def __init__(self, system: System, folder: Path, env: str, *, buckets: bool = False) -> None:
        self.env = env
        self.system = system
        self.folder = folder
        here = system.deployment()
        (folder / "envs").mkdir(parents=True)
        outputs = [f'output "{name}" {{\n  value = {text}\n}}' for name, text in _OUTPUTS.items()]
        (folder / "main.tf").write_text(
            "\n".join([_VARIABLES, _THINGS, _BUCKETS if buckets else "", *outputs])
        )
        shutil.copy(ROOT / "terraform/.terraform.lock.hcl", folder)
        self.owner = databases.operator_url(here)
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {env}")
            connection.execute(f"CREATE DATABASE {env}")
        self.database = psycopg.conninfo.make_conninfo(self.owner, dbname=env)
        here.parameters.put_parameter(
            Name=f"/{env}/database-owner", Value=self.database, Type="SecureString", Overwrite=True
        )
        self.known = {
            name: str(getattr(here, name)) for name in _KNOWN if name != "function_names"
        } | {
            "function_names": json.dumps(dict(here.function_names)),
            "database_url_parameter": f"/{env}/database",
        }
        self.environment = {
            **system.environment,
            "ENV": self.env,
            "AWS_ENDPOINT_URL": here.access["AWS_ENDPOINT_URL"],
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "PYTHONPATH": str(ROOT),
        }
        self.set()

    def set(self, *, runs: str = "", **known: str) -> None:
        """Write the tfvars, with other values of outputs.

        Parameters
        ----------
        runs
            What an apply runs while it makes its last resource, such as ``false``, which fails.
        """
        values = {
            "environment": self.env,
            "region": "eu-central-1",
            "account_id": "000000000000",
            "front_end_origins": ["https://small.example"],
            "known": self.known | known,
            "runs": runs,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        (self.folder / "envs" / f"{self.env}.tfvars").write_text("\n".join(lines) + "\n")

    def _command(self, arguments: Sequence[str]) -> list[str]:
        module = "tests.integration.small_environment"
        return [sys.executable, "-m", module, str(self.folder), *arguments]

    def _environment(self, host: str, options: dict[str, str]) -> dict[str, str]:
        # another machine shares nothing but AWS and the database
        state = self.system.environment["AVATAR_OPS_STATE"] + host
        return {**self.environment, "AVATAR_OPS_STATE": state, **options}

    def terminal(self, *arguments: str, host: str = "", **options: str) -> Terminal:
        """Run a command at a terminal, on this machine or another."""
        return Terminal(self._command(arguments), self._environment(host, options), self.folder)

    def run(self, *arguments: str, host: str = "", status: int = 0, **options: str) -> str:
        """Run a command that nobody is there to answer, and return all that it says."""
        ended, output = unattended(
            self._command(arguments), self._environment(host, options), self.folder, seconds=120
        )
        assert ended == status, output
        return output

    def applied(self) -> list[str]:
        """Return the names of the migrations that its database has."""
        lines = migrations.migrations(self.database)
        return [line.name for line in lines if line.state == "applied"]


if __name__ == "__main__":
    place = Path(sys.argv.pop(1))
    terraform.DIRECTORY = place
    target.TFVARS = terraform.TFVARS = place / "envs"
    cli.main()
