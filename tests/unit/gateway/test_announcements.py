"""What replicas announce to each other fits into notifications of PostgreSQL."""

from typing import Any

import pytest

from sluice_gateway.adapters.run_store_postgres.announcements import Announcement, key_hash
from sluice_gateway.services.subscriptions import RunSubscriptions

MOST_BYTES = 7999


class Notifications:
    """Stands in for a connection: keeps what is sent."""

    def __init__(self) -> None:
        self.payloads: list[str] = []

    async def executemany(self, sql: str, arguments: list[tuple[str, str]]) -> None:
        assert "pg_notify" in sql
        self.payloads += [payload for _, payload in arguments]


async def sent(announcement: Announcement) -> list[str]:
    connection: Any = Notifications()
    await announcement.send(connection)
    payloads: list[str] = connection.payloads
    return payloads


@pytest.mark.parametrize("runs", [0, 1, 999, 1000, 1001, 5000])
async def test_every_run_is_announced_in_parts_that_fit(runs: int) -> None:
    hashes = frozenset(key_hash(f"default/order-{number}") for number in range(runs))
    announced = Announcement(
        topic="sluice.status" * 10,
        offsets=dict.fromkeys(range(64), 2**62),
        hashes=hashes,
    )
    payloads = await sent(announced)
    parts = [Announcement.parse(payload) for payload in payloads]
    assert max(len(payload) for payload in payloads) <= MOST_BYTES
    assert frozenset().union(*(part.hashes for part in parts)) == hashes
    assert {(part.topic, tuple(part.offsets.items())) for part in parts} == {
        (announced.topic, tuple(announced.offsets.items()))
    }


async def test_only_those_who_follow_a_changed_run_are_woken() -> None:
    subscriptions = RunSubscriptions()
    with (
        subscriptions.subscribe("default/a") as a,
        subscriptions.subscribe("default/b") as b,
        subscriptions.subscribe_all() as every,
    ):
        hashes = {key_hash("default/a")}
        subscriptions.publish_where(lambda key: key_hash(key) in hashes)
        assert await a.wait(within=0.01)
        assert await every.wait(within=0.01)
        assert not await b.wait(within=0.01)
