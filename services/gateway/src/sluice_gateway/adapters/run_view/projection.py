"""How records become rows: pure, idempotent, and indifferent to repeated or late copies.

The request part of a run belongs to the request record that stands first, the status part to the
event with the highest sequence; neither ever touches the other.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import TypeAdapter

from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import InvalidRecordError, ReceivedRun, decode_request
from sluice_contracts.status_codec import (
    ForeignRecordError,
    PublishedEvent,
    decode_status,
    event_type,
)
from sluice_contracts.steps import Step
from sluice_contracts.topics import TopicNames
from sluice_gateway.domain.models import AcceptedRun
from sluice_runtime.projection.sqlite_store import ProjectRecord, Statement

__all__ = ["accept_run", "expiry", "view_projection"]

_STEPS: Final = TypeAdapter(tuple[Step, ...])

# On a tie the record's own time replaces the clock of the gateway that wrote it.
_ACCEPT: Final = """
INSERT INTO runs (tenant, run_id, request_partition, request_offset, request_workflow,
                  request_fingerprint, accepted_ms)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (tenant, run_id) DO UPDATE SET
    request_partition = excluded.request_partition,
    request_offset = excluded.request_offset,
    request_workflow = excluded.request_workflow,
    request_fingerprint = excluded.request_fingerprint,
    accepted_ms = excluded.accepted_ms
WHERE request_offset IS NULL
    OR (excluded.request_offset, excluded.request_partition)
        <= (request_offset, request_partition)
"""

# Bound to (tenant, run id, sequence): whether the event says something new.
_IS_NEW: Final = """
NOT EXISTS (SELECT 1 FROM runs WHERE tenant = ?1 AND run_id = ?2 AND sequence >= ?3)
"""

_KEEP_EVENT: Final = f"""
INSERT INTO events (tenant, run_id, sequence, partition, offset, type, event)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE {_IS_NEW}
"""

_DROP_STEPS: Final = f"""
DELETE FROM steps WHERE tenant = ?1 AND run_id = ?2 AND {_IS_NEW}
"""  # noqa: S608

# A retry does not keep the steps that failed; the first event of an attempt carries all it has.
_DROP_STEPS_OF_EARLIER_ATTEMPTS: Final = f"""
{_DROP_STEPS} AND EXISTS (SELECT 1 FROM runs WHERE tenant = ?1 AND run_id = ?2 AND attempt < ?4)
"""  # noqa: S608

_KEEP_STEPS: Final = f"""
INSERT INTO steps (tenant, run_id, step_id, step)
SELECT ?1, ?2, changed.value ->> 'id', changed.value
FROM json_each(?4) AS changed WHERE {_IS_NEW}
ON CONFLICT (tenant, run_id, step_id) DO UPDATE SET step = excluded.step
"""  # noqa: S608

_KEEP_STATUS: Final = """
INSERT INTO runs (tenant, run_id, sequence, attempt, phase, terminal, status_workflow,
                  status_fingerprint, status_ms, status_partition, status_offset)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (tenant, run_id) DO UPDATE SET
    sequence = excluded.sequence,
    attempt = excluded.attempt,
    phase = excluded.phase,
    terminal = excluded.terminal,
    status_workflow = excluded.status_workflow,
    status_fingerprint = COALESCE(excluded.status_fingerprint, status_fingerprint),
    status_ms = excluded.status_ms,
    status_partition = excluded.status_partition,
    status_offset = excluded.status_offset
WHERE excluded.sequence > runs.sequence
"""

# Bound to the names of the request and the status topic.
_OVER: Final = """
(SELECT tenant, run_id FROM runs
 LEFT JOIN log_starts AS asked ON asked.topic = ?1 AND asked.partition = request_partition
 LEFT JOIN log_starts AS published
    ON published.topic = ?2 AND published.partition = status_partition
 WHERE (terminal OR sequence < 0)
    AND (request_offset IS NULL OR request_offset < asked.first_offset)
    AND (status_offset IS NULL OR status_offset < published.first_offset))
"""


def view_projection(topics: TopicNames) -> ProjectRecord:
    """Return the projection of the request and the status topic."""

    def project(record: IncomingRecord) -> Iterable[Statement]:
        if record.position.topic == topics.requests:
            return _project_request(record)
        return _project_status(record)

    return project


def accept_run(run: AcceptedRun) -> Statement:
    """Note a request of our own before the projection reads its record."""
    return _accept(
        run.key,
        partition=run.partition,
        offset=run.offset,
        workflow=run.workflow,
        fingerprint=run.fingerprint,
        accepted_ms=int(run.accepted_at.timestamp() * 1000),
    )


def expiry(topics: TopicNames) -> list[Statement]:
    """Drop the runs of which the topics hold nothing any more; one that goes on is kept."""
    return [
        (f"DELETE FROM {table} WHERE (tenant, run_id) IN {_OVER}", (topics.requests, topics.status))  # noqa: S608
        for table in ("events", "steps", "runs")
    ]


def _project_request(record: IncomingRecord) -> Iterable[Statement]:
    try:
        received = decode_request(record)
    except InvalidRecordError:
        # The dispatcher answers for those; what it says comes by the status topic.
        return ()
    if not isinstance(received, ReceivedRun):
        return ()
    return (
        _accept(
            received.key,
            partition=record.position.partition,
            offset=record.position.offset,
            workflow=received.request.workflow,
            fingerprint=received.request.fingerprint,
            accepted_ms=record.timestamp_ms,
        ),
    )


def _accept(
    key: RunKey,
    *,
    partition: int,
    offset: int,
    workflow: str,
    fingerprint: str,
    accepted_ms: int,
) -> Statement:
    return _ACCEPT, (*key, partition, offset, workflow, fingerprint, accepted_ms)


def _project_status(record: IncomingRecord) -> Iterator[Statement]:
    try:
        published = decode_status(record)
    except ForeignRecordError:
        return
    if not isinstance(published, PublishedEvent):
        # A refusal is not a phase of the run that it names.
        return
    event = published.event
    run = (*event.key, event.sequence)
    position = record.position
    yield (
        _KEEP_EVENT,
        (
            *run,
            position.partition,
            position.offset,
            event_type(event.phase),
            event.model_dump_json(),
        ),
    )
    yield _DROP_STEPS_OF_EARLIER_ATTEMPTS, (*run, event.attempt)
    if event.steps:
        if event.terminal:
            yield _DROP_STEPS, run
        yield _KEEP_STEPS, (*run, _STEPS.dump_json(event.steps).decode())
    # Last, for the others ask this row whether the event is new.
    yield (
        _KEEP_STATUS,
        (
            *run,
            event.attempt,
            event.phase.value,
            event.terminal,
            event.workflow,
            published.fingerprint,
            record.timestamp_ms,
            position.partition,
            position.offset,
        ),
    )
