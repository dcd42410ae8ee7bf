"""What the services need of the world; adapters give it, and fakes in tests."""

from collections.abc import Sequence
from typing import Protocol

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import Problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import RefusalNotice
from sluice_contracts.status_codec import PublishedEvent
from sluice_dispatcher.domain.models import LedgerEntry, Manifest

__all__ = ["Ledger", "Reports", "Workflows"]


class Ledger(Protocol):
    """Every outcome within the dedupe window."""

    async def find(self, key: RunKey) -> LedgerEntry | None:
        """Give the run's outcome, None if there is none.

        Waits until the ledger knows every outcome that was published before the Workflow behind it
        could have disappeared.
        """

    async def note(self, published: PublishedEvent) -> None:
        """Remember an outcome that was just published, without waiting for it to come round."""


class Workflows(Protocol):
    """Argo's Workflows; errors are those of `sluice_runtime.kubernetes.errors`."""

    async def create(self, manifest: Manifest) -> Manifest:
        """Create a Workflow."""

    async def get(self, name: str) -> Manifest:
        """Read a Workflow."""

    async def patch(self, name: str, operations: Sequence[Manifest]) -> Manifest:
        """Change a Workflow by JSON Patch; ConflictError if a `test` fails."""


class Reports(Protocol):
    """What the dispatcher tells the world; raises KafkaUnavailableError."""

    async def outcome(self, published: PublishedEvent) -> None:
        """Publish the outcome of a run that never became a Workflow."""

    async def refusal(self, notice: RefusalNotice, *, traceparent: str | None) -> None:
        """Tell that a request was turned away because its id belongs to another run."""

    async def dead_letter(
        self, record: IncomingRecord, problem: Problem, *, key: RunKey | None
    ) -> None:
        """Keep a record that can never be valid, with the reason."""
