"""Asks the results topic whether an end was told, where the object does not say."""

import asyncio

from sluice_status_watcher.observing import Observed
from sluice_status_watcher.outcomes import Outcome
from sluice_status_watcher.ports import PublishedOutcomes
from sluice_status_watcher.publishing import StatusPublisher
from sluice_status_watcher.recovery import answers_to, question_of

__all__ = ["Doubts"]


class Doubts:
    """Settles whether another status-watcher has told what it was about to tell."""

    def __init__(self, published: PublishedOutcomes, publisher: StatusPublisher) -> None:
        self._published = published
        self._publisher = publisher
        # The topic is read for each question: many at once would fill the memory.
        self._one_at_a_time = asyncio.Lock()

    async def answer(self, observed: Observed, *, attempt: int) -> Outcome | None:
        """Give the last outcome that was told; None if none was of this attempt or a later one.

        The status topic may lack what the results topic holds, so it is written there again.

        Raises:
            KafkaUnavailableError: the results topic could not be read to its end.
        """
        question = question_of(observed)
        if question is None:
            return observed.standing.published
        async with self._one_at_a_time:
            found = (await answers_to([question], self._published)).get(question.uid)
        if found is None or found.outcome.attempt < attempt:
            return None
        await self._publisher.again(found.record)
        return found.outcome
