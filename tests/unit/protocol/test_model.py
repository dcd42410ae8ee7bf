"""Every order of everything, with the margins that the services have by default.

`pytest -s` shows how much was explored, and the counterexamples.
"""

from datetime import timedelta

import pytest

from sluice_runtime.dedupe import DedupeSettings
from tests.unit.protocol.explorer import Explored, explore
from tests.unit.protocol.model import Margins, Steps, start, wrong

TICK = timedelta(seconds=5)
DEFAULTS = DedupeSettings()
LEAST = DEFAULTS.least_release_after


def margins(release_after: timedelta) -> Margins:
    """Return the defaults with another `release_after`, which settings may not allow."""
    settings = DEFAULTS.model_copy(update={"release_after": release_after})
    return Margins.of(settings, tick=TICK.total_seconds())


def explored(steps: Steps) -> Explored:
    found = explore(start(), steps, wrong=wrong)
    print(found)
    return found


@pytest.mark.parametrize("release_after", [DEFAULTS.release_after, LEAST], ids=["default", "least"])
def test_no_order_of_events_breaks_a_promise(release_after: timedelta) -> None:
    found = explored(Steps(margins(release_after)))
    assert found.wrong is None, found
    # Nothing that the model knows of is out of reach.
    assert found.steps == {
        "a create finds the name taken",
        "a create goes to etcd",
        "a create is lost in the admission",
        "a create is lost in the etcd",
        "a create is lost in the network",
        "a create is sent",
        "a create lands",
        "a dispatcher dies",
        "a dispatcher gives a create up",
        "a dispatcher notices a stop",
        "a new watcher finds the outcome published",
        "a tick passes",
        "the API server has a create",
        "the Workflow is deleted",
        "the Workflow is found",
        "the Workflow is gone",
        "the finalizer is removed",
        "the ledger knows nothing",
        "the ledger knows the outcome",
        "the offset is committed",
        "the outcome is published",
        "the run ends",
        "the watcher dies",
    }


@pytest.mark.parametrize(
    "release_after", [LEAST - TICK, timedelta(seconds=10)], ids=["a tick less", "10 s"]
)
def test_a_shorter_release_lets_a_late_create_start_a_second_workflow(
    release_after: timedelta,
) -> None:
    found = explored(Steps(margins(release_after)))
    assert found.wrong == "two uids"
    assert found.trace[-1] == "a create lands"


def test_a_dispatcher_that_does_not_notice_a_suspension_starts_a_second_workflow() -> None:
    found = explored(Steps(margins(DEFAULTS.release_after), looks_again=False))
    assert found.wrong == "two uids"


def test_a_finalizer_removed_before_the_acknowledgement_loses_the_outcome() -> None:
    found = explored(Steps(margins(DEFAULTS.release_after), released_early=True))
    assert found.wrong == "a lost outcome"
    assert found.trace[-2:] == ("the finalizer is removed", "the Workflow is gone")


def test_settings_are_rounded_to_the_unsafe_side() -> None:
    settings = DedupeSettings(
        ledger_freshness=timedelta(seconds=6), release_after=timedelta(seconds=64)
    )
    assert Margins.of(settings, tick=5) == Margins(freshness=2, create=3, apply=2, release=12)
