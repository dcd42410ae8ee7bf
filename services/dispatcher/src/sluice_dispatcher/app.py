"""The dispatcher without its adapters."""

from collections.abc import Callable
from datetime import datetime

from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.domain.workflow_builder import WorkflowBuilder
from sluice_dispatcher.handlers.records import RecordHandler
from sluice_dispatcher.metrics import Metrics
from sluice_dispatcher.ports import Ledger, Reports, Workflows
from sluice_dispatcher.services.bounded_calls import Retrying
from sluice_dispatcher.services.commands import Commanding
from sluice_dispatcher.services.in_flight_budget import InFlight, Limit
from sluice_dispatcher.services.rejection import TurningAway
from sluice_dispatcher.services.submission import Dispatching
from sluice_dispatcher.settings import DispatcherSettings, DispatchSettings
from sluice_runtime.backoff import Backoff
from sluice_runtime.clocks import boot_time

__all__ = ["compose", "new_in_flight"]


def compose(
    settings: DispatcherSettings,
    *,
    builder: WorkflowBuilder,
    workflows: Workflows,
    ledger: Ledger,
    reports: Reports,
    metrics: Metrics,
    in_flight: InFlight,
    backoff: Backoff,
    now: Callable[[], datetime],
    clock: Callable[[], float] = boot_time,
) -> RecordHandler:
    """Join the services to whatever fills their ports."""
    concurrency = settings.dispatch.concurrency
    retrying = Retrying(backoff, width=concurrency, in_flight=in_flight, on_retry=metrics.retried)
    turning_away = TurningAway(reports=reports, ledger=ledger, retrying=retrying, now=now)
    return RecordHandler(
        dispatching=Dispatching(
            builder=builder,
            workflows=workflows,
            ledger=ledger,
            turning_away=turning_away,
            retrying=retrying,
            now=now,
            freshness=settings.dedupe.ledger_freshness,
            longest_create=settings.dedupe.least_release_after,
            clock=clock,
        ),
        commanding=Commanding(
            workflows=workflows,
            ledger=ledger,
            turning_away=turning_away,
            # Commands have calls of their own: however many there are, runs go on.
            retrying=Retrying(
                backoff,
                width=max(1, concurrency // 4),
                in_flight=in_flight,
                on_retry=metrics.retried,
                queued=WaitReason.COMMANDS,
            ),
            now=now,
        ),
        in_flight=in_flight,
        backoff=backoff,
        on_verdict=metrics.finished,
    )


def new_in_flight(dispatch: DispatchSettings) -> InFlight:
    """Bound what is held as the settings say."""
    return InFlight(
        working=Limit(records=dispatch.max_in_hand, size=dispatch.max_bytes_in_hand),
        waiting=Limit(records=dispatch.max_waiting, size=dispatch.max_bytes_waiting),
    )
