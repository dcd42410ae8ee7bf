"""The stream of the events of all runs; within one snapshot of the database."""

import heapq
from collections import Counter, defaultdict
from typing import Final, NamedTuple

from sluice_contracts.ids import RunKey
from sluice_gateway.adapters.run_store_postgres.conditions import Conditions
from sluice_gateway.adapters.run_store_postgres.types import Connection
from sluice_gateway.domain.models import StreamEvent, StreamPage
from sluice_gateway.domain.run_query import RunFilter, StreamPlace
from sluice_gateway.ports import LogTruncatedError

__all__ = ["stream_end", "stream_page"]

# What one page looks at of a partition, so that a query which nothing fulfils does not hold up the
# others.
_MOST_ROWS: Final = 500

_PARTITIONS: Final = """
SELECT partition, first_offset, next_offset FROM projected WHERE topic = $1 ORDER BY partition
"""

_CONTENTS: Final = """
SELECT events.partition, events."offset", event
FROM events JOIN unnest($1::integer[], $2::bigint[]) AS wanted (partition, "offset")
    USING (partition, "offset")
WHERE epoch = (SELECT epoch FROM topics WHERE topic = $3)
"""


class _Head(NamedTuple):
    """An event without its content, in the order of streams."""

    appended_ms: int
    partition: int
    offset: int
    is_wanted: bool
    tenant: str
    run_id: str
    type: str
    bytes: int


async def stream_end(connection: Connection, *, topic: str) -> StreamPlace:
    """See `RunView.stream_end`; `topic` is that of status."""
    rows = await connection.fetch(_PARTITIONS, topic)
    return StreamPlace(next_offsets={partition: end for partition, _, end in rows})


async def stream_page(
    connection: Connection,
    *,
    topic: str,
    query: RunFilter,
    after: StreamPlace,
    limit: int,
    max_bytes: int,
) -> StreamPage:
    """See `RunView.all_events`; `topic` is that of status."""
    partitions = await connection.fetch(_PARTITIONS, topic)
    place = dict(after.on_topic([number for number, _, _ in partitions]).next_offsets)
    begins, ends = {}, {}
    for partition, first_offset, next_offset in partitions:
        begin = place.get(partition, 0)
        if begin < first_offset:
            raise LogTruncatedError(
                f"Events of partition {partition} before offset {first_offset} are no longer kept."
            )
        if begin > next_offset:
            raise LogTruncatedError(
                f"Partition {partition} has no offset {begin} yet: it was replaced by another one."
            )
        begins[partition], ends[partition] = begin, next_offset

    heads = await _heads(connection, topic, query, begins=begins, ends=ends)
    left = Counter(head.partition for head in heads)
    whole = {each for each in ends if left[each] < _MOST_ROWS}
    wanted: list[tuple[_Head, StreamPlace]] = []
    for head in heads:
        if len(wanted) == limit or max_bytes <= 0:
            break
        left[head.partition] -= 1
        place[head.partition] = head.offset + 1
        if head.is_wanted:
            wanted.append((head, StreamPlace(next_offsets=dict(place))))
            max_bytes -= head.bytes
    # What is read to its end may end with records of another kind.
    place |= {each: ends[each] for each in whole if not left[each]}
    contents = await connection.fetch(
        _CONTENTS,
        [head.partition for head, _ in wanted],
        [head.offset for head, _ in wanted],
        topic,
    )
    data = {(partition, offset): text for partition, offset, text in contents}
    return StreamPage(
        events=tuple(
            StreamEvent(
                key=RunKey(head.tenant, head.run_id),
                partition=head.partition,
                offset=head.offset,
                type=head.type,
                data=data[head.partition, head.offset],
                place=behind,
            )
            for head, behind in wanted
        ),
        place=StreamPlace(next_offsets=place),
    )


async def _heads(
    connection: Connection,
    topic: str,
    query: RunFilter,
    *,
    begins: dict[int, int],
    ends: dict[int, int],
) -> list[_Head]:
    """Return the next events of each partition, merged by time; each partition stays in order."""
    where = Conditions()
    where.run(query)
    where.phases(query.phases, column="events.phase")
    partitions, begin, end = (
        where.argument(list(values), kind)
        for values, kind in (
            (begins, "integer[]"),
            (begins.values(), "bigint[]"),
            (ends.values(), "bigint[]"),
        )
    )
    of_topic = where.argument(topic, "text")
    rows = await connection.fetch(
        f"""
SELECT events.appended_ms, events.partition, events."offset", {where},
       events.tenant, events.run_id, events.type, events.bytes
FROM unnest({partitions}, {begin}, {end}) AS asked (partition, begin_at, end_at)
CROSS JOIN LATERAL (
    SELECT * FROM events
    WHERE epoch = (SELECT epoch FROM topics WHERE topic = {of_topic})
        AND events.partition = asked.partition
        AND "offset" >= asked.begin_at AND "offset" < asked.end_at
    ORDER BY "offset" LIMIT {_MOST_ROWS}
) AS events
JOIN runs USING (tenant, run_id)
ORDER BY events.partition, events."offset"
""",  # noqa: S608
        *where.arguments,
    )
    by_partition: defaultdict[int, list[_Head]] = defaultdict(list)
    for row in rows:
        by_partition[row[1]].append(_Head(*row))
    return list(heapq.merge(*by_partition.values()))
