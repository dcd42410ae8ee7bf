"""Runs that a quota keeps from starting: they say so, and one of them can be stopped."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sluice_contracts.ids import RunKey, workflow_name
from sluice_runtime.kubernetes.errors import NotFoundError
from tests.support.client import Client
from tests.support.engines import running_engine
from tests.support.kafka import KafkaServer, produce, unique_name
from tests.support.matrix import LOCAL
from tests.support.quota import quota_before
from tests.support.sluice import Sluice, Topic
from tests.unit.runtime.clock import pause

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


async def places(client: Client, expected: dict[str, tuple[int, str]]) -> None:
    """Wait until the gateway shows these runs at these places of the queue, held by these."""
    found: dict[str, tuple[Any, Any]] = {}
    async with asyncio.timeout(60):
        while found != expected:
            await pause(0.05)
            for run_id in expected:
                async with client.http.get(f"/v1/runs/{run_id}") as response:
                    queue = (await response.json())["queue"] or {}
                found[run_id] = (queue.get("position"), queue.get("held_by"))


async def test_a_run_that_is_stopped_in_the_queue_never_becomes_a_workflow(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    settings = {
        "SLUICE_KUBERNETES__KUBECONFIG": str(kubeconfig),
        "SLUICE_DISPATCH__QUEUE_NOTICE_AFTER": "1s",
        # This dispatcher has had its partitions for a moment only, so that it first waits for what
        # another one may have sent before.
        "SLUICE_DEDUPE__LEDGER_FRESHNESS": "2s",
        "SLUICE_DEDUPE__CREATE_TIMEOUT": "1s",
    }
    sluice = Sluice(
        kafka, tmp_path / "data", engine=running_engine(LOCAL), environment={"dispatcher": settings}
    )
    engine = f"http://127.0.0.1:{sluice.endpoints.engine_port}"
    runs = [unique_name("queued") for _ in range(3)]
    stopped = runs[1]
    async with quota_before(engine, kubeconfig) as quota:
        try:
            await asyncio.to_thread(sluice.start)
            async with sluice.client() as client, Topic(kafka, sluice.topics.status) as topic:
                for run_id in runs:
                    await client.accepted({"id": run_id, "workflow": "hello"})
                waiting = {}
                async for record in topic.records():
                    notice = json.loads(record.value)
                    assert dict(record.headers)["ce_type"] == b"sluice.request.queued"
                    waiting[notice["run_id"]] = notice["held_by"]
                    if len(waiting) == len(runs):
                        break
                assert waiting == dict.fromkeys(runs, "forbidden")
                await places(client, {run: (n, "forbidden") for n, run in enumerate(runs, 1)})

                stop = {"type": "stop", "id": stopped, "reason": "ordered twice"}
                key = f"default/{stopped}".encode()
                await produce(kafka, sluice.topics.requests, json.dumps(stop).encode(), key=key)
                async for record in topic.of(key):
                    event = json.loads(record.value)
                    if event.get("phase"):
                        break
                assert event["phase"] == "Rejected"
                assert event["problem"]["type"] == "urn:sluice:problem:cancelled"
                assert event["last_command"]["reason"] == "ordered twice"

                await places(client, {runs[0]: (1, "forbidden"), runs[2]: (2, "forbidden")})
                quota.full = False
                for run_id in (runs[0], runs[2]):
                    assert (await client.events(run_id))[-1]["phase"] == "Succeeded"
                # Sent again, it is still the run that was stopped.
                request = json.dumps({"id": stopped, "workflow": "hello"}).encode()
                await produce(kafka, sluice.topics.requests, request, key=key)
                after = unique_name("after")
                outcome = await client.outcome({"id": after, "workflow": "hello"})
                assert outcome["phase"] == "Succeeded"
            async with sluice.workflows() as workflows:
                with pytest.raises(NotFoundError):
                    await workflows.get(workflow_name(RunKey("default", stopped)))
            async with Topic(kafka, sluice.topics.results) as topic:
                async for record in topic.of(key):
                    assert json.loads(record.value) == event
                    break
            assert workflow_name(RunKey("default", stopped)) in quota.refused
        finally:
            await asyncio.to_thread(sluice.stop)
