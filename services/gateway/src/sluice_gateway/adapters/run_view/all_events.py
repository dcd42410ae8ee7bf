"""The stream of the events of all runs; within a transaction, so that it is of one moment."""

import heapq
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from sluice_contracts.ids import RunKey
from sluice_contracts.topic_sets import TopicSets
from sluice_gateway.adapters.run_view.list_sql import conditions_of, joined
from sluice_gateway.domain.models import StreamEvent, StreamPage
from sluice_gateway.domain.partitions import LogPartition, door_and_number, log_partition
from sluice_gateway.domain.run_query import RunFilter, StreamPlace
from sluice_gateway.ports import LogTruncatedError

__all__ = ["stream_end", "stream_page"]

# What one page looks at, so that a query which nothing fulfils does not hold up the others.
_MOST_ROWS: Final = 2000

_ENDS: Final = """
SELECT partition, MAX(COALESCE(next_offset, 0), COALESCE(first_offset, 0))
FROM (SELECT partition FROM projected_offsets WHERE topic = ?1
      UNION SELECT partition FROM log_starts WHERE topic = ?1)
LEFT JOIN (SELECT partition, next_offset FROM projected_offsets WHERE topic = ?1) USING (partition)
LEFT JOIN (SELECT partition, first_offset FROM log_starts WHERE topic = ?1) USING (partition)
"""


def stream_end(
    connection: sqlite3.Connection, *, topics: TopicSets, tenants: Collection[str] | None
) -> StreamPlace:
    """See `RunView.stream_end`."""
    return StreamPlace(
        next_offsets={
            log_partition(topics, topic, number): offset
            for topic in (each.topics.status for each in topics.having_had(tenants))
            for number, offset in connection.execute(_ENDS, (topic,))
        }
    )


def stream_page(
    connection: sqlite3.Connection,
    *,
    topics: TopicSets,
    query: RunFilter,
    after: StreamPlace,
    limit: int,
    max_bytes: int,
) -> StreamPage:
    """See `RunView.all_events`."""
    ends = stream_end(connection, topics=topics, tenants=query.tenants).next_offsets
    _check_kept(connection, after, known=ends)
    place = dict(after.on_topics(ends).next_offsets)
    events: list[StreamEvent] = []
    rows = _rows(connection, query, starts={each: place.get(each, 0) for each in ends})
    for looked_at, row in enumerate(rows, start=1):
        partition, offset, is_wanted, tenant, run_id, kind = row[1:7]
        place[partition] = offset + 1
        if is_wanted:
            [(data,)] = connection.execute(_DATA, (partition, offset))
            events.append(
                StreamEvent(
                    key=RunKey(tenant, run_id),
                    partition=partition,
                    offset=offset,
                    type=kind,
                    data=data,
                    place=StreamPlace(next_offsets=dict(place)),
                )
            )
            max_bytes -= len(data)
        if len(events) == limit or max_bytes <= 0 or looked_at == _MOST_ROWS:
            break
    else:
        # All is read, up to records that are not events.
        place |= {each: end for each, end in ends.items() if end > place.get(each, 0)}
    return StreamPage(events=tuple(events), place=StreamPlace(next_offsets=place))


_DATA: Final = "SELECT event FROM events WHERE partition = ? AND offset = ?"


def _check_kept(
    connection: sqlite3.Connection, after: StreamPlace, *, known: Collection[LogPartition]
) -> None:
    for partition, offset in connection.execute("SELECT partition, offset FROM whole_from"):
        if partition in known and after.next_offsets.get(partition, 0) < offset:
            raise LogTruncatedError(
                f"Events of partition {partition} before offset {offset} are no longer kept."
            )


def _rows(
    connection: sqlite3.Connection, query: RunFilter, *, starts: Mapping[LogPartition, int]
) -> Iterator[Any]:
    """Yield the events of all partitions, by time and each partition in order."""
    conditions = conditions_of(replace(query, phases=frozenset()), before=None)
    if query.phases:
        marks = ", ".join("?" for _ in query.phases)
        conditions.append((f"events.phase IN ({marks})", sorted(query.phases)))
    wanted, arguments = joined(conditions)
    sql = f"""
SELECT appended_ms, partition, offset, {wanted}, tenant, run_id, type
FROM events JOIN runs USING (number)
WHERE partition = ? AND offset >= ? ORDER BY offset
"""  # noqa: S608
    return heapq.merge(
        *(connection.execute(sql, (*arguments, each, start)) for each, start in starts.items()),
        key=lambda row: (row[0], door_and_number(row[1]), row[2]),
    )
