"""Write what Terraform made into files that the console and the front end read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from console.operations.environments.deployment import settings_file
from console.operations.errors import OperationError

# The names that the existing React client reads, and those that an application of Vite does
FRONT_END = {
    "REACT_APP_API_GATEWAY_ENDPOINT_URL": "api_url",
    "REACT_APP_BACKEND_URL": "api_url",
    "REACT_APP_FRONTEND_URL": "front_end_origins",
    "REACT_APP_AWS_PROJECT_REGION": "region",
    "REACT_APP_AWS_COGNITO_REGION": "user_pool_region",
    "REACT_APP_AWS_USER_POOLS_ID": "user_pool_id",
    "REACT_APP_CLIENT_ID": "user_pool_client_id",
    "VITE_API_URL": "api_url",
    "VITE_ASSETS_URL": "assets_url",
    "VITE_REGION": "region",
    "VITE_USER_POOL_ID": "user_pool_id",
    "VITE_USER_POOL_CLIENT_ID": "user_pool_client_id",
}
# Terraform's outputs that the console reads, by the variable's name
CONSOLE = (
    "region",
    "account_id",
    "api_url",
    "assets_url",
    "uploads_bucket",
    "assets_bucket",
    "distribution_id",
    "user_pool_id",
    "user_pool_client_id",
    "queue_url",
    "dead_letter_queue_url",
    "topic_arn",
    "limits_table",
    "reviews_table",
    "legal_holds_bucket",
    "reprocess_role_arn",
    "function_names",
    "database_url_parameter",
)


def front_end_file(env: str) -> Path:
    """Return the path of the front end's settings."""
    return settings_file(env).with_name(f".env.front-end.{env}")


OPTIONAL = {"database_url_parameter", "reviews_table", "reprocess_role_arn"}
"""Outputs that are null, and settings that are empty, where there is no such thing."""


def console_settings(outputs: Mapping[str, Any], access: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of ``.env.<ENV>``; `access` is empty on AWS."""
    settings = {name.upper(): _text(outputs.get(name)) for name in CONSOLE}
    return settings | ({"AWS_REGION": settings["REGION"], **access} if access else {})


def front_end_settings(outputs: Mapping[str, Any]) -> dict[str, str]:
    r"""Return the variables that front ends read; ``\$`` is a dollar sign to dotenv and to a shell.

    Unescaped, Vite and others take ``$default`` in the local API's address for a variable's name.
    """
    return {
        name: _first(outputs.get(output) or "").replace("$", r"\$")
        for name, output in FRONT_END.items()
    }


def missing_outputs(outputs: Mapping[str, Any]) -> list[str]:
    """Return what an apply that ran to its end would have put out besides."""
    wanted = {*CONSOLE, *FRONT_END.values()} - OPTIONAL
    return sorted(wanted - outputs.keys())


def half_applied(env: str, missing: Sequence[str]) -> OperationError:
    """Return the error for an environment whose last apply did not run to its end."""
    return OperationError(
        f"{env} is half applied: Terraform's outputs lack {', '.join(missing)}.",
        f"Run `make apply ENV={env}` again, or `make destroy ENV={env}`.",
    )


def write(env: str, outputs: Mapping[str, Any], access: Mapping[str, str]) -> list[Path]:
    """Write both files, whole or not at all; return their paths.

    Raises
    ------
    OperationError
        If outputs are missing, as after an apply that ended half-way, or the folder of the files
        is missing or can't be written to.
    """
    if missing := missing_outputs(outputs):
        raise half_applied(env, missing)
    files = {
        settings_file(env): console_settings(outputs, access),
        front_end_file(env): front_end_settings(outputs),
    }
    for path, settings in files.items():
        partial = path.with_name(f"{path.name}.partial")
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        try:
            partial.write_text(f"# Written by `make env`; changes here are lost.\n{text}")
            partial.replace(path)
        except OSError as error:
            raise OperationError(
                f"{path} can't be written: {error.strerror}.",
                "Set AVATAR_OPS_ENV_DIR to a folder that you may write to.",
            ) from error
    return list(files)


def _text(value: Any) -> str:
    # Terraform leaves out an output that is null
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _first(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)
