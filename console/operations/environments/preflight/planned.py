"""What is going to be applied: settings with their defaults, where, and what is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.operations.environments import clients
from console.operations.environments.deployment import ROOT
from console.operations.environments.target import Target
from console.operations.environments.terraform_state import TerraformState

CDN_REGION = "us-east-1"


@dataclass(frozen=True)
class Planned:
    """An environment before its apply.

    Attributes
    ----------
    settings
        What its tfvars set.
    state
        What was applied already; None before the first apply.
    """

    target: Target
    settings: Mapping[str, Any]
    state: TerraformState | None

    @property
    def emulated(self) -> bool:
        """Whether it is an emulator."""
        return bool(self.target.endpoint)

    @property
    def name(self) -> str:
        """The first part of every resource's name."""
        return f"{self.settings.get('project') or 'avatar-ops'}-{self.target.env}"

    @property
    def domain(self) -> str:
        """The domain; empty without one."""
        return str(self.settings.get("domain_name") or "")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of API and images in that domain."""
        return (f"api.{self.domain}", f"assets.{self.domain}") if self.domain else ()

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions' names; each has a role of the same name."""
        folders = sorted(path.parent.name for path in ROOT.glob("lambdas/*/handler.py"))
        database = bool(self.settings.get("database"))
        return tuple(f"{self.name}-{name}" for name in folders if database or name != "profiles")

    @property
    def waits_for_certificates(self) -> bool:
        """Whether an apply has to wait for certificates."""
        return bool(self.domain) and len(self.made("aws_acm_certificate_validation")) < 2

    def made(self, kind: str) -> list[dict[str, Any]]:
        """Return the attributes of the resources of a type that are there."""
        return self.state.all(kind) if self.state else []

    def part(self, name: str) -> Mapping[str, Any]:
        """Return a setting that is an object; empty where it isn't set."""
        value = self.settings.get(name)
        return value if isinstance(value, Mapping) else {}

    def client(self, service: str, region: str = "") -> Any:
        """Return a boto3 client."""
        access = tuple(sorted(self.target.access.items()))
        return clients.client(service, region or self.target.region, access)
