"""What a record of a request or a status topic says about a run; pure.

Every store of runs is fed with these changes, whatever it is written in. They are tuples, because
some ten thousand of them are made a second.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Self

from pydantic_core import to_json

from sluice_contracts.ids import RunKey
from sluice_contracts.notices import QueueNotice
from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import InvalidRecordError, ReceivedRun, decode_request
from sluice_contracts.requests import Priority
from sluice_contracts.status import StatusEvent
from sluice_contracts.status_codec import (
    ForeignRecordError,
    PublishedEvent,
    decode_status,
    event_type,
)
from sluice_contracts.topic_sets import TopicSets
from sluice_gateway.domain.models import AcceptedRun
from sluice_gateway.domain.partitions import LogPartition, log_partition

__all__ = [
    "EventChange",
    "Facts",
    "KeepsParameters",
    "NoticeChange",
    "RequestChange",
    "RunChange",
    "change_of",
    "first_millisecond",
    "milliseconds",
    "moment",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

KeepsParameters = Callable[[str], bool]
"""Says of the name of a workflow whether the parameters of its runs may be kept."""


class Facts(NamedTuple):
    """What a request says of a run, and the run's events repeat."""

    labels: Mapping[str, str]
    priority: Priority
    parent: str | None
    requested_by: str | None = None

    def to_json(self) -> str:
        """Return the facts as JSON text; equal facts have equal texts."""
        # Most have one or none, and some ten thousand events a second come here.
        several = len(self.labels) > 1
        labels = dict(sorted(self.labels.items())) if several else self.labels
        known = [labels, self.priority, self.parent]
        # As before where nobody is known, so that rows of older versions are equal.
        return to_json(known + [self.requested_by] * (self.requested_by is not None)).decode()

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """Read what `to_json` wrote; None stands for a request that said nothing."""
        if text is None:
            return cls(labels={}, priority="normal", parent=None)
        return cls(*json.loads(text))


class RequestChange(NamedTuple):
    """A request for a run; `parameters` is canonical JSON, None if it must not be kept."""

    key: RunKey
    partition: LogPartition
    offset: int
    accepted_ms: int
    workflow: str
    fingerprint: str
    facts: Facts
    parameters: str | None

    @classmethod
    def of_accepted(
        cls, run: AcceptedRun, *, topics: TopicSets, keeps_parameters: KeepsParameters
    ) -> Self:
        """Return the change that the record of an accepted run will be."""
        topic = topics.of_tenant(run.key.tenant).topics.requests
        return cls(
            key=run.key,
            partition=log_partition(topics, topic, run.partition),
            offset=run.offset,
            accepted_ms=milliseconds(run.accepted_at),
            workflow=run.workflow,
            fingerprint=run.fingerprint,
            facts=Facts(run.labels, run.priority, run.parent, run.requested_by),
            parameters=run.parameters.decode()
            if run.parameters is not None and keeps_parameters(run.workflow)
            else None,
        )


class EventChange(NamedTuple):
    """A status event.

    `facts` is None if the event does not repeat them, as those of older versions. `data` is the
    event as one line of JSON; `steps` and `groups` are those that changed, as JSON by their ids.
    """

    key: RunKey
    partition: LogPartition
    offset: int
    appended_ms: int
    sequence: int
    attempt: int
    phase: str
    terminal: bool
    workflow: str | None
    fingerprint: str | None
    accepted_ms: int | None
    facts: Facts | None
    progress: str | None
    started_at: str | None
    finished_at: str | None
    type: str
    data: str
    steps: Mapping[str, str]
    groups: Mapping[str, str]


class NoticeChange(NamedTuple):
    """A notice that the request waits; `state` is held_by, detail and since as JSON."""

    key: RunKey
    partition: LogPartition
    offset: int
    appended_ms: int
    state: str


RunChange = RequestChange | EventChange | NoticeChange


def change_of(
    record: IncomingRecord, *, origins: RecordOrigins, keeps_parameters: KeepsParameters
) -> RunChange | None:
    """Return what the record changes; None if it says nothing about the state of a run."""
    position, topics = record.position, origins.topics
    partition = log_partition(topics, position.topic, position.partition)
    if position.topic in topics.requests:
        return _request(record, partition, origins=origins, keeps_parameters=keeps_parameters)
    return _status(record, partition)


def milliseconds(moment: datetime) -> int:
    """Return the whole milliseconds since the Unix epoch."""
    # A third of the time that a division of timedeltas takes.
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def first_millisecond(moment: datetime) -> int:
    """Return the first whole millisecond since the Unix epoch that is not before the moment."""
    # Negated twice it rounds up, without a moment that may be after the last one.
    return -((_EPOCH - moment) // timedelta(milliseconds=1))


def moment(milliseconds: int) -> datetime:
    """Return the time of so many milliseconds since the Unix epoch."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _request(
    record: IncomingRecord,
    partition: LogPartition,
    *,
    origins: RecordOrigins,
    keeps_parameters: KeepsParameters,
) -> RequestChange | None:
    try:
        received = decode_request(record, origins=origins)
    except InvalidRecordError:
        # The dispatcher answers those, and its answer comes by the status topic.
        return None
    if not isinstance(received, ReceivedRun):
        return None
    request = received.request
    content = request.content()
    return RequestChange(
        key=received.key,
        partition=partition,
        offset=record.position.offset,
        accepted_ms=record.timestamp_ms,
        workflow=request.workflow,
        fingerprint=content.fingerprint,
        facts=Facts(request.labels, request.priority, request.parent, received.requested_by),
        parameters=content.parameters.decode() if keeps_parameters(request.workflow) else None,
    )


def _status(record: IncomingRecord, partition: LogPartition) -> EventChange | NoticeChange | None:
    try:
        published = decode_status(record)
    except ForeignRecordError:
        return None
    if isinstance(published, PublishedEvent):
        return _event(published, record, partition)
    if isinstance(published, QueueNotice):
        return NoticeChange(
            key=published.key,
            partition=partition,
            offset=record.position.offset,
            appended_ms=record.timestamp_ms,
            state=published.model_dump_json(include={"held_by", "detail", "since"}),
        )
    # A refusal is not a phase of the run that it names.
    return None


def _event(
    published: PublishedEvent, record: IncomingRecord, partition: LogPartition
) -> EventChange:
    event = published.event
    accepted_at, started_at, finished_at = event.accepted_at, event.started_at, event.finished_at
    facts = None
    # Events that repeat anything of the request have this time.
    if accepted_at is not None:
        facts = Facts(event.labels, event.priority, event.parent, event.requested_by)
    return EventChange(
        key=event.key,
        partition=partition,
        offset=record.position.offset,
        appended_ms=record.timestamp_ms,
        sequence=event.sequence,
        attempt=event.attempt,
        phase=event.phase.value,
        terminal=event.terminal,
        workflow=event.workflow,
        fingerprint=published.fingerprint,
        accepted_ms=None if accepted_at is None else milliseconds(accepted_at),
        facts=facts,
        progress=event.progress,
        started_at=None if started_at is None else started_at.isoformat(),
        finished_at=None if finished_at is None else finished_at.isoformat(),
        type=event_type(event.phase),
        data=_line(event, record.value or b""),
        steps={step.id: step.model_dump_json() for step in event.steps},
        groups={group.id: group.model_dump_json() for group in event.groups},
    )


def _line(event: StatusEvent, value: bytes) -> str:
    """Return the event as one line of JSON: as it was written, if that is one."""
    # To encode it again takes a quarter of the time that an event takes. pydantic reads NaN and
    # Infinity, which are not JSON; a single byte is found several times as fast as a word.
    if b"\n" in value or b"\r" in value or b"I" in value or (b"N" in value and b"NaN" in value):
        return event.model_dump_json()
    return value.decode()
