"""The client against a real gateway, in one process, with a Kafka in memory."""

import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sluice_client import Phase, ProblemType, Sluice
from sluice_contracts.dead_letters import encode_dead_letter
from sluice_contracts.problems import problem
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.request_codec import ReceivedCommand, decode_request
from sluice_contracts.requests import Command
from sluice_contracts.steps import Step
from sluice_gateway.services.step_logs import StepLogs
from tests.behaviour.client_port import ClientPortSuite, Stage
from tests.support.fake_log_relay import KeptLogs
from tests.unit.gateway.harness import SETS, TOPICS, published, running_gateway
from tests.unit.gateway.test_controls import FakeControls


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    sequences = itertools.count(1)
    relay = KeptLogs()
    async with running_gateway(
        tmp_path, controls=FakeControls().service(), step_logs=StepLogs(relay)
    ) as gateway:

        async def publish(
            run_id: str, phase: Phase, *, tenant: str = "default", **changes: Any
        ) -> None:
            event = published(next(sequences), phase, run_id=run_id, tenant=tenant, **changes)
            await gateway.publish(event)

        def commands() -> Sequence[Command]:
            records = [
                record
                for topic in SETS.requests
                for record in gateway.producer.records_for_test(topic)
            ]
            received = map(decode_request, records)
            return [each.command for each in received if isinstance(each, ReceivedCommand)]

        async def reject(value: str, kind: ProblemType) -> str:
            received = IncomingRecord(
                position=Position(TOPICS.requests, 0, next(sequences)),
                timestamp_ms=0,
                key=None,
                value=value.encode(),
            )
            letter = encode_dead_letter(received, problem(kind, "Said of it."), key=None)
            position = (await gateway.bury(letter)).position
            return f"{position.partition}-{position.offset}"

        async def write_log(run_id: str, step: str, *lines: str) -> None:
            relay.lines += lines
            node = Step(id=f"{step}-1", name=step, type="Pod", phase="Running")
            await publish(run_id, Phase.RUNNING, steps=(node,), namespace="argo", uid="u")

        async with Sluice(str(gateway.client.make_url("/"))) as sluice:
            yield Stage(
                sluice=sluice,
                publish=publish,
                reject=reject,
                write_log=write_log,
                commands=commands,
            )


class TestSluice(ClientPortSuite):
    pass
