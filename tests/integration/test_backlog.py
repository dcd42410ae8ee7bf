"""A backlog on Kafka delays others by the bound only, and nothing is lost or doubled by kills.

`python -m bench.fair_kafka` does the same with 100,000 requests.
"""

import secrets
from pathlib import Path

import pytest

from tests.support.backlog import BOUND, Backlog
from tests.support.kafka import KafkaServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


async def test_others_start_within_the_bound_and_kills_lose_and_double_nothing(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    seed = secrets.randbelow(2**32)
    print("seed", seed)
    live = 20
    found = await Backlog(
        kafka, tmp_path, requests=3000, live=live, run_seconds=0.1, kills=2, seed=seed
    ).run()
    print(f"{found.seconds:.0f} s, starts before: {found.waits}, {found.overtaken} overtaken")
    assert (found.lost, found.doubled) == (set(), [])
    assert (found.uncommitted, found.outcomes) == (0, 0)
    assert all(starts <= BOUND + live for starts in found.waits.values()), found.waits
