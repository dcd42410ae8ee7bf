"""Helm alone: the chart's previous version, this one, the way back, and the end."""

import asyncio
import collections
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice_contracts.metadata import RUN_ID
from testbed.testbed import Testbed
from testbed.waiting import wait_until
from tests.release.load import under_load
from tests.release.manifests import suspended_template
from tests.support.kafka import read_all
from tests.support.releases import Release, released

pytestmark = [pytest.mark.cluster, pytest.mark.upheaval, pytest.mark.timeout(600)]

PREVIOUS = Path("tests/data/charts/sluice-0.1.0.tgz")
_MINUTE = "--timeout=60s"


@pytest.fixture
def release(testbed: Testbed) -> Iterator[Release]:
    """The previous version of the chart, installed."""
    names = ("moment", "endless")
    entries = [{"name": name, "description": name, "template": {"name": name}} for name in names]
    values = {"workflows": {"catalogue": {"entries": entries}}}
    kafka = next(iter(testbed.kafka.values()))
    with released(testbed, kafka, chart=PREVIOUS, values=values) as release:
        templates = [suspended_template("moment", seconds=1), suspended_template("endless")]
        testbed.kubectl().within(release.runs).apply(templates)
        yield release


def phases(release: Release) -> list[str]:
    """Return the phases that Argo gives the Workflows."""
    return [each.get("status", {}).get("phase", "") for each in release.workflows()]


async def test_nothing_is_lost_or_doubled_by_an_upgrade_and_the_way_back(release: Release) -> None:
    async with under_load(release.url(), workflow="moment", per_second=5) as load:
        await asyncio.to_thread(release.upgrade)
        await asyncio.to_thread(release.helm, "rollback", "1")
    assert load.answers.keys() == {"202"}
    told: collections.Counter[str] = collections.Counter()
    async with release.client() as client:
        # The last of each partition comes last.
        for run_id in load.accepted[-50:]:
            assert (await client.events(run_id))[-1]["phase"] == "Succeeded"
    for record in await read_all(release.kafka, release.topics.results):
        outcome = json.loads(record.value)
        told[outcome["run_id"]] += 1
        assert outcome["phase"] == "Succeeded", outcome
    assert told == dict.fromkeys(load.accepted, 1)
    started = collections.Counter(
        workflow["metadata"]["annotations"][RUN_ID] for workflow in release.workflows()
    )
    assert started == dict.fromkeys(load.accepted, 1)


async def test_it_can_be_removed_within_a_minute_while_workflows_run(release: Release) -> None:
    await asyncio.to_thread(release.upgrade)
    async with release.client() as client:
        for _ in range(5):
            await client.accepted({"workflow": "endless"})
    await asyncio.to_thread(
        wait_until,
        lambda: phases(release) == ["Running"] * 5,
        what="Five runs",
        seconds=60,
        every=1.0,
    )
    release.helm("uninstall", timeout=_MINUTE)
    assert all("finalizers" not in each["metadata"] for each in release.workflows())
    release.testbed.kubectl()("delete", "namespace", release.namespace, release.runs, _MINUTE)
