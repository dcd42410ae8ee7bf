"""The interfaces that adapters and the tests' fakes implement."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from sluice_argo.workflows_api import WorkflowPage
from sluice_contracts.records import OutgoingRecord
from sluice_contracts.status import StatusEvent
from sluice_status_watcher.domain.published_outcome import AppendedOutcome, OutcomeRecord
from sluice_status_watcher.domain.work_item import WorkItem
from sluice_status_watcher.domain.workflow_state import Identity, WorkflowState

__all__ = [
    "Lease",
    "ResultsReader",
    "Scheduler",
    "StatusPublisher",
    "UnwritableEventError",
    "WorkflowClient",
    "Workflows",
]

Json = dict[str, Any]


class Workflows(Protocol):
    """Sluice's Workflows in one namespace, as `sluice_argo.workflows_api.WorkflowsApi`."""

    namespace: str

    async def get(self, name: str) -> Json:
        """Return one Workflow."""

    async def patch(self, name: str, operations: Sequence[Json]) -> Json:
        """Change one Workflow by JSON Patch, and return the object after that."""

    async def list_page(self, *, limit: int, continue_token: str | None) -> WorkflowPage:
        """Return one page of the list."""

    def watch(
        self, *, resource_version: str, timeout_seconds: int
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch, and yield the bytes of its stream."""


class WorkflowClient(Protocol):
    """Reads and patches one Workflow, as the state that the domain works on.

    Both methods return None if the object that answered is not the run's Workflow any more.

    Raises:
        ConflictError: a test of the patch failed.
        ApiError: another clear no.
        ApiUnavailableError: no clear answer; a patch may have been made.
    """

    async def read(self, state: WorkflowState) -> WorkflowState | None:
        """Return the newest state of the Workflow that this is a state of."""

    async def patch(self, state: WorkflowState, operations: Sequence[Json]) -> WorkflowState | None:
        """Change that Workflow by JSON Patch, and return its state after that."""


class UnwritableEventError(ValueError):
    """An event holds a value that neither JSON nor a header can express."""


class StatusPublisher(Protocol):
    """Writes to the status and results topics, and returns once Kafka has acknowledged."""

    async def publish(self, event: StatusEvent, identity: Identity) -> None:
        """Write an event to the status topic, and an outcome to the results topic before that.

        Raises:
            KafkaUnavailableError: an outcome was not acknowledged in time; it may have been
                appended.
            UnwritableEventError: nothing was sent, and nothing of this event ever can be.
        """

    async def republish(self, record: OutgoingRecord) -> None:
        """Write a record of the results topic to the status topic, which may lack it."""

    async def restore(self, record: OutgoingRecord) -> None:
        """Append a record of the results topic there again, as the last one of its key.

        Raises:
            KafkaUnavailableError: it was not acknowledged in time.
        """

    def unavailable(self) -> str | None:
        """Return why the last write failed; None if it did not."""


class ResultsReader(Protocol):
    """Reads the results topic."""

    async def find(
        self, wanted: Mapping[str, bytes], *, since: datetime
    ) -> dict[str, OutcomeRecord]:
        """Return the last outcome of each Workflow wanted, by uid.

        Args:
            wanted: record keys by uid.
            since: a time before which none of the outcomes can have been appended.

        Raises:
            KafkaUnavailableError: the topic could not be read to its end.
        """

    def tail(self, *, since: datetime) -> AsyncGenerator[AppendedOutcome | None, None]:
        """Yield outcomes as they are appended from then on; those of one key in their order.

        Yields None whenever the end of the topic is reached. It may end, and is then called again.

        Raises:
            KafkaUnavailableError: the topic could not be read.
        """


class Scheduler(Protocol):
    """Brings work items of a Workflow back to the reconciler, now or later."""

    def add_now(self, uid: str, item: WorkItem) -> None:
        """Queue an item behind those that wait for the same Workflow."""

    def add_at(self, uid: str, item: WorkItem, *, at: float) -> None:
        """Queue an item at this time of the loop's clock, in place of the one scheduled before."""

    def cancel(self, uid: str) -> None:
        """Drop the item that is scheduled for later."""


class Lease(Protocol):
    """The Lease of the leader election, as `sluice_runtime.kubernetes.leases.LeaseApi`."""

    async def read(self) -> Json:
        """Return the Lease; raises NotFoundError if there is none."""

    async def create(self, spec: Json) -> Json:
        """Create the Lease; raises AlreadyExistsError if there is one."""

    async def replace(self, lease: Json) -> Json:
        """Write the Lease; raises ConflictError if it has changed since it was read."""
