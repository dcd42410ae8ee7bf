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

from sluice_contracts.request_codec import ReceivedRun, decode_request
from sluice_contracts.status import Phase
from sluice_gateway.services.identification import Identification
from sluice_workflows.catalogue import Catalogue
from tests.support.projections import apply
from tests.unit.gateway.harness import CATALOGUE, TOPICS, Gateway, published, running_gateway

__all__ = ["ending_gateway"]


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
        ending = asyncio.create_task(_end_runs(gateway))
        try:
            yield gateway
        finally:
            ending.cancel()


async def _end_runs(gateway: Gateway) -> None:
    """Be Kafka, the dispatcher and the status-watcher: each run succeeds at once."""
    read = 0
    while True:
        await gateway.producer.written_for_test(read + 1)
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
