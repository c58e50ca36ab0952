"""What happened to an avatar, in an operator's words."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from console.operations import web
from console.operations.avatars import timeline
from console.operations.avatars.versions import Version
from console.operations.environments import logs
from console.operations.environments.logs import Line


def test_what_a_line_does_not_know_is_empty_and_sizes_are_for_people(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = {"message": "upload forgotten", "version": None, "code": None, "ms": None}
    line = Line(2.0, "resize", "", fields)
    monkeypatch.setattr(logs, "newest", lambda *_: [line])
    answer = SimpleNamespace(status=200, headers={"age": "7"}, body=bytes(10_485_760))
    monkeypatch.setattr(web, "request", lambda *_: answer)
    here = SimpleNamespace(function_names={"resize": "resize"}, assets_url="http://assets.invalid")
    uploaded = datetime.fromtimestamp(1, UTC)
    stored = Version("ada.jpg", None, "v", uploaded, 10_485_760, "shown", None)
    served, logged, original = timeline.timeline(here, "ada", [stored], 0)  # type: ignore[arg-type]
    assert (logged.version, logged.detail, logged.seconds) == ("", "", None)
    assert original.detail == "10.5 MB"
    assert served.detail == "10.5 MB, cached for 7 s"
