"""Publishes the event that a state calls for; without details if they cannot be published.

Others write the Workflow. Whatever is malformed in one, its outcome is published, and no other
Workflow is affected.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import structlog

from sluice_argo.outcomes import Claim
from sluice_contracts.status import StatusEvent, Truncation
from sluice_status_watcher.domain.transitions import PublishedState, claimed_event, transition
from sluice_status_watcher.domain.workflow_state import Identity, WorkflowState, without_details
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.ports import StatusPublisher, UnwritableEventError
from sluice_status_watcher.services.aside import run_aside

__all__ = ["EventPublication"]

_log = structlog.get_logger(__name__)


class EventPublication:
    """Publishes events, and logs once per Workflow that details were left out."""

    def __init__(
        self,
        publisher: StatusPublisher,
        *,
        metrics: Metrics,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._publisher = publisher
        self._metrics = metrics
        self._now = now
        self._degraded: set[str] = set()

    async def publish(
        self, state: WorkflowState, published: PublishedState, *, claim: Claim | None = None
    ) -> PublishedState:
        """Publish what is not published yet, or the outcome of `claim`; return what is then.

        Raises:
            KafkaUnavailableError: an outcome was not acknowledged in time.
        """

        def decide(state: WorkflowState) -> tuple[StatusEvent | None, PublishedState]:
            return claimed_event(state, claim) if claim else transition(state, published)

        identity = state.identity
        if state.defect is not None:
            self._note(identity, state.defect)
        try:
            event, after = await run_aside(partial(decide, state), size=state.size)
        except Exception as e:  # noqa: BLE001 - one malformed Workflow must not stop the others
            self._note(identity, type(e).__name__)
            event, after = decide(without_details(state, defect=type(e).__name__))
        if event is not None:
            await self._publish(event, identity)
            self._metrics.events_published.labels(event.phase).inc()
            self._metrics.latency.observe((self._now() - state.observed_at).total_seconds())
            _log.info(
                "status published",
                phase=event.phase,
                attempt=event.attempt,
                sequence=event.sequence,
                **identity.log_fields(),
            )
        return after

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a Workflow."""
        self._degraded.discard(uid)

    async def _publish(self, event: StatusEvent, identity: Identity) -> None:
        try:
            await self._publisher.publish(event, identity)
        except UnwritableEventError as e:
            self._note(identity, str(e))
            await self._publisher.publish(event.truncate(Truncation.DETAILS), identity)

    def _note(self, identity: Identity, error: str) -> None:
        # Only the kind of error: its text may contain values.
        if identity.uid not in self._degraded:
            self._degraded.add(identity.uid)
            self._metrics.events_truncated.inc()
            _log.warning("published without details", error=error, **identity.log_fields())
