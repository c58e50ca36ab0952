"""The values that an environment gives to Terraform's variables, as Terraform itself reads them."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from console.operations.environments import (
    target,
    terraform,
    terraform_process,
    terraform_program,
)
from console.operations.errors import OperationError


def read(env: str) -> dict[str, Any]:
    """Return every root variable's value: the environment's, or else its default.

    Neither AWS nor the provider is asked, so it works before anybody has credentials.

    Raises
    ------
    OperationError
        If there are no settings, or Terraform refuses one of them.
    """
    settings = target.TFVARS / f"{env}.tfvars"
    if not settings.exists():
        raise OperationError(
            f"There is no terraform/envs/{env}.tfvars.",
            f"Copy example.tfvars there to {env}.tfvars and fill it in.",
        )
    declared = terraform.DIRECTORY / "variables.tf"
    names = re.findall(r'^variable "(\w+)"', declared.read_text(), re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        place, plan = Path(folder), f"{folder}/plan"
        shutil.copy(declared, place)
        values = "".join(f"    {name} = var.{name}\n" for name in names)
        (place / "outputs.tf").write_text(f'output "values" {{\n  value = {{\n{values}  }}\n}}\n')
        _run(place, "plan", "-input=false", "-no-color", f"-var-file={settings}", f"-out={plan}")
        shown = json.loads(_run(place, "show", "-json", plan))
    values = shown["planned_values"]["outputs"]["values"]["value"]
    return {name: values.get(name) for name in names}


def _run(folder: Path, command: str, *arguments: str) -> str:
    program = terraform_program.find().path
    environment = {
        name: value
        for name, value in terraform_program.quiet_environment().items()
        if not name.startswith("TF_VAR_")
    } | {"TF_DATA_DIR": str(folder / ".terraform")}
    ended = terraform_process.run([program, f"-chdir={folder}", command, *arguments], environment)
    if ended.status:
        raise terraform_process.failed(command, ended.errors, ended.status)
    return ended.output
