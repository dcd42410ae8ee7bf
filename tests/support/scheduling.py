"""Which tests go to the same worker when several run at a time (``-n 6 --dist loadgroup``).

Tests that share a running Sluice stay together, so that it is started once; those that start one
of their own go wherever there is room. Names of tests are all that a scheduler is told.
"""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_PAIR = re.compile(r"\[(kafka-[\d.]+-(?:local|argo-[\d.]+))")
_OF_THEIR_OWN = "/test_failures.py::"


def group_of(test: str) -> str:
    """Return the name of a test's group, given its id."""
    if _OF_THEIR_OWN in test:
        return test
    module, _, _ = test.partition("::")
    pair = _PAIR.search(test)
    return f"{module} {pair[1]}" if pair else module


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Gives whole groups to workers, as they become free."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling | None:
    """Take the place of xdist's own groups, which pytest 9.2 does not let through."""
    grouped = config.getvalue("dist") == "loadgroup"
    return GroupScheduling(config, log) if grouped else None
