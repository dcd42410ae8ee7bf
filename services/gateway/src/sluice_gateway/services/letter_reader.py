"""Reads dead letters, as far as the principal may see them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from sluice_contracts.dead_letters import (
    DeadLetter,
    InvalidDeadLetterError,
    decode_dead_letter,
)
from sluice_contracts.problems import ProblemType
from sluice_contracts.topic_sets import TopicSet
from sluice_gateway.domain.dead_letters import (
    DeadLetters,
    Letter,
    LetterFilter,
    LetterId,
    LetterPage,
    LetterPlace,
)
from sluice_gateway.domain.errors import HiddenRunError, ProblemError
from sluice_gateway.domain.identity import Access, Scope
from sluice_gateway.domain.reach import Reach
from sluice_gateway.ports import LetterGoneError, LettersUnavailableError, LetterTopics

__all__ = ["LetterReader", "shows_payloads"]

_RETRY_AFTER_S: Final = 2
# Topics are asked every second whether there is more.
_STALE_S: Final = 30.0


class LetterReader:
    """Reads dead letters.

    Args:
        letters: those that are remembered.
        topics: where their records stand.
        staleness: by topic set, how many seconds ago all of its letters were known; None if they
            are not read yet.
    """

    def __init__(
        self,
        *,
        letters: DeadLetters,
        topics: LetterTopics,
        staleness: Mapping[str, Callable[[], float | None]],
    ) -> None:
        self._letters = letters
        self._topics = topics
        self._staleness = staleness

    def page(self, query: LetterFilter, *, before: LetterPlace | None, limit: int) -> LetterPage:
        """Return a part of the list of letters.

        Raises:
            ProblemError: UNAVAILABLE, none of the topics that may have one is read yet.
        """
        names = {each.name for each in self._visible(query.within)}
        if names and all(self._age(name) is None for name in names):
            raise _unavailable("Their topics are still being read, or missing.")
        return self._letters.list(query, before=before, limit=limit)

    def behind(self, reach: Reach) -> tuple[TopicSet, ...]:
        """Return the topic sets whose newest letters may not be known, of those in reach."""
        return tuple(each for each in self._visible(reach) if self._is_behind(each.name))

    def find(self, letter_id: LetterId, access: Access) -> Letter:
        """Return the letter, if `dlq` is granted for all that it may concern.

        Raises:
            ProblemError: NOT_FOUND; or UNAVAILABLE, as long as that is not known.
        """
        if self._age(letter_id.door) is None:
            raise _unavailable("Its topic is still being read, or missing.")
        letter = self._letters.get(letter_id)
        if letter is None or not letter.is_within(access.reach(Scope.DLQ)):
            # The same for those that are hidden.
            if self._is_behind(letter_id.door):
                raise _unavailable("Its topic cannot be read.")
            raise _unknown(ProblemError if letter is None else HiddenRunError)
        return letter

    async def content(self, letter: Letter) -> DeadLetter:
        """Return the letter with its record.

        Raises:
            ProblemError: NOT_FOUND, it is no longer kept; or UNAVAILABLE.
        """
        try:
            found = decode_dead_letter(await self._topics.read(letter.position))
        except (LetterGoneError, InvalidDeadLetterError) as e:
            raise _unknown() from e
        except LettersUnavailableError as e:
            raise _unavailable(f"Its topic cannot be read: {e}.") from e
        if not isinstance(found, DeadLetter):
            raise _unknown()
        return found

    def _visible(self, reach: Reach) -> Iterator[TopicSet]:
        """Return the sets that may have letters of tenants in reach."""
        return iter(self._letters.topics.having_had(reach.tenants))

    def _is_behind(self, name: str) -> bool:
        age = self._age(name)
        return age is None or age > _STALE_S

    def _age(self, name: str) -> float | None:
        staleness = self._staleness.get(name)
        # A door that there is not has no letters.
        return 0.0 if staleness is None else staleness()


def shows_payloads(letter: Letter, access: Access) -> bool:
    """Return whether the principal may see what the record holds."""
    return letter.is_within(access.reach(Scope.PAYLOADS))


def _unknown(kind: type[ProblemError] = ProblemError) -> ProblemError:
    return kind.of(
        ProblemType.NOT_FOUND,
        "There is no such dead letter, or it was forgotten: only the newest ones are known.",
    )


def _unavailable(detail: str) -> ProblemError:
    detail = f"Not all dead letters are known now. {detail}"
    return ProblemError.of(ProblemType.UNAVAILABLE, detail, retry_after=_RETRY_AFTER_S)
