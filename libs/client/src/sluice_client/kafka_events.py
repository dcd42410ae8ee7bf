"""The events of all runs, from all partitions of the status topic."""

import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from sluice_client.filters import RunFilters, selects
from sluice_client.kafka_connection import KafkaConnection, unreachable
from sluice_client.kafka_records import incoming_of, reading
from sluice_client.outcomes import Event
from sluice_contracts.ids import RunKey
from sluice_contracts.status_codec import (
    ForeignRecordError,
    PublishedEvent,
    decode_status,
    event_type,
)

__all__ = ["offsets_of", "tail"]

_POLL_MS: Final = 500
# Runs whose last event is remembered, so that copies of it are left out.
_REMEMBERED: Final = 10_000
_OFFSET: Final = re.compile(
    r"(?P<door>[a-z0-9-]{1,63}/)?(?P<partition>[0-9]{1,10}):(?P<offset>[0-9]{1,18})"
)


async def tail(
    connection: KafkaConnection, *, after: str | None, filters: RunFilters
) -> AsyncGenerator[Event]:
    """Yield the events of all runs that the filters select; see `KafkaSluice.events`."""
    topic = connection.topics.status
    asked = None if after is None else offsets_of(after)
    seen: OrderedDict[RunKey, int] = OrderedDict()
    async with connection.reader() as consumer:
        with unreachable():
            numbers = sorted(await connection.partitions_of(topic))
            places = await _begin(consumer, topic, numbers, asked)
        while True:
            with reading():
                read = await consumer.getmany(timeout_ms=_POLL_MS)
            for record in (each for records in read.values() for each in records):
                places[record.partition] = record.offset + 1
                found = _event(record, places)
                if found is None or _is_old(found, seen) or not selects(filters, found.state):
                    continue
                yield found


def offsets_of(place: str) -> dict[int, int]:
    """Return the next offset of each partition; those of doors, which are named, do not count.

    Raises:
        ValueError: it is not the place of an event of all runs.
    """
    parts = [_OFFSET.fullmatch(each) for each in place.split(",")]
    if not all(parts):
        raise ValueError("The place must be that of an event of all runs, as in 0:17,1:4711.")
    return {
        int(each["partition"]): int(each["offset"]) for each in parts if each and not each["door"]
    }


async def _begin(
    consumer: AIOKafkaConsumer, topic: str, numbers: list[int], asked: Mapping[int, int] | None
) -> dict[int, int]:
    """Go to where the wanted events begin, and return that; a new partition is read whole."""
    partitions = [TopicPartition(topic, number) for number in numbers]
    consumer.assign(partitions)
    known = await (consumer.end_offsets if asked is None else consumer.beginning_offsets)(
        partitions
    )
    places = {each.partition: (asked or {}).get(each.partition, known[each]) for each in partitions}
    for each in partitions:
        consumer.seek(each, places[each.partition])
    return places


def _event(record: ConsumerRecord, places: Mapping[int, int]) -> Event | None:
    try:
        read = decode_status(incoming_of(record))
    except ForeignRecordError:
        return None
    if not isinstance(read, PublishedEvent):
        return None
    place = ",".join(f"{number}:{offset}" for number, offset in places.items())
    return Event(place=place, type=event_type(read.event.phase), state=read.event)


def _is_old(event: Event, seen: OrderedDict[RunKey, int]) -> bool:
    """Return whether the event is a copy, or older than one before."""
    key, sequence = event.state.key, event.state.sequence
    if sequence <= seen.get(key, -1):
        return True
    seen[key] = sequence
    seen.move_to_end(key)
    if len(seen) > _REMEMBERED:
        seen.popitem(last=False)
    return False
