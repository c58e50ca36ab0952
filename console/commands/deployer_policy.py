"""The IAM policies of whoever deploys an environment: deployer-policy."""

from __future__ import annotations

import json

from console import terminal
from console.commands.context import command, commands
from console.operations.environments import deployer_policy, target, variables

app = commands()


@command(app, "deployer-policy")
def show() -> None:
    """Print the policies as JSON: one, or several by name where one would be too long for IAM."""
    env = target.chosen_env()
    environment = deployer_policy.Environment.from_variables(env, variables.read(env))
    documents = deployer_policy.documents(environment)
    print(json.dumps(documents if len(documents) > 1 else next(iter(documents.values())), indent=2))
    if len(documents) > 1:
        terminal.err.print(
            f"IAM takes {deployer_policy.MANAGED_POLICY_LIMIT:,} characters in a policy, so these "
            f"are {len(documents)}, by name: make each with `aws iam create-policy`, and attach "
            "all of them to the role or user that deploys (docs/deployer.md)."
        )
