"""A gateway whose runs end at once: stand-ins for Kafka, dispatcher and status-watcher.

`python -m tests.contract.gateway` serves it and prints its address, until it is interrupted.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from sluice_contracts.dead_letters import encode_dead_letter
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.request_codec import ReceivedRun, decode_request
from sluice_contracts.status import Phase
from sluice_gateway.services.identification import Identification
from sluice_workflows.catalogue import Catalogue
from tests.support.projections import apply
from tests.unit.gateway.harness import CATALOGUE, TOPICS, Gateway, published, running_gateway

__all__ = ["LETTER", "ending_gateway"]

LETTER = "1-0"
"""The id of the dead letter that there is."""


@asynccontextmanager
async def ending_gateway(
    folder: Path,
    *,
    catalogue: Catalogue = CATALOGUE,
    identification: Identification | None = None,
) -> AsyncIterator[Gateway]:
    """Run a gateway whose runs succeed as soon as they are accepted."""
    async with running_gateway(
        folder, catalogue=catalogue, identification=identification
    ) as gateway:
        await _bury(gateway)
        ending = asyncio.create_task(_end_runs(gateway))
        try:
            yield gateway
        finally:
            ending.cancel()


async def _bury(gateway: Gateway) -> None:
    """Be the dispatcher: a record on Kafka asked for a workflow that does not exist."""
    record = IncomingRecord(
        position=Position(TOPICS.requests, 0, 0),
        timestamp_ms=0,
        key=b"order-4713",
        value=b'{"id": "order-4713", "workflow": "helo"}',
    )
    why = problem(ProblemType.UNKNOWN_WORKFLOW, "There is no workflow 'helo' in the catalogue.")
    run = RunKey("default", "order-4713")
    written = await gateway.bury(encode_dead_letter(record, why, key=run))
    assert f"{written.position.partition}-{written.position.offset}" == LETTER


async def _end_runs(gateway: Gateway) -> None:
    """Be Kafka, the dispatcher and the status-watcher: each run succeeds at once."""
    read, written = 0, 0
    while True:
        written += 1
        await gateway.producer.written_for_test(written)
        records = gateway.producer.records_for_test(TOPICS.requests)[read:]
        await apply(gateway.store, records)
        for received in map(decode_request, records):
            if isinstance(received, ReceivedRun):
                tenant, run_id = received.key
                for sequence, phase in enumerate((Phase.RUNNING, Phase.SUCCEEDED), start=1):
                    each = published(sequence, phase, run_id=run_id, tenant=tenant)
                    event = each.event.model_copy(update={"workflow": received.request.workflow})
                    await gateway.publish(replace(each, event=event))
        read += len(records)


async def _serve() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with ending_gateway(Path(folder)) as gateway:
            sys.stdout.write(f"{gateway.client.make_url('/')}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
