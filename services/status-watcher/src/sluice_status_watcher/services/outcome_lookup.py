"""Finds out from the results topic what was published, where the object does not say."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from sluice_argo.outcomes import Outcome
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_status_watcher.domain.outcome_query import OutcomeQuery, query_for
from sluice_status_watcher.domain.published_outcome import OutcomeRecord
from sluice_status_watcher.domain.workflow_state import WorkflowState
from sluice_status_watcher.ports import ResultsReader, StatusPublisher

__all__ = ["OutcomeLookup", "find_outcomes"]

_log = structlog.get_logger(__name__)

# Argo's clock dates the end of a Workflow, Kafka's or ours the records.
_CLOCK_MARGIN = timedelta(minutes=5)


async def find_outcomes(
    queries: Iterable[OutcomeQuery], results: ResultsReader
) -> dict[str, OutcomeRecord]:
    """Return, by uid, the outcomes that were published of the Workflows asked about.

    Raises:
        KafkaUnavailableError: the results topic could not be read to its end.
    """
    queries = list(queries)
    wanted = {query.uid: query.record_key for query in queries}
    if not wanted:
        return {}
    since = min(query.since for query in queries)
    found = await results.find(wanted, since=_with_margin(since))
    _log.info("results topic searched", asked=len(wanted), found=len(found))
    return found


class OutcomeLookup:
    """Finds outcomes that another status-watcher may have published.

    The topic is read by one reader at a time. Queries that arrive meanwhile share the next read.
    """

    def __init__(self, results: ResultsReader, publisher: StatusPublisher) -> None:
        self._results = results
        self._publisher = publisher
        self._reading = asyncio.Lock()
        self._next = _Batch()

    async def find_published(self, state: WorkflowState, *, attempt: int) -> Outcome | None:
        """Return the last outcome published; None if none is of this attempt or a later one.

        The status topic may lack what the results topic holds, so it is written there again.

        Raises:
            KafkaUnavailableError: the results topic could not be read to its end.
        """
        query = query_for(state)
        if query is None:
            return state.lifecycle.published
        found = await self._ask(query)
        if found is None or found.outcome.attempt < attempt:
            return None
        await self._publisher.republish(found.record)
        return found.outcome

    async def _ask(self, query: OutcomeQuery) -> OutcomeRecord | None:
        batch = self._next
        batch.queries.append(query)
        async with self._reading:
            # The first of a batch reads for all that have joined it by then.
            if batch is self._next:
                self._next = _Batch()
                await batch.read(self._results)
        return batch.answer(query.uid)


class _Batch:
    """Queries that one read of the topic answers."""

    def __init__(self) -> None:
        self.queries: list[OutcomeQuery] = []
        self._answers: Mapping[str, OutcomeRecord] = {}
        self._error: KafkaUnavailableError | None = KafkaUnavailableError("not read yet")

    async def read(self, results: ResultsReader) -> None:
        try:
            self._answers = await find_outcomes(self.queries, results)
        except KafkaUnavailableError as e:
            self._error = e
        else:
            self._error = None

    def answer(self, uid: str) -> OutcomeRecord | None:
        if self._error is not None:
            raise KafkaUnavailableError(str(self._error)) from self._error
        return self._answers.get(uid)


def _with_margin(moment: datetime) -> datetime:
    earliest = datetime.fromtimestamp(0, UTC)
    return max(moment, earliest + _CLOCK_MARGIN) - _CLOCK_MARGIN
