"""What the services need from outside; adapters implement it, and fakes in tests."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from sluice_contracts.ids import RunKey
from sluice_contracts.notices import QueueNotice, RefusalNotice
from sluice_contracts.problems import Problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status_codec import PublishedEvent
from sluice_dispatcher.domain.models import LedgerEntry, Manifest
from sluice_dispatcher.domain.slots import Slot, SlotState, UnreadableSlotError

__all__ = ["Ledger", "OutcomePublisher", "SlotStore", "Workflows"]


class Ledger(Protocol):
    """Every outcome within the dedupe window."""

    async def get(self, key: RunKey) -> LedgerEntry | None:
        """Return the run's outcome, None if it has none.

        Waits until the ledger is at most `ledger_freshness` behind the topic. The Workflow of any
        outcome that it still lacks exists then.
        """

    async def record(self, published: PublishedEvent) -> None:
        """Add an outcome that was just published, before it is read back from the topic."""


class Workflows(Protocol):
    """Argo's Workflows and their pods; errors are those of `sluice_runtime.kubernetes.errors`."""

    async def create(self, manifest: Manifest) -> Manifest:
        """Create a Workflow."""

    async def get(self, name: str) -> Manifest:
        """Read a Workflow."""

    async def patch(self, name: str, operations: Sequence[Manifest]) -> Manifest:
        """Change a Workflow by JSON Patch; ConflictError if a `test` fails."""

    async def delete_pod(self, name: str) -> bool:
        """Delete a pod; return whether there was one, which may take a while to go."""


class SlotStore(Protocol):
    """Slots of concurrency keys, as objects with versions; errors as those of `Workflows`."""

    async def read(self, slot: Slot) -> SlotState:
        """Return the newest state; one without a version if there is no object.

        Raises:
            UnreadableSlotError: somebody else has written the object.
        """

    async def create(self, state: SlotState) -> None:
        """Create the object; AlreadyExistsError if there is one."""

    async def replace(self, state: SlotState) -> None:
        """Write the object; ConflictError or NotFoundError if it has changed since it was read."""

    async def delete(self, state: SlotState) -> None:
        """Delete the object; ConflictError if it has changed since it was read."""

    def all(
        self, *, on_unreadable: Callable[[UnreadableSlotError], None]
    ) -> AsyncIterator[SlotState]:
        """Return the states of all objects but those that cannot be read, which are reported."""


class OutcomePublisher(Protocol):
    """What the dispatcher writes to Kafka.

    Every method returns once all in-sync replicas have the record, and raises
    KafkaUnavailableError or RecordRefusedError.
    """

    async def publish_outcome(self, published: PublishedEvent) -> None:
        """Publish the outcome of a run that never became a Workflow."""

    async def publish_result(self, published: PublishedEvent) -> None:
        """Publish an outcome to the results topic only."""

    async def publish_status(self, published: PublishedEvent) -> None:
        """Publish an outcome to the status topic only."""

    async def publish_queued(self, notice: QueueNotice, *, traceparent: str | None) -> None:
        """Publish what holds up a request."""

    async def publish_refusal(
        self, notice: RefusalNotice, *, refused: IncomingRecord, traceparent: str | None
    ) -> None:
        """Publish where the record stands that it was refused, while the run of its id continues.

        The run may be of a tenant that has other topics.
        """

    async def publish_dead_letter(
        self, record: IncomingRecord, problem: Problem, *, key: RunKey | None
    ) -> None:
        """Keep a record that can never be valid on the dead letter topic, with the problem."""
