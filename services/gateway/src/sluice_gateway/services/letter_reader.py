"""Reads dead letters, as far as the principal may see them."""

from collections.abc import Callable
from typing import Final

from sluice_contracts.dead_letters import (
    DeadLetter,
    InvalidDeadLetterError,
    decode_dead_letter,
)
from sluice_contracts.problems import ProblemType
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
from sluice_gateway.ports import LetterGoneError, LettersUnavailableError, LetterTopics

__all__ = ["LetterReader", "shows_payloads"]

_RETRY_AFTER_S: Final = 2


class LetterReader:
    """Reads dead letters.

    Args:
        letters: those that are remembered.
        topics: where their records stand.
        unread: why not all of them are read yet; None if they are.
    """

    def __init__(
        self, *, letters: DeadLetters, topics: LetterTopics, unread: Callable[[], str | None]
    ) -> None:
        self._letters = letters
        self._topics = topics
        self._unread = unread

    def page(self, query: LetterFilter, *, before: LetterPlace | None, limit: int) -> LetterPage:
        """Return a part of the list of letters.

        Raises:
            ProblemError: UNAVAILABLE, they are not read yet.
        """
        self._check_read()
        return self._letters.list(query, before=before, limit=limit)

    def find(self, letter_id: LetterId, access: Access) -> Letter:
        """Return the letter, if `dlq` is granted for all that it may concern.

        Raises:
            ProblemError: NOT_FOUND; or UNAVAILABLE, as long as that is not known.
        """
        self._check_read()
        letter = self._letters.get(letter_id)
        if letter is None:
            raise _unknown()
        if not letter.is_within(access.reach(Scope.DLQ)):
            raise _unknown(HiddenRunError)
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
            raise _unavailable(f"The dead letter cannot be read now: {e}.") from e
        if not isinstance(found, DeadLetter):
            raise _unknown()
        return found

    def _check_read(self) -> None:
        if (why := self._unread()) is not None:
            raise _unavailable(f"Not all dead letters are known yet: {why}.")


def shows_payloads(letter: Letter, access: Access) -> bool:
    """Return whether the principal may see what the record holds."""
    return letter.is_within(access.reach(Scope.PAYLOADS))


def _unknown(kind: type[ProblemError] = ProblemError) -> ProblemError:
    return kind.of(
        ProblemType.NOT_FOUND,
        "There is no such dead letter, or it was forgotten: only the newest ones are known.",
    )


def _unavailable(detail: str) -> ProblemError:
    return ProblemError.of(ProblemType.UNAVAILABLE, detail, retry_after=_RETRY_AFTER_S)
