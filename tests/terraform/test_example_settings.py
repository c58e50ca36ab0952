"""The example of an environment names every setting there is, and no other."""

import re
from pathlib import Path

TERRAFORM = Path(__file__).parents[2] / "terraform"


def test_the_example_explains_every_setting_and_no_other() -> None:
    variables = (TERRAFORM / "variables.tf").read_text()
    example = (TERRAFORM / "envs" / "example.tfvars").read_text()

    declared = set(re.findall(r'^variable "(\w+)"', variables, re.MULTILINE))
    # A setting starts its line, or the comment that shows its default; attributes are indented.
    explained = set(re.findall(r"^(?:# )?([a-z]\w*) *= ", example, re.MULTILINE))

    assert explained == declared
