"""The dead letters that are remembered: all that a list shows, without values; pure.

Each partition remembers its last so many records. So every gateway knows the same letters, however
long it has been running, and a flood on one topic takes no place from another's letters.
"""

import re
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice
from typing import Final, NamedTuple, Self

from sluice_contracts.dead_letters import DeadLetter, LetterDecision
from sluice_contracts.http_dead_letters import LETTER_ID, LetterState
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import Position
from sluice_contracts.topic_sets import TopicSets
from sluice_gateway.domain.reach import ANY, Reach
from sluice_gateway.domain.run_query import InvalidCursorError

__all__ = [
    "DeadLetters",
    "Letter",
    "LetterFilter",
    "LetterId",
    "LetterPage",
    "LetterPlace",
]

_CURSOR: Final = re.compile(r"([0-9]{1,19}):(.+)")
_LONGEST_DETAIL: Final = 300


class LetterId(NamedTuple):
    """Names a letter: the door, empty for the default topics, the partition and the offset."""

    door: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """Return the id as it stands in a path."""
        door = f"{self.door}." if self.door else ""
        return f"{door}{self.partition}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id.

        Raises:
            ValueError: no letter can have it.
        """
        if not re.fullmatch(LETTER_ID, text):
            raise ValueError("No dead letter can have this id.")
        door, _, place = text.rpartition(".")
        partition, _, offset = place.partition("-")
        return cls(door, int(partition), int(offset))


class LetterPlace(NamedTuple):
    """Where a letter stands in a list, which is in descending order; the same on every replica."""

    at_ms: int
    id: LetterId

    def __str__(self) -> str:
        """Return the cursor."""
        return f"{self.at_ms}:{self.id}"

    @classmethod
    def parse(cls, cursor: str) -> Self:
        """Read a cursor.

        Raises:
            InvalidCursorError: it is none of ours.
        """
        found = _CURSOR.fullmatch(cursor)
        try:
            if found is not None:
                return cls(int(found[1]), LetterId.parse(found[2]))
        except ValueError:
            pass
        raise InvalidCursorError("The cursor is none that a list has returned.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter without key, value and headers of its record.

    `at_ms` is when it was appended. `received` is where the record stood, and `received_ms` when it
    was appended there. `tenants` are those that it may concern, `*` all. `size` is that of the
    record's value in bytes, of the whole record if that was `truncated`.
    """

    id: LetterId
    position: Position
    at_ms: int
    reason: ProblemType
    detail: str
    received: Position
    received_ms: int
    run: RunKey | None
    tenants: frozenset[str]
    size: int
    truncated: bool
    decision: LetterDecision | None = None
    decided_by_offset: int = -1

    @property
    def state(self) -> LetterState:
        """What became of it."""
        return "open" if self.decision is None else self.decision.decision

    @property
    def place(self) -> LetterPlace:
        """Where it stands in a list."""
        return LetterPlace(self.at_ms, self.id)

    @property
    def tenant(self) -> str | None:
        """The tenant whose record it was; None if that is not certain."""
        [first, *more] = self.tenants
        return None if more or first == ANY else first

    def is_within(self, reach: Reach) -> bool:
        """Return whether the reach has everything that the letter may concern.

        Its workflow is not known: a record that is not valid says nothing for certain.
        """
        return all(reach.has(tenant=each, workflow=None) for each in self.tenants)


@dataclass(frozen=True, kw_only=True)
class LetterFilter:
    """Which letters are wanted; empty or None does not restrict them.

    `since` and `until` are about when the letter was appended, the first one included.
    """

    within: Reach
    reasons: frozenset[ProblemType] = frozenset()
    states: frozenset[LetterState] = frozenset()
    tenant: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def selects(self, letter: Letter) -> bool:
        """Return whether the letter fulfils every condition."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.states or letter.state in self.states)
            and (self.tenant is None or self.tenant in letter.tenants)
            and (self.since is None or letter.at_ms >= self.since.timestamp() * 1000)
            and (self.until is None or letter.at_ms < self.until.timestamp() * 1000)
            and letter.is_within(self.within)
        )


@dataclass(frozen=True, kw_only=True)
class LetterPage:
    """A part of a list, newest first; `next` is the place of its last letter, if more follow."""

    letters: tuple[Letter, ...]
    next: LetterPlace | None


class DeadLetters:
    """Remembers the letters among the last `most` records of dead letter topics.

    All partitions have an equal share of that.
    """

    def __init__(self, *, topics: TopicSets, most: int) -> None:
        self.topics = topics
        self._sets = {each.topics.dlq: each for each in topics}
        self._topics = {each.name: each.topics.dlq for each in topics}
        self._most = most
        self._share = most
        self._partitions: Counter[str] = Counter()
        # The offsets behind the last records that were read.
        self._ends: dict[tuple[str, int], int] = {}
        # By partition, and there by offset, in ascending order.
        self._letters: dict[tuple[str, int], OrderedDict[int, Letter]] = defaultdict(OrderedDict)
        self._in_order: Sequence[Letter] | None = None

    def add(self, letter: DeadLetter) -> None:
        """Remember a letter that was read."""
        own, position = self._sets[letter.position.topic], letter.position
        tenants = own.tenants or frozenset({ANY})
        if letter.run is not None and not letter.has_claimed_run:
            tenants = frozenset({letter.run.tenant})
        value = letter.received.value or b""
        self._in_order = None
        self._letters[position.topic, position.partition][position.offset] = Letter(
            id=LetterId(own.name, position.partition, position.offset),
            position=position,
            at_ms=letter.at_ms,
            reason=letter.problem.type,
            detail=letter.problem.detail[:_LONGEST_DETAIL],
            received=letter.received.position,
            received_ms=letter.received.timestamp_ms,
            run=letter.run,
            tenants=tenants,
            size=len(value) if letter.truncated is None else letter.truncated,
            truncated=letter.truncated is not None,
        )

    def decide(self, position: Position, decision: LetterDecision, *, offset: int) -> None:
        """Note what was done with the letter at `position`, by the record at `offset`.

        That it was replayed counts more than that it was dropped, and then the first record counts.
        So the order in which decisions become known does not matter.
        """
        letters = self._letters[position.topic, position.partition]
        letter = letters.get(position.offset)
        if letter is None:
            return
        if letter.decision is None or _rank(decision, offset) < _rank(
            letter.decision, letter.decided_by_offset
        ):
            letters[position.offset] = replace(letter, decision=decision, decided_by_offset=offset)
            self._in_order = None

    def passed(self, position: Position) -> None:
        """Forget what is beyond the partition's share, now that this record was read."""
        self._ends[position.topic, position.partition] = position.offset + 1
        self._forget_before(position.topic, position.partition, position.offset + 1 - self._share)

    def expire(self, starts: Mapping[tuple[str, int], int]) -> None:
        """Forget what topics have deleted; `starts` has the first offset of all their partitions.

        Topics become known one by one, and each takes from the shares of those before.
        """
        self._partitions |= Counter(topic for topic, _ in starts)
        share = max(1, self._most // self._partitions.total())
        if share < self._share:
            for (topic, partition), end in self._ends.items():
                self._forget_before(topic, partition, end - share)
        self._share = share
        for (topic, partition), offset in starts.items():
            self._forget_before(topic, partition, offset)

    def forget(self, topic: str) -> None:
        """Forget all letters of a topic."""
        for place in [each for each in self._letters if each[0] == topic]:
            del self._letters[place]
            self._ends.pop(place, None)
        self._in_order = None

    def get(self, letter_id: LetterId) -> Letter | None:
        """Return the letter; None if it is not remembered."""
        topic = self._topics.get(letter_id.door, "")
        letters = self._letters.get((topic, letter_id.partition))
        return None if letters is None else letters.get(letter_id.offset)

    def list(self, query: LetterFilter, *, before: LetterPlace | None, limit: int) -> LetterPage:
        """Return the newest letters that the query selects, of those behind `before`."""
        wanted = (
            each
            for each in self._newest_first()
            if (before is None or each.place < before) and query.selects(each)
        )
        found = tuple(islice(wanted, limit + 1))
        page = found[:limit]
        return LetterPage(letters=page, next=page[-1].place if len(found) > limit else None)

    def open_on(self, topic: str) -> int:
        """Return how many letters of the topic are open."""
        return sum(
            each.state == "open"
            for (name, _), letters in self._letters.items()
            if name == topic
            for each in letters.values()
        )

    def _newest_first(self) -> Sequence[Letter]:
        """Return all letters in order: sorted once for many lists, as they change seldom."""
        if self._in_order is None:
            known = chain.from_iterable(each.values() for each in self._letters.values())
            self._in_order = sorted(known, key=lambda each: each.place, reverse=True)
        return self._in_order

    def _forget_before(self, topic: str, partition: int, offset: int) -> None:
        letters = self._letters[topic, partition]
        while letters and next(iter(letters)) < offset:
            letters.popitem(last=False)
            self._in_order = None


def _rank(decision: LetterDecision, offset: int) -> tuple[bool, int]:
    return decision.decision != "replayed", offset
