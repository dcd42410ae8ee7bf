"""The dispatcher without its adapters."""

from collections.abc import Callable
from datetime import datetime

from sluice_contracts.record_origins import RecordOrigins
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.domain.workflow_builder import WorkflowBuilder
from sluice_dispatcher.handlers.records import RecordHandler
from sluice_dispatcher.metrics import Metrics
from sluice_dispatcher.ports import Ledger, OutcomePublisher, SlotStore
from sluice_dispatcher.services.admission import Admission
from sluice_dispatcher.services.bounded_calls import BoundedCalls
from sluice_dispatcher.services.commands import CommandExecution
from sluice_dispatcher.services.conclusion import Conclusion
from sluice_dispatcher.services.in_flight_budget import InFlightBudget, RecordLimit
from sluice_dispatcher.services.queued_runs import QueuedRuns
from sluice_dispatcher.services.rejection import Rejection
from sluice_dispatcher.services.run_workflows import RunWorkflows
from sluice_dispatcher.services.slot_holders import SlotHolders
from sluice_dispatcher.services.slots import Slots
from sluice_dispatcher.services.submission import WorkflowSubmission
from sluice_dispatcher.settings import DispatcherSettings, DispatchSettings
from sluice_runtime.backoff import Backoff
from sluice_runtime.clocks import boot_time

__all__ = ["ACTIVE_LIMIT", "create_record_handler", "create_slots", "new_budget"]

ACTIVE_LIMIT = RecordLimit(records=256, size=32 * 1024 * 1024)
"""Of records that are handled and do not wait; with the waiting ones it bounds the memory."""


def create_record_handler(
    settings: DispatcherSettings,
    *,
    builder: WorkflowBuilder,
    workflows: RunWorkflows,
    ledger: Ledger,
    publisher: OutcomePublisher,
    metrics: Metrics,
    budget: InFlightBudget,
    queued: QueuedRuns,
    admission: Admission,
    origins: RecordOrigins,
    slots: Slots,
    now: Callable[[], datetime],
    clock: Callable[[], float] = boot_time,
) -> RecordHandler:
    """Return the handler of request records, with its services on these ports."""
    backoff, concurrency = Backoff(), settings.dispatch.concurrency
    calls = BoundedCalls(backoff, limit=concurrency, budget=budget, on_retry=metrics.step_retried)
    rejection = Rejection(publisher=publisher, ledger=ledger, calls=calls, now=now)
    conclusion = Conclusion(workflows=workflows, ledger=ledger, rejection=rejection, calls=calls)
    return RecordHandler(
        submission=WorkflowSubmission(
            builder=builder,
            workflows=workflows,
            ledger=ledger,
            conclusion=conclusion,
            calls=calls,
            admission=admission,
            slots=slots,
            now=now,
            freshness=settings.dedupe.ledger_freshness,
            longest_create=settings.dedupe.least_release_after,
            clock=clock,
        ),
        conclusion=conclusion,
        commands=CommandExecution(
            workflows=workflows,
            ledger=ledger,
            rejection=rejection,
            slots=slots.of_retries,
            builder=builder,
            # Commands have calls of their own: however many there are, new runs start.
            calls=BoundedCalls(
                backoff,
                limit=max(1, concurrency // 4),
                budget=budget,
                on_retry=metrics.step_retried,
                queue_reason=WaitReason.COMMANDS,
            ),
            now=now,
        ),
        queued=queued,
        budget=budget,
        origins=origins,
        backoff=backoff,
        on_verdict=metrics.record_finished,
    )


def create_slots(
    settings: DispatcherSettings,
    *,
    store: SlotStore,
    workflows: RunWorkflows,
    ledger: Ledger,
    metrics: Metrics,
    budget: InFlightBudget,
    queued: QueuedRuns,
    admission: Admission,
    now: Callable[[], datetime],
) -> Slots:
    """Return the service that keeps the live runs of a key within its limit."""
    live = admission.live
    return Slots(
        SlotHolders(store, workflows=workflows, ledger=ledger, live=live),
        workflows=workflows,
        live=live,
        queued=queued,
        calls=BoundedCalls(
            Backoff(),
            limit=max(1, settings.dispatch.concurrency // 4),
            budget=budget,
            on_retry=metrics.step_retried,
        ),
        budget=budget,
        now=now,
        on_sweep=metrics.slots_swept,
    )


def new_budget(dispatch: DispatchSettings, *, topics: int = 1) -> InFlightBudget:
    """Return the budget of records in flight, of which each topic has an equal share."""
    return InFlightBudget(
        active=ACTIVE_LIMIT,
        waiting=RecordLimit(
            records=max(1, dispatch.max_waiting // topics),
            size=max(1, dispatch.max_bytes_waiting // topics),
        ),
        topics=topics,
    )
