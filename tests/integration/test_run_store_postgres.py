"""The store of runs in PostgreSQL gives the same answers as the one in SQLite."""

import pytest

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.domain.run_query import RunFilter, StreamPlace
from tests.support.postgres_runs import postgres_runs
from tests.unit.gateway.harness import TOPICS, published, status_record, step
from tests.unit.gateway.test_projection import request_record

pytestmark = pytest.mark.integration
KEY = RunKey("default", "order-1")


async def test_smoke(database: str) -> None:
    async with postgres_runs(database, topics=TOPICS) as runs:
        await runs.apply([request_record(0)])
        print(await runs.view.find(KEY))
        await runs.apply(
            [
                status_record(published(1, steps=(step("a"),)), offset=0),
                status_record(
                    published(
                        2, Phase.SUCCEEDED, steps=(step("a"), step("b")), outputs={"a": "\0"}
                    ),
                    offset=1,
                ),
            ]
        )
        print(await runs.view.find(KEY))
        print(await runs.view.events(KEY, beyond=-1, after=None, limit=10))
        print(await runs.view.contents(KEY, 0, max_bytes=10))
        print(
            await runs.view.list(
                RunFilter(phases=frozenset([Phase.SUCCEEDED, Phase.FAILED]), text="der"),
                before=None,
                limit=10,
            )
        )
        print(await runs.view.count(RunFilter()))
        print(await runs.view.stream_end())
        print(
            await runs.view.all_events(RunFilter(), after=StreamPlace(), limit=10, max_bytes=10000)
        )
