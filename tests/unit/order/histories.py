"""Run a machine by Hypothesis.

In a module of its own: a run that is the same each time begins from a class's source if that is
found in its module, else from its name, so that no edit of a machine chooses other histories.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.order.machine import Order, World


def run(machine: type[Order], world: World, runs: int, **more: Any) -> None:
    """Let a machine make that many histories; `more` are settings of Hypothesis."""
    run_state_machine_as_test(
        type(machine.__name__, (machine,), {"world": world}),
        settings=settings(
            max_examples=runs,
            stateful_step_count=60,
            database=None,
            deadline=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            **more,
        ),
    )


def run_to_first_fault(
    machine: type[Order], world: World, runs: int, *, derandomize: bool = True
) -> None:
    """Raise what is wrong in the first history, of the same few, without making it shorter."""
    run(
        machine,
        world,
        runs,
        derandomize=derandomize,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
