"""Any history of Workflows, faults and kills: the promises hold once the world is healthy again."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.status_watcher.simulation import RUNS, Simulation, check
from tests.unit.status_watcher.world import later, moments

pytestmark = pytest.mark.looptime

_NAMES = Simulation(watchers=0)


def histories(*kills: str) -> st.SearchStrategy[list[tuple[str, Any]]]:
    return st.lists(
        st.one_of(
            st.tuples(st.sampled_from([*_NAMES.lives, "finish", "retry"]), st.sampled_from(RUNS)),
            # Killed after any number of steps of the loop, that is at any await.
            st.tuples(st.just("moments"), st.integers(1, 30)),
            st.tuples(st.just("later"), st.sampled_from([0.1, 3, 11, 100, 1000])),
            st.tuples(st.sampled_from([*_NAMES.faults, *kills]), st.none()),
        ),
        min_size=5,
        max_size=60,
    )


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Write no logs: there would be very many."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@settings(max_examples=60, deadline=None)
@given(histories("kill", "kill"))
async def test_the_promises_hold_after_any_history(history: list[tuple[str, Any]]) -> None:
    await simulate(history, watchers=1)


@settings(max_examples=30, deadline=None)
@given(histories("kill", "join", "join", "leave", "leave"))
async def test_the_promises_hold_with_two_watchers(history: list[tuple[str, Any]]) -> None:
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
            simulation.faults[what]()
        case _:
            await simulation.live(what, argument)
