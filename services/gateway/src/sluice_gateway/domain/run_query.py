"""What lists and streams of runs can be asked for, and where they continue; pure.

Cursors hold on every replica, because they are made of what Kafka says and of nothing local: a list
continues behind a run's time and key, a stream behind an offset of each partition.
"""

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple, Self

from sluice_contracts.ids import RunKey, is_run_id, is_tenant
from sluice_contracts.labels import is_label_name
from sluice_contracts.requests import Priority
from sluice_contracts.status import Phase
from sluice_gateway.domain.partitions import (
    PARTITION,
    LogPartition,
    door_and_number,
    parse_partition,
)
from sluice_gateway.domain.reach import Reach

__all__ = [
    "InvalidCursorError",
    "KindCount",
    "LabelTest",
    "RunFilter",
    "RunPage",
    "RunPlace",
    "RunSummary",
    "StreamPlace",
]

# How far a topic may have been extended without the knowledge of a replica.
_GROWTH: Final = 4
_PAIR: Final = rf"{PARTITION}:[0-9]{{1,19}}"
_STREAM_PLACE: Final = re.compile(rf"{_PAIR}(,{_PAIR})*")


class InvalidCursorError(ValueError):
    """The text is not a cursor that Sluice has made."""


@dataclass(frozen=True, kw_only=True)
class LabelTest:
    """A condition on one label: it has this value, or (not `equal`) another one or is absent."""

    name: str
    value: str
    equal: bool = True

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name=value` or `name!=value`.

        Raises:
            ValueError: it is neither; the message says what is expected.
        """
        name, separator, value = text.partition("=")
        negated = name.endswith("!")
        name = name.removesuffix("!")
        if not separator or not is_label_name(name):
            raise ValueError("Must be name=value or name!=value, with a valid name of a label.")
        return cls(name=name, value=value, equal=not negated)


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Which runs are wanted: those that fulfil every condition that is given.

    `since` and `until` are about `accepted_at`, the first one included. `text` is a part of the id.
    A `tenant` of None asks for the runs of all tenants, an empty `phases` for those in any phase.
    `within` is what the principal may see; None is everything.
    """

    tenant: str | None = None
    workflow: str | None = None
    phases: frozenset[Phase] = frozenset()
    labels: tuple[LabelTest, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    within: Reach | None = None

    @property
    def tenants(self) -> frozenset[str] | None:
        """The tenants whose runs can be meant; None for all that there are."""
        if self.tenant is not None:
            return frozenset({self.tenant})
        return None if self.within is None else self.within.tenants

    def seen_within(self, reach: Reach) -> Self:
        """Return the same query about the runs of the reach alone."""
        return self if reach.everything else replace(self, within=reach)


class KindCount(NamedTuple):
    """How many runs of a workflow of a tenant are in a phase; None is a workflow not known yet."""

    tenant: str
    workflow: str | None
    phase: Phase
    runs: int


class RunPlace(NamedTuple):
    """Where a run stands in a list: newest first, then by tenant and id in descending order.

    `accepted_ms` is the time at which Kafka appended the request, in milliseconds of the epoch. So
    a run has the same place on every replica, and keeps it.
    """

    accepted_ms: int
    tenant: str
    run_id: str

    def __str__(self) -> str:
        """Return the cursor, whose text means nothing to clients."""
        return base64.urlsafe_b64encode(json.dumps(self).encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, cursor: str) -> Self:
        """Read a cursor.

        Raises:
            InvalidCursorError: Sluice did not make it.
        """
        try:
            padded = cursor.encode() + b"=" * (-len(cursor) % 4)
            accepted_ms, tenant, run_id = json.loads(
                base64.b64decode(padded, altchars=b"-_", validate=True)
            )
        except (ValueError, TypeError, RecursionError, binascii.Error) as e:
            raise InvalidCursorError("The cursor is none that a list has returned.") from e
        texts = isinstance(tenant, str) and isinstance(run_id, str)
        if type(accepted_ms) is not int or not texts or abs(accepted_ms) >= 2**63:
            raise InvalidCursorError("The cursor is none that a list has returned.")
        if not (is_tenant(tenant) and is_run_id(run_id)):
            raise InvalidCursorError("The cursor is none that a list has returned.")
        return cls(accepted_ms, tenant, run_id)


@dataclass(frozen=True, kw_only=True)
class StreamPlace:
    """Where a stream of all events stands: the next offset of each partition of status topics.

    A partition that is missing was unknown when the stream began: all of it is still to come.
    """

    next_offsets: Mapping[LogPartition, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the text that is the `id` of an event: `partition:offset` pairs with commas."""
        return ",".join(
            f"{partition}:{self.next_offsets[partition]}"
            for partition in sorted(self.next_offsets, key=door_and_number)
        )

    def after(self, partition: LogPartition, offset: int) -> "StreamPlace":
        """Return the place behind that record."""
        return StreamPlace(next_offsets={**self.next_offsets, partition: offset + 1})

    def on_topics(self, known: Collection[LogPartition]) -> "StreamPlace":
        """Return the place without the partitions that the topics cannot have.

        A client can name thousands, and each event repeats its place. The numbers of partitions
        follow on each other. Another replica may know of new ones earlier: up to four times as many
        stay, so that the stream resumes exactly. If none is known, all stay. A replica may know of
        new doors earlier as well: so long as they are few, their partitions stay.
        """
        if not known:
            return self
        ends: dict[str, int] = {}
        for door, number in map(door_and_number, known):
            ends[door] = max(ends.get(door, 0), _GROWTH * (number + 1))
        kept: dict[LogPartition, int] = {}
        of_new_doors: dict[LogPartition, int] = {}
        for partition, offset in self.next_offsets.items():
            door, number = door_and_number(partition)
            if door not in ends:
                of_new_doors[partition] = offset
            elif number < ends[door]:
                kept[partition] = offset
        few = len(of_new_doors) <= _GROWTH * len(known)
        return StreamPlace(next_offsets=kept | of_new_doors if few else kept)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text.

        Raises:
            InvalidCursorError: it is none of ours, or names a partition twice.
        """
        if not _STREAM_PLACE.fullmatch(text):
            raise InvalidCursorError("The id is none that a stream of all events has sent.")
        pairs = [pair.split(":") for pair in text.split(",")]
        offsets = {parse_partition(partition): int(offset) for partition, offset in pairs}
        if len(offsets) != len(pairs) or any(offset >= 2**63 for offset in offsets.values()):
            raise InvalidCursorError("The id is none that a stream of all events has sent.")
        return cls(next_offsets=offsets)


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run as a list shows it. `version` changes whenever anything here does."""

    key: RunKey
    place: RunPlace
    workflow: str | None
    phase: Phase
    terminal: bool
    attempt: int
    progress: str | None
    labels: Mapping[str, str]
    priority: Priority
    parent: str | None
    started_at: datetime | None
    finished_at: datetime | None
    version: str


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """A part of a list; `next` is the place of its last run, None if no more follow."""

    runs: tuple[RunSummary, ...]
    next: RunPlace | None
