"""The reconciler performs the steps of the domain; see domain/test_next_step.py for these."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.adapters.workflow_client import ApiWorkflowClient
from sluice_status_watcher.domain.workflow_state import parse_workflow
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.services.deletion_check import DeletionCheck
from sluice_status_watcher.services.event_publication import EventPublication
from sluice_status_watcher.services.outcome_lookup import OutcomeLookup
from sluice_status_watcher.services.reconciler import Reconciler
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.manifests import FINISHED, Json, manifest, name_of
from tests.unit.status_watcher.world import TOPICS, FakeKafka, make_queue

pytestmark = pytest.mark.looptime


def make(workflows: FakeWorkflows, kafka: FakeKafka) -> Reconciler:
    metrics = Metrics(CollectorRegistry())
    queue = make_queue()
    publisher = KafkaStatusPublisher(kafka, TOPICS, send_timeout=timedelta(seconds=1))
    lookup = OutcomeLookup(kafka, publisher)
    return Reconciler(
        ApiWorkflowClient(workflows),
        EventPublication(publisher, metrics=metrics),
        lookup,
        DeletionCheck(workflows, lookup, queue),
        queue,
        name="ada",
        metrics=metrics,
        release_after=10.0,
    )


async def test_state_older_than_the_published_one_is_ignored() -> None:
    workflows, kafka = FakeWorkflows(), FakeKafka()
    reconciler = make(workflows, kafka)

    async def handle(document: Json) -> None:
        await reconciler.handle("uid-1", parse_workflow(document, observed_at=datetime.now(UTC)))

    before = await workflows.create(manifest(status={"phase": "Running"}))
    after = await workflows.set_status_for_test(
        name_of("order-1"), phase="Failed", finishedAt=FINISHED
    )
    await handle(after)
    patches = workflows.calls_for_test("patch")
    await handle(before)
    assert workflows.calls_for_test("patch") == patches == 2
    assert kafka.phases_for_test() == ["1/Failed"]
