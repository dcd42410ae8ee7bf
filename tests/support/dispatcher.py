"""The dispatcher on fakes; everything except Kafka, SQLite and Kubernetes is real."""

import functools
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import JsonValue

from sluice_contracts.dead_letters import encode_dead_letter
from sluice_contracts.ids import RunKey
from sluice_contracts.notices import QueueNotice, RefusalNotice
from sluice_contracts.problems import Problem, ProblemType
from sluice_contracts.records import Headers, IncomingRecord, OutgoingRecord, Position
from sluice_contracts.status_codec import PublishedEvent
from sluice_dispatcher.app import create_record_handler, create_slots, new_budget
from sluice_dispatcher.bootstrap import load_builder
from sluice_dispatcher.domain.models import LedgerEntry
from sluice_dispatcher.domain.pauses import NO_PAUSES, Pauses
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.domain.workflow_builder import WorkflowBuilder
from sluice_dispatcher.handlers.records import RecordHandler
from sluice_dispatcher.metrics import Metrics
from sluice_dispatcher.ports import OutcomePublisher
from sluice_dispatcher.services.admission import Admission
from sluice_dispatcher.services.in_flight_budget import InFlightBudget, RecordLimit
from sluice_dispatcher.services.queued_runs import QueuedRuns
from sluice_dispatcher.services.run_workflows import RunWorkflows
from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.clocks import boot_time
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.live_limits import NO_LIMITS
from tests.support.fake_slots import FakeSlots
from tests.support.fake_workflows import FakeWorkflows

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def small_budget(
    *, active: int = 10, waiting: int = 10, size: int = 1000, topics: int = 1
) -> InFlightBudget:
    """Return a budget of so many records in flight, with `size` bytes of each kind."""
    return InFlightBudget(
        active=RecordLimit(records=active, size=size),
        waiting=RecordLimit(records=waiting, size=size),
        topics=topics,
    )


class FakeLedger:
    """Outcomes in a dictionary."""

    def __init__(self) -> None:
        self.outcomes_for_test: dict[RunKey, LedgerEntry] = {}

    async def get(self, key: RunKey) -> LedgerEntry | None:
        """See `Ledger.get`."""
        return self.outcomes_for_test.get(key)

    async def record(self, published: PublishedEvent) -> None:
        """See `Ledger.record`."""
        event = published.event
        known = self.outcomes_for_test.get(event.key)
        cancelled = event.problem is not None and event.problem.type is ProblemType.CANCELLED
        self.outcomes_for_test[event.key] = LedgerEntry(
            fingerprint=known.fingerprint if known else published.fingerprint,
            phase=event.phase,
            cancelled=event if cancelled else None,
        )


class FakeOutcomePublisher:
    """Records what was published, in order (`log_for_test`), and fails on demand."""

    def __init__(self) -> None:
        self.outcomes_for_test: list[PublishedEvent] = []
        self.results_for_test: list[PublishedEvent] = []
        self.refusals_for_test: list[RefusalNotice] = []
        self.queued_for_test: list[QueueNotice] = []
        self.dead_letters_for_test: list[OutgoingRecord] = []
        self.log_for_test: list[str] = []
        self._failures = 0

    def fail_for_test(self, *, times: int) -> None:
        """Fail the next calls without writing anything."""
        self._failures = times

    async def publish_outcome(self, published: PublishedEvent) -> None:
        """See `OutcomePublisher.publish_outcome`."""
        self._enter("outcome")
        self.outcomes_for_test.append(published)

    async def publish_result(self, published: PublishedEvent) -> None:
        """See `OutcomePublisher.publish_result`."""
        self._enter("result")
        self.results_for_test.append(published)

    async def publish_status(self, published: PublishedEvent) -> None:
        """See `OutcomePublisher.publish_status`."""
        self._enter("status")
        self.outcomes_for_test.append(published)

    async def publish_queued(self, notice: QueueNotice, *, traceparent: str | None) -> None:
        """See `OutcomePublisher.publish_queued`."""
        self._enter("queued")
        self.queued_for_test.append(notice)

    async def publish_refusal(
        self,
        notice: RefusalNotice,
        *,
        refused: IncomingRecord,
        traceparent: str | None,
    ) -> None:
        """See `OutcomePublisher.publish_refusal`."""
        self._enter("refusal")
        self.refusals_for_test.append(notice)

    async def publish_dead_letter(
        self, record: IncomingRecord, problem: Problem, *, key: RunKey | None
    ) -> None:
        """See `OutcomePublisher.publish_dead_letter`."""
        self._enter("dead letter")
        self.dead_letters_for_test.append(encode_dead_letter(record, problem, key=key))

    def _enter(self, what: str) -> None:
        if self._failures:
            self._failures -= 1
            raise KafkaUnavailableError("no broker")
        self.log_for_test.append(what)


class Desk:
    """A dispatcher on fakes, and its records."""

    def __init__(
        self,
        *,
        settings: DispatcherSettings | None = None,
        workflows: FakeWorkflows | None = None,
        elsewhere: Sequence[FakeWorkflows] = (),
        ledger: FakeLedger | None = None,
        clock: Callable[[], float] = boot_time,
        first_reader: bool = False,
        publisher: OutcomePublisher | None = None,
        is_counting: bool = False,
        slots: FakeSlots | None = None,
        builder: WorkflowBuilder | None = None,
        unready: Callable[[], WaitReason | None] = lambda: None,
        joined: Callable[[Pauses], Pauses] = lambda pauses: pauses,
    ) -> None:
        self.settings = settings or DispatcherSettings()
        self.workflows = workflows or FakeWorkflows()
        run_workflows = RunWorkflows(
            self.settings.kubernetes.namespaces,
            {each.namespace: each for each in (self.workflows, *elsewhere)},
        )
        self.ledger = ledger or FakeLedger()
        self.publisher = FakeOutcomePublisher()
        self.registry = CollectorRegistry()
        self.now_for_test: datetime | None = None
        self.budget = new_budget(self.settings.dispatch)
        self.queued = QueuedRuns(clock=clock, is_first_reader_of=lambda _: first_reader)
        self.limits_for_test = NO_LIMITS
        self.pauses_for_test = NO_PAUSES
        self.admission = Admission(
            budget=self.budget,
            longest_create=self.settings.dedupe.least_release_after,
            places=self.settings.kubernetes.namespaces.places,
            is_counting=is_counting,
            now=self._now,
            clock=clock,
            limits=lambda: self.limits_for_test,
            pauses=lambda: joined(self.pauses_for_test),
            unready=unready,
        )
        self.slots_for_test = slots or FakeSlots()
        metrics = Metrics(self.registry)
        self.slots = create_slots(
            self.settings,
            store=self.slots_for_test,
            workflows=run_workflows,
            ledger=self.ledger,
            metrics=metrics,
            budget=self.budget,
            queued=self.queued,
            admission=self.admission,
            now=self._now,
        )
        self.handler: RecordHandler = create_record_handler(
            self.settings,
            builder=builder or (_builder() if settings is None else load_builder(settings)),
            workflows=run_workflows,
            ledger=self.ledger,
            publisher=publisher or self.publisher,
            metrics=metrics,
            budget=self.budget,
            queued=self.queued,
            admission=self.admission,
            origins=self.settings.kafka.origins,
            slots=self.slots,
            now=self._now,
            clock=clock,
        )
        self._offsets = itertools.count()

    def _now(self) -> datetime:
        return self.now_for_test or datetime.now(UTC)

    def before_create(self, step: Callable[[str], Awaitable[None]]) -> None:
        """Run a step with the Workflow's name before each create; it may wait or fail."""
        create = self.workflows.create

        async def create_after_step(manifest: dict[str, Any]) -> dict[str, Any]:
            await step(manifest["metadata"]["name"])
            return await create(manifest)

        self.workflows.create = create_after_step  # type: ignore[method-assign]

    def record(
        self,
        document: Mapping[str, JsonValue] | bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        offset: int | None = None,
        timestamp_ms: int = 1_800_000_000_000,
        topic: str = "sluice.requests",
    ) -> IncomingRecord:
        """Return the next record of a request topic."""
        value = document if document is None or isinstance(document, bytes) else dumps(document)
        return IncomingRecord(
            position=Position(topic, 0, next(self._offsets) if offset is None else offset),
            timestamp_ms=timestamp_ms,
            key=key,
            value=value,
            headers=headers,
        )


@functools.cache
def _builder() -> WorkflowBuilder:
    """Compile once: skeletons are immutable."""
    return load_builder(DispatcherSettings())


def dumps(document: Mapping[str, JsonValue]) -> bytes:
    """Return a document as a client sends it."""
    return json.dumps(document).encode()


def hello(run_id: str, *, name: str = "Ada", **more: Any) -> dict[str, JsonValue]:
    """Return a request for a run of `hello`."""
    return {"id": run_id, "workflow": "hello", "parameters": {"name": name}, **more}


def in_an_hour(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str:
    """Return a time in the future."""
    return (now() + timedelta(hours=1)).isoformat()
