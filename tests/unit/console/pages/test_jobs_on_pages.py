"""Jobs on a page: those that run, and the newest result until it is old."""

from __future__ import annotations

import time

from streamlit.testing.v1 import AppTest

from console import session
from console.jobs import Job
from tests.integration.system import wait_until
from tests.unit.console.pages.conftest import Show


def job(title: str, ended_ago: float) -> Job:
    made = session.jobs().start(title, "cdn", title, lambda _key, _report: "I1")
    wait_until(lambda: made.ended, "the job")
    made.ended = time.time() - ended_ago
    return made


def shown(app: AppTest) -> list[tuple[str, bool]]:
    return [
        (status.label.partition(" — ")[0], status.proto.expanded) for status in app.get("status")
    ]


def test_only_the_newest_result_is_shown_and_folds_then_goes(show: Show) -> None:
    job("older", 30)
    newest = job("newest", 20)
    app = show("cdn")
    assert shown(app) == [("newest", True)]
    assert newest.ended
    newest.ended -= 100
    assert shown(app.run()) == [("newest", False)]
    newest.ended -= 4000
    assert shown(app.run()) == []


def test_a_long_name_loses_its_middle_and_formats_nothing(show: Show) -> None:
    job(f"invalidate: *{'a' * 150}*.jpg", 0)
    ((label, _),) = shown(show("cdn"))
    assert len(label) < 90
    assert label.startswith("invalidate\\: \\*aaa")
    assert label.endswith("aa\\*.jpg")
