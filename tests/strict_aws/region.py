"""A whole environment in any region, as if on AWS: no emulator's address, AWS's names, TLS.

Run as a program, it is the command line on that environment: ``python -m tests.strict_aws.region
FOLDER ZIPS COMMAND …``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import urllib3

from console import cli
from console.operations import web
from console.operations.environments import target, terraform
from console.operations.environments.deployment import ROOT, Deployment
from tests.integration.live import call_newest
from tests.integration.system import System, unattended
from tests.strict_aws.names import AwsNames


class Region:
    """An environment of the root module beside the local one.

    Parameters
    ----------
    region
        Where it is; its name too.
    """

    def __init__(self, system: System, folder: Path, names: AwsNames, region: str) -> None:
        self.env = self.region = region
        self.folder = folder
        self._zips = system.directory / "state/local/build"
        (folder / "envs").mkdir(parents=True)
        self.settings = folder / "envs" / f"{region}.tfvars"
        self._lines = [
            f'environment = "{region}"',
            f'region = "{region}"',
            'account_id = "000000000000"',
            'front_end_origins = ["https://example.com"]',
            f'artifacts_directory = "{self._zips}"',
            # functions speak to the emulator: no way to AWS's names, and no TLS
            "deny_insecure_transport = false",
            f'jwks_url = "http://localhost:{system.aws_port}/%s/.well-known/jwks.json"',
        ]
        self.set()
        self.environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "AVATAR_OPS_"))},
            **names.environment,
            "ENV": region,
            "AVATAR_OPS_STATE": str(folder / "state"),
            "AVATAR_OPS_ENV_DIR": str(folder),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
        }

    def set(self, settings: str = "") -> None:
        """Write the tfvars, with these lines more."""
        self.settings.write_text("\n".join([*self._lines, settings, ""]))

    def run(self, *arguments: str, status: int = 0, **options: str) -> str:
        """Run a command that nobody is there to answer, and return all that it says."""
        program = [sys.executable, "-m", "tests.strict_aws.region", str(self.folder)]
        ended, output = unattended(
            [*program, str(self._zips), *arguments], self.environment | options, self.folder
        )
        assert ended == status, output
        assert "Traceback" not in output, output
        return output

    def sign_for_aws(self, here: Deployment, emulator: str) -> None:
        """Let the presign function sign for AWS's host, as where Lambda sets no address."""
        import boto3

        client = boto3.client(
            "lambda",
            region_name=self.region,
            endpoint_url=emulator,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        name = here.function_names["presign"]
        before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        client.update_function_configuration(
            FunctionName=name,
            Environment={
                "Variables": before
                | {"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_DYNAMODB": emulator}
            },
        )
        client.get_waiter("function_updated_v2").wait(FunctionName=name)
        call_newest(client, name)


if __name__ == "__main__":
    place, zips = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
    target.TFVARS = terraform.TFVARS = place / "envs"
    terraform.artifacts_directory = lambda *_, **__: zips
    web._pool = urllib3.ProxyManager(
        os.environ["HTTPS_PROXY"],
        ca_certs=os.environ["AWS_CA_BUNDLE"],
        timeout=web._TIMEOUT,
        retries=False,
    )
    cli.main()
