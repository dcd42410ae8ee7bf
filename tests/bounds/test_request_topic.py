"""All services in their charts' memory, whatever is written to the request topic."""

import pytest

from tests.bounds.conftest import Guarded
from tests.support.guarding import eventually
from tests.support.hostile import write_records
from tests.support.hostile_documents import KINDS
from tests.support.kafka import KafkaServer, read_all, unique_name

pytestmark = [pytest.mark.bounds, pytest.mark.timeout(180)]

# Together 32 MB: what a dispatcher reads at most before it has finished any of it.
RECORDS = 20
SERVICES = ("gateway", "dispatcher", "status-watcher")
COSTLY = [kind for kind in KINDS if kind != "text"]


@pytest.mark.parametrize("kind", COSTLY)
async def test_records_that_are_dear_to_read(
    guard_of: Guarded, kafka: KafkaServer, kind: str
) -> None:
    values = [KINDS[kind](unique_name("record")) for _ in range(RECORDS)]
    async with guard_of(*SERVICES, kafka=kafka) as guard:
        topics = guard.sluice.topics

        async def all_refused() -> bool:
            return len(await read_all(kafka, topics.dlq)) == RECORDS

        async def all_ended() -> bool:
            ended = {record.key for record in await read_all(kafka, topics.results)}
            return {f"default/{run_id}".encode() for run_id in guard.honest.run_ids} <= ended

        async def attack() -> None:
            await write_records(kafka, topics.requests, values)
            await guard.honest.ask(times=50)
            await eventually(all_refused, what=f"{RECORDS} dead letters")
            await eventually(all_ended, what="outcomes of the honest client's runs")

        await guard.during(attack())
        guard.assert_bounded()
