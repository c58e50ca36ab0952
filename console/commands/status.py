"""``status``: where everything is, and how much is queued."""

from __future__ import annotations

import json

from console import terminal
from console.commands.context import AsJson, command, commands, deployed, resolved
from console.operations.environments import databases
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters

app = commands()
out = terminal.out


@command(app)
def status(as_json: AsJson = False) -> None:
    """Show where everything is and how much is queued."""
    deployment, target = deployed(), resolved()
    queued = dead_letters.counts(deployment)
    facts = {
        "environment": target.env,
        "account": target.account,
        "api": deployment.api_url,
        "assets": deployment.assets_url,
        "aws": target.endpoint or f"AWS, {target.region}",
        **queued,
    }
    unreachable: OperationError | None = None
    if deployment.database_url_parameter:
        try:
            pending = databases.schema_state(target.database_url()).pending
            facts["database"] = f"{target.database}, {pending} migrations pending"
        except OperationError as error:  # said at the end: the queue is worth knowing meanwhile
            unreachable = error
            facts["database"] = "away"
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        for name, value in facts.items():
            out.print(f"{name.replace('_', ' '):<12} {value}")
    if queued["dead"] and not as_json:
        out.print(
            "[red]![/] Uploads failed: `make logs FUNCTION=resize` says why, "
            "`make redrive` tries them again."
        )
    if unreachable:
        raise unreachable
