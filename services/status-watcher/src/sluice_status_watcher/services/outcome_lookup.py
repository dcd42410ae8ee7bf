"""Asks the results topic whether an end was told, where the object does not say."""

import asyncio
from collections.abc import Mapping

from sluice_argo.outcomes import Outcome
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.domain.published_outcome import OutcomeRecord
from sluice_status_watcher.domain.workflow_state import WorkflowState
from sluice_status_watcher.ports import ResultsReader
from sluice_status_watcher.services.recovery import OutcomeQuery, find_outcomes, query_for

__all__ = ["OutcomeLookup"]


class OutcomeLookup:
    """Settles whether another status-watcher has told what it was about to tell.

    The topic is read once at a time: what is asked meanwhile is answered by the next reading, all
    of it by one.
    """

    def __init__(self, published: ResultsReader, publisher: KafkaStatusPublisher) -> None:
        self._published = published
        self._publisher = publisher
        self._reading = asyncio.Lock()
        self._next = _Batch()

    async def answer(self, state: WorkflowState, *, attempt: int) -> Outcome | None:
        """Give the last outcome that was told; None if none was of this attempt or a later one.

        The status topic may lack what the results topic holds, so it is written there again.

        Raises:
            KafkaUnavailableError: the results topic could not be read to its end.
        """
        question = query_for(state)
        if question is None:
            return state.lifecycle.published
        found = await self._ask(question)
        if found is None or found.outcome.attempt < attempt:
            return None
        await self._publisher.republish(found.record)
        return found.outcome

    async def _ask(self, question: OutcomeQuery) -> OutcomeRecord | None:
        batch = self._next
        batch.questions.append(question)
        async with self._reading:
            # Whoever comes first reads for all that have joined by then.
            if batch is self._next:
                self._next = _Batch()
                await batch.read(self._published)
        return batch.answer(question.uid)


class _Batch:
    """Questions that one reading of the topic answers."""

    def __init__(self) -> None:
        self.questions: list[OutcomeQuery] = []
        self._answers: Mapping[str, OutcomeRecord] = {}
        self._error: KafkaUnavailableError | None = KafkaUnavailableError("not read yet")

    async def read(self, published: ResultsReader) -> None:
        try:
            self._answers = await find_outcomes(self.questions, published)
        except KafkaUnavailableError as e:
            self._error = e
        else:
            self._error = None

    def answer(self, uid: str) -> OutcomeRecord | None:
        if self._error is not None:
            raise KafkaUnavailableError(str(self._error)) from self._error
        return self._answers.get(uid)
