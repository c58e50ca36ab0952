"""Settings of a function that are in force, for a while: what is called is a published version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from console.operations.environments.deployment import Deployment
from console.operations.releases.aliases import ALIAS


@contextmanager
def configured(here: Deployment, function: str, **settings: Any) -> Iterator[None]:
    """Have a version called that has these settings, and then the one before again."""
    name = here.function_names[function]
    before: Any = here.functions.get_function_configuration(FunctionName=name)
    live = here.functions.get_alias(FunctionName=name, Name=ALIAS)["FunctionVersion"]
    here.functions.update_function_configuration(FunctionName=name, **settings)
    version = call_newest(here.functions, name)
    try:
        yield
    finally:
        here.functions.update_function_configuration(
            FunctionName=name, **{key: before[key] for key in settings}
        )
        here.functions.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=live)
        here.functions.delete_function(FunctionName=name, Qualifier=version)


def call_newest(client: Any, name: str) -> str:
    """Publish a version of what a function is now, have it called, and return it."""
    version = client.publish_version(FunctionName=name)["Version"]
    client.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)
    return str(version)
