"""Helm alone: the chart's previous version, this one, the way back, and the end."""

import asyncio
import collections
import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sluice_argo.metadata import RUN_ID
from testbed.testbed import Testbed
from testbed.waiting import wait_until
from tests.release.load import under_load
from tests.release.manifests import suspended_template
from tests.support.kafka import read_all
from tests.support.releases import CHART, OPEN, Release, released

pytestmark = [pytest.mark.cluster, pytest.mark.upheaval, pytest.mark.timeout(600)]

PREVIOUS = Path("tests/data/charts/sluice-0.1.0.tgz")
# The previous chart has no value for what these images ask for, so that it comes in as a setting.
OPEN_BEFORE: Mapping[str, Any] = {"settings": OPEN}
Json = dict[str, Any]

_MINUTE = "--timeout=60s"


@contextlib.contextmanager
def installed(
    testbed: Testbed, chart: Path, *, gateway: Mapping[str, Any] = OPEN
) -> Iterator[Release]:
    """Install a chart, with a workflow that takes a second and one that never ends."""
    names = ("moment", "endless")
    entries = [{"name": name, "description": name, "template": {"name": name}} for name in names]
    values = {"workflows": {"catalogue": {"entries": entries}}}
    kafka = next(iter(testbed.kafka.values()))
    with released(testbed, kafka, chart=chart, values=values, gateway=gateway) as release:
        templates = [suspended_template("moment", seconds=1), suspended_template("endless")]
        testbed.kubectl().within(release.runs).apply(templates)
        yield release


@pytest.fixture
def previous(testbed: Testbed) -> Iterator[Release]:
    """The previous version of the chart, installed."""
    with installed(testbed, PREVIOUS, gateway=OPEN_BEFORE) as release:
        yield release


def successor(release: Release) -> Release:
    """Return a release of the previous chart with the values that this chart needs."""
    gateway = {**release.values["gateway"], **OPEN}
    return dataclasses.replace(release, values={**release.values, "gateway": gateway})


@pytest.fixture
def current(testbed: Testbed) -> Iterator[Release]:
    """This version of the chart, installed."""
    with installed(testbed, CHART) as release:
        yield release


def phases(release: Release) -> list[str]:
    """Return the phases that Argo gives the Workflows."""
    return [each.get("status", {}).get("phase", "") for each in release.workflows()]


async def outcomes_of(release: Release, accepted: Sequence[str]) -> dict[str, list[Json]]:
    """Return all outcomes by run, once each run that was accepted has one; all are successes."""
    async with release.client() as client:
        # The last of each partition comes last.
        for run_id in accepted[-50:]:
            assert (await client.events(run_id))[-1]["phase"] == "Succeeded"
    found = collections.defaultdict(list)
    for record in await read_all(release.kafka, release.topics.results):
        outcome = json.loads(record.value)
        assert outcome["phase"] == "Succeeded", outcome
        found[outcome["run_id"]].append(outcome)
    return found


def assert_each_was_started_once(release: Release, accepted: Sequence[str]) -> None:
    started = collections.Counter(
        workflow["metadata"]["annotations"][RUN_ID] for workflow in release.workflows()
    )
    assert started == dict.fromkeys(accepted, 1)


async def test_nothing_is_lost_or_doubled_by_a_rollout_and_the_way_back(current: Release) -> None:
    other_pods = {"defaults": {"podAnnotations": {"example.org/rollout": "second"}}}
    changed = dataclasses.replace(current, values={**current.values, **other_pods})
    async with under_load(current.url(), workflow="moment", per_second=5) as load:
        await asyncio.to_thread(changed.upgrade)
        await asyncio.to_thread(changed.helm, "rollback", "1")
    assert load.answers.keys() == {"202"}
    outcomes = await outcomes_of(current, load.accepted)
    assert {run: len(each) for run, each in outcomes.items()} == dict.fromkeys(load.accepted, 1)
    assert_each_was_started_once(current, load.accepted)


async def test_nothing_is_lost_or_doubled_by_an_upgrade_and_the_way_back(
    previous: Release, say: Callable[[str], None]
) -> None:
    """Status-watchers of the previous version have no leader: two work, and one may be killed."""
    async with under_load(previous.url(), workflow="moment", per_second=5) as load:
        await asyncio.to_thread(successor(previous).upgrade)
        await asyncio.to_thread(previous.helm, "rollback", "1")
    assert load.answers.keys() == {"202"}
    outcomes = await outcomes_of(previous, load.accepted)
    events = {
        run: {(each["event_id"], each["sequence"]) for each in of_run}
        for run, of_run in outcomes.items()
    }
    assert {run: len(each) for run, each in events.items()} == dict.fromkeys(load.accepted, 1)
    records = sum(map(len, outcomes.values()))
    say(f"From chart 0.1.0 and back: {len(load.accepted)} runs, {records} records of outcomes")
    assert_each_was_started_once(previous, load.accepted)


async def test_it_can_be_removed_within_a_minute_while_workflows_run(previous: Release) -> None:
    await asyncio.to_thread(successor(previous).upgrade)
    async with previous.client() as client:
        for _ in range(5):
            await client.accepted({"workflow": "endless"})
    await asyncio.to_thread(
        wait_until,
        lambda: phases(previous) == ["Running"] * 5,
        what="Five runs",
        seconds=60,
        every=1.0,
    )
    previous.helm("uninstall", timeout=_MINUTE)
    assert all("finalizers" not in each["metadata"] for each in previous.workflows())
    previous.testbed.kubectl()("delete", "namespace", previous.namespace, previous.runs, _MINUTE)
