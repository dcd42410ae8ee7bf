"""What the status-watcher needs of the world; fakes and adapters both look like this."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from sluice_argo.workflows_api import WorkflowPage
from sluice_status_watcher.domain.published_outcome import AppendedOutcome, OutcomeRecord

__all__ = ["ResultsReader", "Workflows"]

Json = dict[str, Any]


class Workflows(Protocol):
    """The API server's Workflows, as `sluice_argo.workflows_api.WorkflowsApi`."""

    async def get(self, name: str) -> Json:
        """Read one Workflow."""

    async def patch(self, name: str, operations: Sequence[Json]) -> Json:
        """WatchEvent one Workflow by JSON Patch; gives what it is then."""

    async def list_page(self, *, limit: int, continue_token: str | None) -> WorkflowPage:
        """Read one page of Sluice's Workflows."""

    def watch(
        self, *, resource_version: str, timeout_seconds: int
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Watch Sluice's Workflows; gives the bytes of the stream."""


class ResultsReader(Protocol):
    """What the results topic already holds."""

    async def find(
        self, wanted: Mapping[str, bytes], *, since: datetime
    ) -> dict[str, OutcomeRecord]:
        """Give the last outcome of each Workflow wanted, by uid; `wanted` maps uid to record key.

        `since` is a time before which none of them can have been written.

        Raises:
            KafkaUnavailableError: the topic could not be read to its end.
        """

    def tail(self, *, since: datetime) -> AsyncGenerator[AppendedOutcome | None, None]:
        """Give the outcomes from then on, as they are appended; those of a key in their order.

        None whenever all was read that there is. May end: then it is to be asked for again.

        Raises:
            KafkaUnavailableError: the topic could not be read.
        """
