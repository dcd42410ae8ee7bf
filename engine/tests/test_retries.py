"""Retry strategies, without processes."""

from typing import Any

import pytest

from engine.tests.simulation import Simulation
from engine.tests.workflows import workflow

WORK = {"name": "work", "container": {"image": "x", "command": ["true"]}}


def simulate(template: Any) -> Simulation:
    simulation = Simulation(workflow(template))
    simulation.look()
    return simulation


def test_retry_until_it_succeeds() -> None:
    retried = WORK | {"retryStrategy": {"limit": "3"}}
    run = simulate(retried)
    run.fail("wf(0)")
    run.fail("wf(1)")
    assert run.running == {"wf(2)"}
    run.end("wf(2)")
    assert run.status["phase"] == "Succeeded"
    assert run.node("wf")["type"] == "Retry"
    assert run.node("wf(1)")["nodeFlag"] == {"retried": True}


def test_retry_without_a_limit_never_gives_up() -> None:
    run = simulate(WORK | {"retryStrategy": {}})
    for number in range(20):
        run.fail(f"wf({number})")
    assert run.running == {"wf(20)"}


def test_retry_gives_up_at_its_limit() -> None:
    run = simulate(WORK | {"retryStrategy": {"limit": 1}})
    run.fail("wf(0)")
    run.fail("wf(1)")
    assert (run.status["phase"], run.status["message"]) == ("Failed", "No more retries left")


@pytest.mark.parametrize(
    ("policy", "phase", "again"),
    [
        ("OnFailure", "Failed", True),
        ("OnFailure", "Error", False),
        ("OnError", "Failed", False),
        ("OnError", "Error", True),
        ("Always", "Failed", True),
        ("Always", "Error", True),
    ],
)
def test_retry_policies(policy: str, phase: str, *, again: bool) -> None:
    run = simulate(WORK | {"retryStrategy": {"limit": 5, "retryPolicy": policy}})
    run.fail("wf(0)", phase)
    assert bool(run.running) is again
    assert run.status["phase"] == ("Running" if again else phase)


def test_retry_backs_off() -> None:
    strategy = {"limit": 5, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "1m"}}
    run = simulate(WORK | {"retryStrategy": strategy})
    outcome = run.fail("wf(0)")
    assert not run.running
    assert outcome.wake_at is not None
    assert (outcome.wake_at - run.now).total_seconds() == 10
    assert run.node("wf")["message"] == "Backoff for 10 seconds"
    run.advance(seconds=9)
    assert not run.running
    run.advance(seconds=1)
    assert run.running == {"wf(1)"}
    run.fail("wf(1)")
    run.advance(seconds=20)
    assert run.running == {"wf(2)"}
    run.fail("wf(2)")
    assert run.status["phase"] == "Failed"
    assert run.status["message"] == "Backoff would exceed max duration limit"


def test_retries_are_known_to_the_step() -> None:
    template = {
        "name": "main",
        "retryStrategy": {"limit": 2},
        "container": {"image": "x", "command": ["x", "{{retries}} {{lastRetry.exitCode}}"]},
    }
    run = simulate(template)
    run.fail("wf(0)")
    assert [order.command[1] for order in run.started] == ["0 0", "1 1"]
