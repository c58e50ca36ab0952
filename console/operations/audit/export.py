"""The audit as files to download."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime

from console.operations.audit.audit import Action


def as_csv(actions: Sequence[Action]) -> str:
    """Return the actions as CSV; what a spreadsheet would take for a formula gets a leading '."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([field.name for field in fields(Action)])
    for action in actions:
        cells = [_text(value) for value in asdict(action).values()]
        writer.writerow([f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell for cell in cells])
    return out.getvalue()


def as_json_lines(actions: Sequence[Action]) -> str:
    """Return the actions as JSON, one a line."""
    return "".join(
        json.dumps(asdict(action), default=_text, ensure_ascii=False) + "\n" for action in actions
    )


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else str(value)
