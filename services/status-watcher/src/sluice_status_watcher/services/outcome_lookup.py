"""Asks the results topic whether an end was told, where the object does not say."""

import asyncio
from collections.abc import Mapping

from sluice_argo.outcomes import Outcome
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_status_watcher.adapters.status_publisher import StatusPublisher
from sluice_status_watcher.domain.published_outcome import Published
from sluice_status_watcher.domain.workflow_state import Observed
from sluice_status_watcher.ports import PublishedOutcomes
from sluice_status_watcher.services.recovery import Question, answers_to, question_of

__all__ = ["Doubts"]


class Doubts:
    """Settles whether another status-watcher has told what it was about to tell.

    The topic is read once at a time: what is asked meanwhile is answered by the next reading, all
    of it by one.
    """

    def __init__(self, published: PublishedOutcomes, publisher: StatusPublisher) -> None:
        self._published = published
        self._publisher = publisher
        self._reading = asyncio.Lock()
        self._next = _Batch()

    async def answer(self, observed: Observed, *, attempt: int) -> Outcome | None:
        """Give the last outcome that was told; None if none was of this attempt or a later one.

        The status topic may lack what the results topic holds, so it is written there again.

        Raises:
            KafkaUnavailableError: the results topic could not be read to its end.
        """
        question = question_of(observed)
        if question is None:
            return observed.standing.published
        found = await self._ask(question)
        if found is None or found.outcome.attempt < attempt:
            return None
        await self._publisher.again(found.record)
        return found.outcome

    async def _ask(self, question: Question) -> Published | None:
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
        self.questions: list[Question] = []
        self._answers: Mapping[str, Published] = {}
        self._error: KafkaUnavailableError | None = KafkaUnavailableError("not read yet")

    async def read(self, published: PublishedOutcomes) -> None:
        try:
            self._answers = await answers_to(self.questions, published)
        except KafkaUnavailableError as e:
            self._error = e
        else:
            self._error = None

    def answer(self, uid: str) -> Published | None:
        if self._error is not None:
            raise KafkaUnavailableError(str(self._error)) from self._error
        return self._answers.get(uid)
