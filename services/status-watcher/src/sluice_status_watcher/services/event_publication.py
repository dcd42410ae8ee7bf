"""Tells the world of one state of one Workflow: in full, or in brief should that be impossible.

A Workflow is written by others. Whatever is odd about one, its outcome is told, and the others
do not notice.
"""

from collections.abc import Callable
from datetime import datetime

import structlog

from sluice_argo.outcomes import Claim
from sluice_contracts.status import StatusEvent
from sluice_status_watcher.adapters.status_publisher import (
    KafkaStatusPublisher,
    UnwritableEventError,
    bare,
)
from sluice_status_watcher.domain.transitions import PublishedState, claimed_event, transition
from sluice_status_watcher.domain.workflow_state import Identity, WorkflowState, without_details
from sluice_status_watcher.metrics import Metrics

__all__ = ["EventPublication"]

_log = structlog.get_logger(__name__)


class EventPublication:
    """Publishes what a state calls for, and notes once per Workflow if it was not all there is."""

    def __init__(
        self, publisher: KafkaStatusPublisher, *, metrics: Metrics, now: Callable[[], datetime]
    ) -> None:
        self._publisher = publisher
        self._metrics = metrics
        self._now = now
        self._odd: set[str] = set()

    async def tell(
        self, state: WorkflowState, told: PublishedState, *, claim: Claim | None = None
    ) -> PublishedState:
        """Tell what has not been told yet; gives what has been told then.

        If a claim is open, that is the outcome that it speaks of.
        """

        def decide(state: WorkflowState) -> tuple[StatusEvent | None, PublishedState]:
            return claimed_event(state, claim) if claim else transition(state, told)

        identity = state.identity
        if state.defect is not None:
            self._note(identity, state.defect)
        try:
            event, told = decide(state)
        except Exception as e:  # noqa: BLE001 - one odd Workflow must not end the work on all
            self._note(identity, type(e).__name__)
            event, told = decide(without_details(state, defect=type(e).__name__))
        if event is not None:
            await self._publish(event, identity)
            self._metrics.published.labels(event.phase).inc()
            self._metrics.latency.observe((self._now() - state.observed_at).total_seconds())
            _log.info(
                "told", run=str(event.key), phase=event.phase, attempt=event.attempt,
                sequence=event.sequence, uid=event.uid,
            )  # fmt: skip
        return told

    def forget(self, uid: str) -> None:
        """Take note that the Workflow is not heard of any more."""
        self._odd.discard(uid)

    async def _publish(self, event: StatusEvent, identity: Identity) -> None:
        try:
            await self._publisher.publish(event, identity)
        except UnwritableEventError as e:
            self._note(identity, str(e))
            await self._publisher.publish(bare(event), identity)

    def _note(self, identity: Identity, why: str) -> None:
        # Only the kind of error: its words may show values.
        if identity.uid not in self._odd:
            self._odd.add(identity.uid)
            self._metrics.without_details.inc()
            _log.warning("not told in full", run=str(identity.key), uid=identity.uid, why=why)
