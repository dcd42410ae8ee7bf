"""One id over every way in, in any order: one run, and other content is refused on each way.

The gateway, its view and the dispatcher are real; Kafka and the cluster are in memory. The
dispatcher is killed now and then, and reads the topic again from its begin.
"""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

from aiohttp import ClientResponse
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sluice_argo.metadata import FINGERPRINT
from sluice_contracts.fingerprints import fingerprint
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.records import IncomingRecord, OutgoingRecord
from sluice_contracts.request_codec import ReceivedRun, decode_request
from sluice_dispatcher.domain.verdict import Verdict
from sluice_runtime.deadlines import Deadline
from sluice_workflows.catalogue import ENTRY_POINT_GROUP, load_catalogue
from tests.support.dispatcher import Desk, FakeLedger
from tests.support.fake_workflows import FakeWorkflows
from tests.support.ways_in import WAYS, KafkaRecord, Way, asked, run_id_of
from tests.unit.gateway.harness import TOPICS, Gateway, running_gateway

EVENT = "order-4711"
KEY = RunKey("default", run_id_of(EVENT))
CATALOGUE = load_catalogue(file=None, entry_points=entry_points(group=ENTRY_POINT_GROUP))

_TIMEOUT = timedelta(seconds=10)


class Step(NamedTuple):
    """A request: by which way, who is greeted, and whether the gateway's view is up to date."""

    way: Way
    name: str
    is_up_to_date: bool


class Kill(NamedTuple):
    """The dispatcher is killed while it handles this record, after so many rounds of its loop."""

    record: int
    rounds: int


steps = st.lists(
    st.builds(Step, st.sampled_from(WAYS), st.sampled_from(["Ada", "Bob"]), st.booleans()),
    min_size=1,
    max_size=8,
)
kills = st.lists(st.builds(Kill, st.integers(0, 7), st.integers(0, 30)), max_size=3)


def for_both(ways: Sequence[Way], *, is_up_to_date: bool) -> list[Step]:
    """Ask in each way for both."""
    return [Step(way, name, is_up_to_date) for way in ways for name in ("Ada", "Bob")]


@given(steps, kills)
@example(for_both(WAYS, is_up_to_date=True), [])
@example(for_both(WAYS[::-1], is_up_to_date=False), [Kill(0, 5)])
@settings(deadline=None, max_examples=25)
def test_one_id_is_one_run(requests: list[Step], killed: list[Kill]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(ask(Path(folder), requests, killed))


async def ask(folder: Path, requests: Sequence[Step], killed: Sequence[Kill]) -> None:
    """Ask for the run in each way, and check what became of it."""
    async with running_gateway(folder, catalogue=CATALOGUE) as gateway:
        for step in requests:
            if step.is_up_to_date:
                await gateway.project_requests()
            first = (names(topic(gateway)) or [step.name])[0]
            status = await send(gateway, step)
            if status is not None and step.is_up_to_date:
                # Otherwise it cannot know yet what others have written to Kafka.
                assert status in ((200, 202) if step.name == first else (409, 422))
        records = topic(gateway)
        workflows = await dispatch(records, killed)
        await gateway.project_requests()
        # Whatever was accepted, the record that stands first is the run.
        first = names(records)[0]
        wanted = {"id": KEY.run_id, "workflow": "hello", "parameters": {"name": first}}
        preview = await gateway.client.post("/v1/runs?validate_only=true", json=wanted)
        assert (await preview.json())["id_use"] == "same-content"
    assert workflows.names_for_test() == {workflow_name(KEY)}
    created = workflows.object_for_test(workflow_name(KEY))
    expected = fingerprint("hello", {"name": first})
    assert created["metadata"]["annotations"][FINGERPRINT] == expected


def topic(gateway: Gateway) -> list[IncomingRecord]:
    """Give what stands on the request topic."""
    return gateway.producer.records_for_test(TOPICS.requests)


def names(records: Sequence[IncomingRecord]) -> list[str]:
    """Give who is greeted by each record; all are about one run."""
    received = [decode_request(record) for record in records]
    assert {each.key for each in received} <= {KEY}
    return [
        str(each.request.parameters["name"]) for each in received if isinstance(each, ReceivedRun)
    ]


async def dispatch(records: Sequence[IncomingRecord], killed: Sequence[Kill]) -> FakeWorkflows:
    """Handle all records, from the first one after each kill; check the verdicts at last."""
    workflows, ledger = FakeWorkflows(), FakeLedger()
    for kill in killed:
        desk = Desk(workflows=workflows, ledger=ledger)
        for number, record in enumerate(records):
            handling = asyncio.create_task(desk.handler.handle(record))
            if number == kill.record:
                for _ in range(kill.rounds):
                    await asyncio.sleep(0)
                handling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await handling
                break
            await handling
    desk = Desk(workflows=workflows, ledger=ledger)
    verdicts = [await desk.handler.handle(record) for record in records]
    greeted = names(records)
    for name, verdict in zip(greeted, verdicts, strict=True):
        is_run = verdict in (Verdict.CREATED, Verdict.SAME_RUN)
        assert is_run if name == greeted[0] else verdict is Verdict.REFUSED
    assert len(desk.publisher.refusals_for_test) == verdicts.count(Verdict.REFUSED)
    return workflows


async def send(gateway: Gateway, step: Step) -> int | None:
    """Ask for the run; return the status that the request got over HTTP, None on Kafka."""
    document = {"workflow": "hello", "parameters": {"name": step.name}}
    request = asked(step.way, document, event=EVENT)
    if isinstance(request, KafkaRecord):
        await write(gateway, request)
        return None
    response = await gateway.client.post(
        request.path,
        data=json.dumps(request.body).encode(),
        headers={"Content-Type": request.media_type, **request.headers},
    )
    return await only_item(response) if request.path.endswith(":batch") else response.status


async def only_item(response: ClientResponse) -> int:
    """Give the status of the one item of a batch."""
    [item] = (await response.json())["items"]
    status: int = item["status"]
    assert response.status == (200 if status in (200, 202) else 207)
    return status


async def write(gateway: Gateway, request: KafkaRecord) -> None:
    """Write a record under the run's key."""
    record = OutgoingRecord(
        key=str(KEY).encode(),
        value=json.dumps(request.value).encode(),
        headers=tuple((name, text.encode()) for name, text in request.headers.items()),
    )
    await gateway.producer.send(TOPICS.requests, record, deadline=Deadline("write", _TIMEOUT))
