"""What is being examined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from console.operations.environments.deployment import Deployment
from console.operations.environments.terraform_state import TerraformState


@dataclass
class Examined:
    """An environment, as Terraform knows it if it does, else as its settings file says.

    Attributes
    ----------
    state
        None where Terraform's state can't be read: what only it knows is then skipped.
    token
        The access token of a test user, once somebody has signed in.
    """

    here: Deployment
    state: TerraformState | None
    token: str | None = field(default=None, repr=False)

    @property
    def fix_by_apply(self) -> str:
        """The remedy for what was changed behind Terraform's back."""
        return (
            f"`make plan ENV={self.here.name}` shows what Terraform would put back, "
            f"`make apply ENV={self.here.name}` shows it again, asks, and does it."
        )

    @property
    def origins(self) -> list[str]:
        """The front ends' origins."""
        return list(self.state.outputs["front_end_origins"]) if self.state else []

    @property
    def queue_arn(self) -> str:
        """The ARN of the queue of uploads."""
        return self._arn_of_queue(self.here.queue_url)

    @property
    def dead_letter_queue_arn(self) -> str:
        """The ARN of the dead-letter queue."""
        return self._arn_of_queue(self.here.dead_letter_queue_url)

    def managed(self, kind: str) -> list[dict[str, Any]]:
        """Return the attributes of Terraform's resources of a type, none if it can't be asked."""
        return self.state.all(kind) if self.state else []

    def made(self, kind: str, **known: str) -> dict[str, Any] | None:
        """Return the attributes of the resource of that type with those values, or None."""
        for attributes in self.managed(kind):
            if all(attributes[name] == value for name, value in known.items()):
                return attributes
        return None

    def _arn_of_queue(self, url: str) -> str:
        account, name = urlsplit(url).path.strip("/").split("/")
        partition = self.here.topic_arn.split(":")[1]
        return f"arn:{partition}:sqs:{self.here.region}:{account}:{name}"
