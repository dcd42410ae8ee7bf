"""The stream of the events of all runs; within one snapshot of the database."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection
from typing import Final, NamedTuple

from sluice_contracts.ids import RunKey
from sluice_contracts.topic_sets import TopicSets
from sluice_gateway.adapters.run_store_postgres.conditions import Conditions
from sluice_gateway.adapters.run_store_postgres.partition_numbers import PartitionNumbers
from sluice_gateway.adapters.run_store_postgres.types import Connection
from sluice_gateway.domain.models import StreamEvent, StreamPage
from sluice_gateway.domain.run_query import RunFilter, StreamPlace
from sluice_gateway.ports import LogTruncatedError

__all__ = ["EventLogs", "stream_end", "stream_page"]

# What one page looks at of a partition, so that a query which nothing fulfils does not hold up the
# others.
_MOST_ROWS: Final = 500

# Partitions by the numbers that they have in the tables.
_PARTITIONS: Final = """
SELECT begins.number + partition, epoch, first_offset, next_offset
FROM unnest($1::text[], $2::integer[]) AS begins (topic, number)
JOIN projected USING (topic) JOIN topics USING (topic)
ORDER BY 1
"""

_CONTENTS: Final = """
SELECT partition, "offset", event
FROM events JOIN unnest($1::integer[], $2::integer[], $3::bigint[])
    AS wanted (epoch, partition, "offset") USING (epoch, partition, "offset")
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


class _Kept(NamedTuple):
    """A partition, and what is kept of it."""

    number: int
    epoch: int
    first_offset: int
    next_offset: int


class EventLogs:
    """The status topics, by the numbers that partitions have in the tables."""

    def __init__(self, topics: TopicSets, partitions: PartitionNumbers) -> None:
        self._topics = topics
        self.partitions = partitions

    async def kept(self, connection: Connection, *, tenants: Collection[str] | None) -> list[_Kept]:
        """Return the partitions that may have events of these tenants; None: of any."""
        sets = self._topics.having_had(tenants)
        begins = [self.partitions.begin_of(each.name) for each in sets]
        rows = await connection.fetch(_PARTITIONS, [each.topics.status for each in sets], begins)
        return [_Kept(*row) for row in rows]


async def stream_end(
    connection: Connection, *, logs: EventLogs, tenants: Collection[str] | None
) -> StreamPlace:
    """See `RunView.stream_end`."""
    name = logs.partitions.name_of
    kept = await logs.kept(connection, tenants=tenants)
    return StreamPlace(next_offsets={name(each.number): each.next_offset for each in kept})


async def stream_page(
    connection: Connection,
    *,
    logs: EventLogs,
    query: RunFilter,
    after: StreamPlace,
    limit: int,
    max_bytes: int,
) -> StreamPage:
    """See `RunView.all_events`."""
    kept = await logs.kept(connection, tenants=query.tenants)
    name = {each.number: logs.partitions.name_of(each.number) for each in kept}
    place = dict(after.on_topics(name.values()).next_offsets)
    begins, ends = {}, {}
    for partition, _, first_offset, next_offset in kept:
        begin = place.get(name[partition], 0)
        if begin < first_offset:
            raise LogTruncatedError(
                f"Events of partition {name[partition]} before offset {first_offset} are no longer "
                "kept."
            )
        if begin > next_offset:
            raise LogTruncatedError(
                f"Partition {name[partition]} has no offset {begin} yet: it was replaced by "
                "another one."
            )
        begins[partition], ends[partition] = begin, next_offset

    epochs = {each.number: each.epoch for each in kept}
    heads = await _heads(connection, query, epochs=epochs, begins=begins, ends=ends)
    left = Counter(head.partition for head in heads)
    whole = {each for each in ends if left[each] < _MOST_ROWS}
    wanted: list[tuple[_Head, StreamPlace]] = []
    for head in heads:
        if len(wanted) == limit or max_bytes <= 0:
            break
        left[head.partition] -= 1
        place[name[head.partition]] = head.offset + 1
        if head.is_wanted:
            wanted.append((head, StreamPlace(next_offsets=dict(place))))
            max_bytes -= head.bytes
    # What is read to its end may end with records of another kind.
    place |= {name[each]: ends[each] for each in whole if not left[each]}
    contents = await connection.fetch(
        _CONTENTS,
        [epochs[head.partition] for head, _ in wanted],
        [head.partition for head, _ in wanted],
        [head.offset for head, _ in wanted],
    )
    data = {(partition, offset): text for partition, offset, text in contents}
    return StreamPage(
        events=tuple(
            StreamEvent(
                key=RunKey(head.tenant, head.run_id),
                partition=name[head.partition],
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
    query: RunFilter,
    *,
    epochs: dict[int, int],
    begins: dict[int, int],
    ends: dict[int, int],
) -> list[_Head]:
    """Return the next events of each partition, merged by time; each partition stays in order."""
    where = Conditions()
    where.run(query)
    where.phases(query.phases, column="events.phase")
    partitions, epoch, begin, end = (
        where.argument(list(values), kind)
        for values, kind in (
            (begins, "integer[]"),
            ([epochs[each] for each in begins], "integer[]"),
            (begins.values(), "bigint[]"),
            (ends.values(), "bigint[]"),
        )
    )
    rows = await connection.fetch(
        f"""
SELECT events.appended_ms, events.partition, events."offset", {where},
       events.tenant, events.run_id, events.type, events.bytes
FROM unnest({partitions}, {epoch}, {begin}, {end}) AS asked (partition, epoch, begin_at, end_at)
CROSS JOIN LATERAL (
    SELECT * FROM events
    WHERE events.epoch = asked.epoch AND events.partition = asked.partition
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
