"""Which avatars a version, or the id of a request or message, is about: as the logs say."""

from __future__ import annotations

from dataclasses import dataclass

from console.operations.environments import logs
from console.operations.environments.deployment import Deployment
from console.operations.environments.logs import Line
from console.operations.uploads.names import name_of

_LEAST_CHARACTERS = 16
_LINES = 200


@dataclass(frozen=True)
class Mentions:
    """Where an id is mentioned.

    Attributes
    ----------
    names
        The avatars that these lines are about.
    lines
        Oldest first.
    """

    names: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()


def mentions(deployment: Deployment, text: str, since: float) -> Mentions:
    """Return where the functions' logs mention an id; nothing of what is too short for one.

    Parameters
    ----------
    since
        Seconds since 1970. Of more than 200 lines, the newest are found.

    Raises
    ------
    OperationError
        If the logs can't be read.
    """
    if len(text) < _LEAST_CHARACTERS:
        return Mentions()
    functions = sorted(deployment.function_names)
    lines = logs.newest(deployment, functions, [text], since, _LINES)
    named = (str(line.fields.get("name") or "") or _named(line) for line in lines)
    return Mentions(tuple(dict.fromkeys(name for name in named if name)), tuple(lines))


def _named(line: Line) -> str:
    return name_of(str(line.fields.get("key") or ""))
