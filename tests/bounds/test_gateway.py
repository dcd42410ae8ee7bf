"""The gateway in its chart's memory, whatever its clients send or do not read."""

import asyncio
import itertools

import pytest

from sluice_contracts.topics import MAX_REQUEST_BYTES
from tests.bounds.conftest import Guarded
from tests.support.guarding import Guard, eventually
from tests.support.hostile import (
    idle_bodies,
    large_bodies,
    peers,
    slow_bodies,
    unread,
    write_events,
)
from tests.support.hostile_documents import KINDS
from tests.support.kafka import KafkaServer, unique_name

pytestmark = [pytest.mark.bounds, pytest.mark.timeout(180)]

# As many bytes as may be in hand by default, and as many requests.
ELEVEN_LARGE = [MAX_REQUEST_BYTES] * 10 + [16 * 1024 * 1024 - 10 * MAX_REQUEST_BYTES]
MANY_SMALL = [2] * 512

FOLLOWERS = 500
LARGE_RUNS, EVENTS = 8, 5


async def nothing_in_hand(guard: Guard) -> None:
    async def nothing() -> bool:
        in_flight = await guard.metric("gateway", "sluice_gateway_in_flight_requests")
        streams = await guard.metric("gateway", "sluice_gateway_streams")
        return in_flight == streams == 0

    await eventually(nothing, what="no request and no stream in the gateway's hands")
    await guard.honest.ask(times=10)


@pytest.mark.parametrize(
    ("declared", "addresses"),
    [
        pytest.param(ELEVEN_LARGE, 1, id="eleven large ones of one peer"),
        pytest.param(MANY_SMALL, 1, id="512 small ones of one peer"),
        pytest.param(MANY_SMALL, 512, id="512 small ones of 512 peers"),
    ],
)
async def test_bodies_that_do_not_come(
    guard_of: Guarded, kafka: KafkaServer, declared: list[int], addresses: int
) -> None:
    async with guard_of("gateway", kafka=kafka) as guard:

        async def attack() -> None:
            async with idle_bodies(guard.sluice.url, declared, peers=[*peers(addresses)]):
                await guard.honest.ask(times=50)
            await nothing_in_hand(guard)

        await guard.during(attack())
        guard.assert_bounded()


async def test_bodies_that_come_slowly(guard_of: Guarded, kafka: KafkaServer) -> None:
    async with guard_of("gateway", kafka=kafka) as guard:

        async def attack() -> None:
            async with slow_bodies(guard.sluice.url, ELEVEN_LARGE, peers=["127.0.1.1"]):
                await guard.honest.ask(times=50)
            await nothing_in_hand(guard)

        await guard.during(attack())
        guard.assert_bounded()


@pytest.mark.parametrize("kind", KINDS)
async def test_the_largest_bodies_at_once(guard_of: Guarded, kafka: KafkaServer, kind: str) -> None:
    bodies = [KINDS[kind](unique_name("body")) for _ in range(16)]
    async with guard_of("gateway", kafka=kafka) as guard:

        async def attack() -> None:
            large = large_bodies(guard.sluice.url, bodies, rounds=4, peers=["127.0.1.1"])
            attacking = asyncio.create_task(large)
            await guard.honest.ask_during(attacking)
            await nothing_in_hand(guard)

        await guard.during(attack())
        guard.assert_bounded()


@pytest.mark.parametrize("path", ["/v1/runs/{}/events", "/v1/runs/{}"])
async def test_answers_that_nobody_reads(guard_of: Guarded, kafka: KafkaServer, path: str) -> None:
    runs = [unique_name("large") for _ in range(LARGE_RUNS)]
    async with guard_of("gateway", kafka=kafka) as guard:

        async def all_known() -> bool:
            projected = await guard.metric("gateway", "sluice_gateway_events_projected_total")
            return projected == LARGE_RUNS * EVENTS

        async def attack() -> None:
            for run in runs:
                status = guard.sluice.topics.status
                await write_events(kafka, status, run, events=EVENTS)
            await eventually(all_known, what="all events projected")
            paths = [path.format(run) for run in itertools.islice(itertools.cycle(runs), FOLLOWERS)]
            async with unread(guard.sluice.url, paths, peers=[*peers(FOLLOWERS)]) as answers:
                print(dict(answers))
                await guard.honest.ask(times=50)
            await nothing_in_hand(guard)

        await guard.during(attack())
        guard.assert_bounded()
