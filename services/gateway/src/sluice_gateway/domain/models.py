"""Runs as the gateway knows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pydantic import JsonValue

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase

__all__ = ["AcceptedRun", "EventHead", "EventPage", "EventPlace", "RunEvent", "RunState"]


class EventPlace(NamedTuple):
    """Where an event stands on the status topic; written `partition:offset` in an event stream."""

    partition: int
    offset: int

    def __str__(self) -> str:
        """Return the event's `id` in a stream."""
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, kw_only=True)
class AcceptedRun:
    """A run whose request record stands at `partition`, `offset` of the request topic."""

    key: RunKey
    workflow: str
    fingerprint: str
    partition: int
    offset: int
    accepted_at: datetime


@dataclass(frozen=True, kw_only=True)
class RunState:
    """The latest that is known of a run.

    `event` is the latest status event as a JSON object, with all steps of the run in `steps`; None
    while there is none. `accepted_at` is None if the request record is no longer on its topic.
    `version` changes whenever anything here does.
    """

    key: RunKey
    workflow: str | None
    fingerprint: str | None
    phase: Phase
    terminal: bool
    accepted_at: datetime | None
    event: Mapping[str, JsonValue] | None
    version: str


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
    """Events in order; `ended` says that the run is over and no event is left behind them."""

    events: tuple[EventHead, ...]
    ended: bool
