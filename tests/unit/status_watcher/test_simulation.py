"""After any history of Workflows, faults and kills, the promises hold once all is healthy."""

import inspect
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.status_watcher.simulation import RUNS, Simulation, check
from tests.unit.status_watcher.world import later, moments

pytestmark = pytest.mark.looptime

_HISTORIES = int(os.environ.get("SLUICE_HISTORIES", "30"))
"""Histories with two watchers; each takes some 0.1 s."""


_PARTITIONS = (
    "kafka away",
    "kafka stuck",
    "kafka stuck",
    "kafka healed",
    "kafka lands",
    "kafka lands all",
    "api cut",
    "api joined",
)


def histories(*kills: str, watchers: int) -> st.SearchStrategy[list[tuple[str, Any]]]:
    names = Simulation(watchers=watchers)
    return st.lists(
        st.one_of(
            st.tuples(st.sampled_from([*names.lives, "finish", "retry"]), st.sampled_from(RUNS)),
            # Killed after any number of steps of the loop, that is at any await.
            st.tuples(st.just("moments"), st.integers(1, 30)),
            st.tuples(st.just("later"), st.sampled_from([0.1, 3, 11, 100, 1000])),
            st.tuples(st.sampled_from([*names.faults, *kills]), st.none()),
        ),
        min_size=5,
        max_size=60,
    )


def partitions() -> st.SearchStrategy[list[tuple[str, Any]]]:
    """Return histories of one run that ends and is retried, while connections fail."""
    faults = [f"{fault} {number}" for fault in _PARTITIONS for number in (0, 1)]
    return st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["finish", "retry", "touch"]), st.just(RUNS[0])),
            st.tuples(st.just("later"), st.sampled_from([0.1, 1, 3, 6, 11, 40])),
            st.tuples(st.sampled_from([*faults, "kill", "join", "leave"]), st.none()),
        ),
        min_size=10,
        max_size=60,
    )


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Write no logs: there would be very many."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@settings(max_examples=60, deadline=None)
@given(histories("kill", "kill", watchers=1))
async def test_promises_hold_after_any_history(history: list[tuple[str, Any]]) -> None:
    await simulate(history, watchers=1)


@settings(max_examples=_HISTORIES, deadline=None)
@given(histories("kill", "join", "join", "leave", "leave", watchers=2))
async def test_promises_hold_with_two_watchers(history: list[tuple[str, Any]]) -> None:
    await simulate(history, watchers=2)


@settings(max_examples=_HISTORIES, deadline=None)
@given(partitions())
async def test_last_result_of_each_run_is_of_its_last_attempt(
    history: list[tuple[str, Any]],
) -> None:
    await simulate(history, watchers=2)


async def simulate(history: list[tuple[str, Any]], *, watchers: int) -> None:
    simulation = Simulation(watchers=watchers)
    try:
        await simulation.start()
        for what, argument in history:
            await step(simulation, what, argument)
        await simulation.heal()
        check(simulation)
    finally:
        await simulation.stop()


async def step(simulation: Simulation, what: str, argument: Any) -> None:
    match what:
        case "moments":
            await moments(argument)
        case "later":
            await later(argument)
        case "kill":
            await simulation.restart()
        case "join":
            await simulation.join()
        case "leave":
            await simulation.leave()
        case _ if what in simulation.faults:
            done = simulation.faults[what]()
            if inspect.isawaitable(done):
                await done
        case _:
            await simulation.live(what, argument)
