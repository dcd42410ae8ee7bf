"""Runs as the gateway knows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self

from pydantic import JsonValue

from sluice_contracts.ids import RunKey
from sluice_contracts.requests import Priority
from sluice_contracts.status import Phase, QueueState
from sluice_gateway.domain.partitions import LogPartition, parse_partition
from sluice_gateway.domain.run_query import StreamPlace

__all__ = [
    "AcceptedRun",
    "EventHead",
    "EventPage",
    "EventPlace",
    "RunEvent",
    "RunState",
    "StreamEvent",
    "StreamPage",
]


class EventPlace(NamedTuple):
    """Where an event stands on its status topic; written `partition:offset` in an event stream."""

    partition: LogPartition
    offset: int

    def __str__(self) -> str:
        """Return the event's `id` in a stream."""
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` returned."""
        partition, _, offset = text.partition(":")
        return cls(parse_partition(partition), int(offset))


@dataclass(frozen=True, kw_only=True)
class AcceptedRun:
    """A run whose request record stands at `partition`, `offset` of its tenant's request topic.

    `accepted_at` is when Kafka appended the record. `parameters` are those of the request as
    canonical JSON; the view keeps them unless the workflow's are private.
    """

    key: RunKey
    workflow: str
    fingerprint: str
    partition: int
    offset: int
    accepted_at: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: Priority = "normal"
    parent: str | None = None
    parameters: bytes | None = None
    requested_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunState:
    """The latest that is known of a run.

    `event` is the latest status event as a JSON object, with all steps of the run in `steps` and
    all groups in `groups`; None while there is none. `accepted_at` is None if neither the request
    record nor an event states it. `version` changes whenever anything here does. `parameters` are
    None if they are private or were never known here. `queue` is None unless the run waits to
    start.
    """

    key: RunKey
    workflow: str | None
    fingerprint: str | None
    phase: Phase
    terminal: bool
    accepted_at: datetime | None
    event: Mapping[str, JsonValue] | None
    version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: Priority = "normal"
    parent: str | None = None
    parameters: Mapping[str, JsonValue] | None = None
    requested_by: str | None = None
    queue: QueueState | None = None


@dataclass(frozen=True, kw_only=True)
class EventHead:
    """What there is to know of an event without reading it.

    `after_gap` says that events before it, which the reader does not have, are no longer kept.
    """

    place: EventPlace
    sequence: int
    after_gap: bool = False


@dataclass(frozen=True, kw_only=True)
class RunEvent(EventHead):
    """One status event of a run; `data` is its JSON on one line, `type` its `ce_type`."""

    type: str
    data: str


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """Events in order; `ended` says that the run is over and no event is left behind them.

    `is_behind` says that the store may not have read as far as the place that was asked for.
    """

    events: tuple[EventHead, ...]
    ended: bool
    is_behind: bool = False


@dataclass(frozen=True, kw_only=True)
class StreamEvent:
    """An event in a stream of all runs; `data` is its JSON on one line, `type` its `ce_type`.

    `place` is where the stream continues behind it.
    """

    key: RunKey
    partition: LogPartition
    offset: int
    type: str
    data: str
    place: StreamPlace


@dataclass(frozen=True, kw_only=True)
class StreamPage:
    """A part of a stream of all runs; it continues at `place`.

    That lies behind the events here, and behind others that were not asked for. A page may have no
    events although more follow: then its place is behind the one that was asked for.
    """

    events: tuple[StreamEvent, ...]
    place: StreamPlace
