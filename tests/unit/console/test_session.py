"""What the pages share: answers that are kept for a while, and jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from console import session
from console.jobs import Jobs
from console.operations.errors import OperationError
from tests.integration.system import wait_until


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    st.cache_data.clear()
    yield
    st.cache_data.clear()


def test_what_ten_operators_ask_at_once_is_asked_once_and_dated_when_it_was_asked() -> None:
    asked: list[float] = []
    answer = threading.Event()

    @session.cached(60)
    def slow(name: str) -> str:
        asked.append(time.time())
        answer.wait(30)
        return name

    found: list[session.CachedValue[str]] = []
    threads = [threading.Thread(target=lambda: found.append(slow("x"))) for _ in range(10)]
    for thread in threads:
        thread.start()
    wait_until(lambda: asked, "the first to ask")
    answer.set()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    assert {value.value for value in found} == {"x"}
    assert all(value.at <= asked[0] for value in found)


def test_what_a_change_may_have_made_wrong_is_asked_again_though_it_was_being_asked() -> None:
    jobs, answers, asks, answer = (
        session.jobs(),
        iter(range(9)),
        threading.Event(),
        threading.Event(),
    )

    @session.cached(60)
    def state() -> int:
        found = next(answers)
        if found == 1:
            asks.set()
            answer.wait(30)
        return found

    @session.cached(60, outlives_changes=True)
    def picture() -> int:
        return next(answers)

    def change(name: str) -> None:
        assert jobs.start(name, "a kind", name, lambda *_: None).over.wait(30)

    assert (state().value, state().value) == (0, 0)
    change("first")
    slow = threading.Thread(target=state)
    slow.start()
    assert asks.wait(30)
    change("while it is asked")
    answer.set()
    slow.join()
    assert (state().value, state().value) == (2, 2)
    assert picture().value == 3
    change("last")
    assert (picture().value, state().value) == (3, 4)


def test_a_page_is_drawn_again_if_what_it_shows_was_changed_meanwhile() -> None:
    def page() -> None:
        import streamlit as st

        from console import session, widgets

        session.begin_run()
        st.session_state.setdefault("drawn", 0)
        st.session_state["drawn"] += 1

        @session.cached(60)
        def drawn() -> int:
            return int(st.session_state["drawn"])

        shown = drawn().value
        if shown == 1:
            session.jobs().start("once", "at once", "at once", lambda *_: None).over.wait(30)
        widgets.show_jobs("at once")
        st.text(shown)

    app = AppTest.from_function(page).run()
    assert not app.exception
    assert [text.value for text in app.text] == ["2"]


def test_answers_are_cleared_while_others_write_and_are_bounded() -> None:
    made: list[int] = []

    @session.cached(60, entries=5)
    def number(value: int) -> int:
        made.append(value)
        return value

    failed: list[BaseException] = []

    def ask(start: int) -> None:
        try:
            for value in range(start, start + 200):
                number(value)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(1000 * n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        number.clear()
    assert not failed
    for value in range(10):
        number(value)
    made.clear()
    for value in range(10):
        number(value)
    assert made == list(range(10))  # all ten again: five were dropped for the next five


def test_an_error_is_not_kept() -> None:
    answers = iter([OperationError("away", "wait"), "here"])

    @session.cached(60)
    def sometimes() -> object:
        answer = next(answers)
        if isinstance(answer, OperationError):
            raise answer
        return answer

    with pytest.raises(OperationError):
        sometimes()
    assert sometimes().value == "here"


def test_a_click_is_the_same_while_its_job_runs_and_a_moment_after() -> None:
    jobs, may_end = Jobs(), threading.Event()
    first = jobs.start("redrive these", "failures", "Redrive", lambda *_: may_end.wait(30))
    assert jobs.start("redrive these", "failures", "Redrive", lambda *_: None) is first
    assert jobs.start("redrive those", "failures", "Redrive", lambda *_: None) is not first
    may_end.set()
    wait_until(lambda: first.ended, "the first")
    assert jobs.start("redrive these", "failures", "Redrive", lambda *_: None) is first
    assert first.ended is not None
    first.ended -= 3
    second = jobs.start("redrive these", "failures", "Redrive", lambda *_: None)
    assert second is not first
    assert second.key != first.key
