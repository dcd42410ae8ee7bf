"""Assigns tests to workers when several run concurrently (`-n 6 --dist loadgroup`).

Tests that share a running Sluice go to the same worker, so that it is started once. Tests that
start their own go to any worker. A scheduler gets only the ids of the tests.
"""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_PAIR = re.compile(r"\[(kafka-[\d.]+-(?:local|argo-[\d.]+))")
_OF_THEIR_OWN = "/test_failures.py::"


def group_of(test: str) -> str:
    """Return the group of the test with this id."""
    if _OF_THEIR_OWN in test:
        return test
    module, _, _ = test.partition("::")
    pair = _PAIR.search(test)
    return f"{module} {pair[1]}" if pair else module


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Assigns whole groups to workers as they become free."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling | None:
    """Replace xdist's own groups, which do not work with pytest 9.2."""
    grouped = config.getvalue("dist") == "loadgroup"
    return GroupScheduling(config, log) if grouped else None
