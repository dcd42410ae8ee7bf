"""Read a status topic from its end, and note when each phase was read.

    python -m bench.read_status BOOTSTRAP_SERVERS TOPIC COUNT

It prints `ready` once it reads. After COUNT changes to the phases Pending and Running it prints one
JSON object: `name/phase` to the time, in nanoseconds of the monotonic clock.
"""

import asyncio
import json
import sys
import time

from aiokafka import AIOKafkaConsumer

from sluice_runtime.kafka.consumer import partitions_of

_PHASES = ("Pending", "Running")


async def read(servers: str, topic: str, *, count: int) -> dict[str, int]:
    """Return when each change of phase was read."""
    seen: dict[str, int] = {}
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = list(await partitions_of(consumer, [topic]))
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        print("ready", flush=True)
        async for record in consumer:
            event = json.loads(record.value)
            if event["phase"] in _PHASES:
                place = f"{event['workflow_name']}/{event['phase']}"
                seen.setdefault(place, time.monotonic_ns())
            if len(seen) >= count:
                break
    finally:
        await consumer.stop()
    return seen


def main() -> None:
    servers, topic, count = sys.argv[1:]
    print(json.dumps(asyncio.run(read(servers, topic, count=int(count)))))


if __name__ == "__main__":
    main()
