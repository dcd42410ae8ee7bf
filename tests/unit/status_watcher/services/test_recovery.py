"""Before the first event it is known what earlier processes have published."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice_argo import metadata
from sluice_argo.outcomes import Outcome
from sluice_argo.watch_health import WatchHealth
from sluice_contracts.notices import RefusalNotice
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.status import Phase
from sluice_contracts.status_codec import PublishedEvent, encode_notice, encode_status
from sluice_contracts.topic_sets import TopicSets
from sluice_runtime.kubernetes.errors import ApiUnavailableError, GoneError
from sluice_status_watcher.adapters.results_reader import outcome_of
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.domain.outcome_query import query_for
from sluice_status_watcher.domain.transitions import PublishedState, transition
from sluice_status_watcher.domain.workflow_state import parse_workflow
from sluice_status_watcher.services.recovery import Recovered, recover
from sluice_status_watcher.services.workflow_parsing import WorkflowParser
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.manifests import FINISHED, Json, manifest, name_of, stored
from tests.unit.status_watcher.world import TOPICS, FakeKafka

pytestmark = pytest.mark.looptime

NOW = datetime(2026, 1, 1, 0, 6, tzinfo=UTC)
ENDED = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def failed(*, mark: str | None = None) -> Json:
    document = stored(status={"phase": "Failed", "finishedAt": FINISHED})
    if mark is not None:
        document["metadata"]["annotations"][metadata.PUBLISHED] = mark
    return document


async def publish(kafka: FakeKafka, document: Json) -> None:
    state = parse_workflow(document, observed_at=NOW)
    event, _ = transition(state, PublishedState())
    assert event is not None
    publisher = KafkaStatusPublisher(kafka, TopicSets(TOPICS), send_timeout=timedelta(seconds=10))
    await publisher.publish(event, state.identity)


def test_annotated_end_needs_no_query() -> None:
    assert query_for(parse_workflow(failed(mark=f"1/Failed@{FINISHED}"), observed_at=NOW)) is None


def test_query_for_an_end_starts_at_the_end() -> None:
    question = query_for(parse_workflow(failed(), observed_at=NOW))
    assert question is not None
    assert (question.uid, question.record_key) == ("uid-of-order-1", b"default/order-1")
    assert question.since == ENDED


def test_query_for_a_running_workflow_starts_at_its_creation() -> None:
    question = query_for(parse_workflow(stored(status={"phase": "Running"}), observed_at=NOW))
    assert question is not None
    assert question.since == CREATED


def test_query_without_a_creation_time_starts_at_the_beginning() -> None:
    document = stored()
    del document["metadata"]["creationTimestamp"]
    question = query_for(parse_workflow(document, observed_at=NOW))
    assert question is not None
    assert question.since.year == 1


def health() -> WatchHealth:
    return WatchHealth(clock=lambda: 0.0)


async def recovery_of(workflows: FakeWorkflows, kafka: FakeKafka, *, page_size: int) -> Recovered:
    return await recover(workflows, kafka, WorkflowParser(), page_size=page_size, health=health())


NOTHING = Recovered(outcomes={}, republish=[])


async def test_results_are_not_read_without_a_query() -> None:
    kafka, workflows = FakeKafka(), FakeWorkflows()
    assert await recovery_of(workflows, kafka, page_size=10) == NOTHING
    marked = manifest(status={"phase": "Failed", "finishedAt": FINISHED})
    marked["metadata"]["annotations"][metadata.PUBLISHED] = f"1/Failed@{FINISHED}"
    await workflows.create(marked)
    foreign = manifest("foreign")
    foreign["metadata"]["annotations"].clear()
    await workflows.create(foreign)
    assert await recovery_of(workflows, kafka, page_size=10) == NOTHING
    assert kafka.scans == []


async def test_published_outcomes_are_recovered() -> None:
    kafka, workflows = FakeKafka(), FakeWorkflows()
    for run_id in ("published", "unpublished", "runs"):
        await workflows.create(manifest(run_id))
    for name in (name_of("published"), name_of("unpublished")):
        await workflows.set_status_for_test(name, phase="Failed", finishedAt=FINISHED)
    await publish(kafka, workflows.object_for_test(name_of("published")))
    recovered = await recovery_of(workflows, kafka, page_size=2)
    assert recovered.outcomes == {
        "uid-1": Outcome(attempt=1, phase=Phase.FAILED, finished_at=ENDED)
    }
    # The status topic may lack it.
    [(_, result, _)] = [each for each in kafka.records if each[0] == TOPICS.results]
    assert recovered.republish == [result]
    # The margin allows for clocks that differ.
    assert kafka.scans == [CREATED - timedelta(minutes=5)]


async def test_recovery_is_repeated_until_there_is_an_answer() -> None:
    kafka, workflows = FakeKafka(), FakeWorkflows()
    await workflows.create(manifest(status={"phase": "Failed", "finishedAt": FINISHED}))
    await publish(kafka, workflows.object_for_test(name_of("order-1")))
    workflows.fail_for_test(
        "list_page",
        ApiUnavailableError("down"),
        GoneError("410", status=410, reason="Expired"),
    )
    kafka.fail_scans_for_test(times=3)
    recovered = await recovery_of(workflows, kafka, page_size=10)
    assert list(recovered.outcomes) == ["uid-1"]
    assert len(kafka.scans) == 4


async def test_outcome_before_a_later_attempt_is_not_republished() -> None:
    kafka, workflows = FakeKafka(), FakeWorkflows()
    await workflows.create(manifest())
    failed = await workflows.set_status_for_test(
        name_of("order-1"), phase="Failed", finishedAt=FINISHED
    )
    await publish(kafka, failed)
    await workflows.set_status_for_test(name_of("order-1"), phase="Running", finishedAt=None)
    assert len((await recovery_of(workflows, kafka, page_size=2)).republish) == 1
    await workflows.change_for_test(
        name_of("order-1"),
        lambda obj: obj["metadata"]["annotations"].update({metadata.ATTEMPT: "2"}),
    )
    assert await recovery_of(workflows, kafka, page_size=2) == Recovered(
        outcomes={"uid-1": Outcome(attempt=1, phase=Phase.FAILED, finished_at=ENDED)}, republish=[]
    )


def incoming(document: Json | None, *, offset: int = 0) -> IncomingRecord:
    if document is None:
        record = encode_notice(
            RefusalNotice(
                event_id="e",
                run_id="order-1",
                tenant="default",
                request="t/0@1",
                problem=problem(ProblemType.ID_CONFLICT, "taken"),
                observed_at=NOW,
            ),
            source="/test",
            traceparent=None,
        )
    else:
        event, _ = transition(parse_workflow(document, observed_at=NOW), PublishedState())
        assert event is not None
        published = PublishedEvent(event=event, fingerprint=None, traceparent=None)
        record = encode_status(published, source="/test")
    return IncomingRecord(
        position=Position("results", 0, offset),
        timestamp_ms=int(NOW.timestamp() * 1000),
        key=record.key,
        value=record.value,
        headers=record.headers,
    )


def test_record_gives_uid_and_outcome() -> None:
    outcome = Outcome(attempt=1, phase=Phase.FAILED, finished_at=ENDED)
    found = outcome_of(incoming(failed()))
    assert found is not None
    assert (found[0], found[1].outcome) == ("uid-of-order-1", outcome)


def test_other_records_give_no_outcome() -> None:
    assert outcome_of(incoming(None)) is None
    assert outcome_of(incoming(stored(status={"phase": "Running"}))) is None
    foreign = IncomingRecord(
        position=Position("results", 0, 0), timestamp_ms=0, key=b"default/order-1", value=b"{}"
    )
    assert outcome_of(foreign) is None
