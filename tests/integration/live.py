"""Versions of a function, and settings that are in force, for a while."""

from __future__ import annotations

import io
import zipfile
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


def changed(archive: bytes) -> bytes:
    """Return a zip of the same code that is another one to Lambda."""
    stream = io.BytesIO(archive)
    with zipfile.ZipFile(stream, "a") as written:
        written.writestr("another.txt", "another version")
    return stream.getvalue()


def publish(here: Deployment, function: str, archive: bytes) -> str:
    """Publish a version of this code that nobody calls yet, and return it."""
    return str(
        here.functions.update_function_code(
            FunctionName=here.function_names[function], ZipFile=archive, Publish=True
        )["Version"]
    )


@contextmanager
def published(here: Deployment, function: str, archive: bytes, good: bytes) -> Iterator[str]:
    """Have a version of this code, called by nobody yet; then all as before, with the good code."""
    name = here.function_names[function]
    before = here.functions.get_alias(FunctionName=name, Name=ALIAS)
    version = publish(here, function, archive)
    try:
        yield version
    finally:
        here.functions.update_alias(
            FunctionName=name,
            Name=ALIAS,
            FunctionVersion=before["FunctionVersion"],
            RoutingConfig={"AdditionalVersionWeights": {}},
            Description=before.get("Description", ""),
        )
        here.functions.update_function_code(FunctionName=name, ZipFile=good)
        here.functions.delete_function(FunctionName=name, Qualifier=version)


def call_newest(client: Any, name: str) -> str:
    """Publish a version of what a function is now, have it called, and return it."""
    version = client.publish_version(FunctionName=name)["Version"]
    client.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)
    return str(version)
