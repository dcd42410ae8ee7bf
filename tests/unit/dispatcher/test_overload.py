"""The worst records cost a bounded amount, and waiting records do not stop the others."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition

from sluice_argo import metadata
from sluice_contracts import request_codec
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.records import IncomingRecord
from sluice_contracts.requests import CommandType
from sluice_dispatcher.adapters.in_flight_records import InFlightRecords
from sluice_dispatcher.app import ACTIVE_LIMIT
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.handlers import records as record_handler
from sluice_dispatcher.services.bounded_calls import BoundedCalls
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError
from sluice_runtime.kubernetes.errors import ApiUnavailableError
from tests.support.dispatcher import Desk, hello
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.looptime

PARTITION = TopicPartition("sluice.requests", 0)
ENDED = "2026-01-01T00:00:00Z"


def in_flight_records(desk: Desk) -> InFlightRecords:
    return InFlightRecords(desk.handler.handle, budget=desk.budget, most_uncommitted=5000)


def workflow_of(run_id: str) -> str:
    return workflow_name(RunKey("default", run_id))


async def until(condition: Any) -> None:
    """Let virtual time pass until it holds."""
    async with asyncio.timeout(600):
        while not condition():
            await pause(0.1)


async def failed_and_not_published(desk: Desk, run_id: str) -> None:
    await desk.handler.handle(desk.record(hello(run_id)))
    await desk.workflows.set_status_for_test(workflow_of(run_id), phase="Failed", finishedAt=ENDED)


async def publish_end(desk: Desk, run_id: str) -> None:
    def mark(obj: dict[str, Any]) -> None:
        obj["metadata"]["annotations"][metadata.PUBLISHED] = f"1/Failed@{ENDED}"

    await desk.workflows.change_for_test(workflow_of(run_id), mark)


def command(desk: Desk, kind: CommandType, run_id: str) -> IncomingRecord:
    return desk.record({"type": kind, "id": run_id})


@pytest.mark.parametrize("same_run", [True, False], ids=["one run", "many runs"])
async def test_retries_that_wait_for_the_status_watcher_do_not_stop_new_runs(
    same_run: bool,
) -> None:
    desk = Desk()
    runs = ["order-0"] if same_run else [f"order-{number}" for number in range(300)]
    for run_id in runs:
        await failed_and_not_published(desk, run_id)
    records = in_flight_records(desk)
    for number in range(300):
        records.start(command(desk, "retry", runs[number % len(runs)]))
    assert desk.budget.full
    await until(lambda: not desk.budget.full)
    records.start(desk.record(hello("new")))
    await until(lambda: workflow_of("new") in desk.workflows.names_for_test())
    await until(lambda: desk.budget.waiting[WaitReason.STATUS_WATCHER] >= 1)
    assert desk.budget.blocked_by() is None

    for run_id in runs:
        await publish_end(desk, run_id)
    await until(lambda: records.count == 0)
    assert records.committable()[PARTITION] >= 300
    assert not any(desk.budget.waiting.values())


async def test_a_retry_that_waits_long_counts_as_waiting_at_once() -> None:
    desk = Desk()
    await failed_and_not_published(desk, "order-1")
    await publish_end(desk, "order-1")
    desk.now_for_test = datetime.fromisoformat(ENDED)
    records = in_flight_records(desk)
    records.start(command(desk, "retry", "order-1"))
    await until(lambda: desk.budget.waiting[WaitReason.ARGO] == 1)
    assert desk.workflows.calls_for_test("get") == 1
    desk.now_for_test += timedelta(seconds=5)
    await until(lambda: records.count == 0)


async def test_workflows_that_a_quota_forbids_do_not_stop_others() -> None:
    desk = Desk()
    forbidden = {workflow_of(f"order-{number}") for number in range(300)}

    async def refuse(name: str) -> None:
        if name in forbidden:
            raise ApiUnavailableError("CREATE: 403 Forbidden: exceeded quota", status=403)

    desk.before_create(refuse)
    records = in_flight_records(desk)
    for number in range(300):
        records.start(desk.record(hello(f"order-{number}")))
    await until(lambda: not desk.budget.full)
    records.start(desk.record(hello("new")))
    await until(lambda: workflow_of("new") in desk.workflows.names_for_test())
    await until(lambda: desk.budget.waiting[WaitReason.FORBIDDEN] == 300)
    assert desk.budget.active == 0

    forbidden.clear()
    await until(lambda: records.count == 0)
    assert len(desk.workflows.names_for_test()) == 301


async def test_commands_have_calls_of_their_own() -> None:
    """An API server that answers no patch delays commands, and no new run."""
    desk = Desk()
    for number in range(40):
        await desk.handler.handle(desk.record(hello(f"order-{number}")))
    answers = asyncio.Event()
    patch = desk.workflows.patch

    async def slow(name: str, operations: Any) -> dict[str, Any]:
        await answers.wait()
        return await patch(name, operations)

    desk.workflows.patch = slow  # type: ignore[method-assign]
    records = in_flight_records(desk)
    for number in range(40):
        records.start(command(desk, "stop", f"order-{number}"))
    records.start(desk.record(hello("new")))
    await until(lambda: workflow_of("new") in desk.workflows.names_for_test())
    assert desk.budget.waiting[WaitReason.COMMANDS] == 36
    answers.set()
    await until(lambda: records.count == 0)


async def test_a_topic_that_takes_smaller_records_than_before_keeps_one_record_waiting() -> None:
    desk = Desk()
    refuses = True
    dead_letter = desk.publisher.publish_dead_letter

    async def refusing(*args: Any, **more: Any) -> None:
        if refuses:
            raise RecordRefusedError("MessageSizeTooLarge")
        await dead_letter(*args, **more)

    desk.publisher.publish_dead_letter = refusing  # type: ignore[method-assign]
    records = in_flight_records(desk)
    records.start(desk.record(b"no JSON"))
    records.start(desk.record(hello("order-1")))
    await until(lambda: desk.budget.waiting[WaitReason.TOPIC] == 1)
    assert workflow_of("order-1") in desk.workflows.names_for_test()
    refuses = False
    await until(lambda: records.count == 0)
    assert len(desk.publisher.dead_letters_for_test) == 1


async def test_keys_and_headers_count_among_the_bytes() -> None:
    desk = Desk()
    records = in_flight_records(desk)
    room = ACTIVE_LIMIT.size
    headers = tuple(("", b"") for _ in range(1000))
    for started in range(1000):
        if desk.budget.full:
            break
        records.start(desk.record(hello(f"order-{started}"), key=b"k" * 1_000_000, headers=headers))
    assert started == room // (1_000_000 + 150_000) + 1
    await records.close(grace=60)


def nested(size: int) -> bytes:
    lists = b"[" + b",".join([b"[" * 20 + b"]" * 20] * (size // 41)) + b"]"
    return b'{"workflow":"hello","parameters":{"name":' + lists + b"}}"


def largest(desk: Desk, number: int) -> IncomingRecord:
    """Make a record of the most values that are decoded; refused later, by its parameter."""
    values = b"[" + b"{}," * 9_980 + b"0]"
    document = b'{"id":"%d","workflow":"hello","parameters":{"name":%s}}' % (number, values)
    return desk.record(document)


async def test_records_are_decoded_only_while_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    decoded = 0

    def counting(record: IncomingRecord, **given: Any) -> Any:
        nonlocal decoded
        decoded += 1
        return request_codec.decode_request(record, **given)

    monkeypatch.setattr(record_handler, "decode_request", counting)
    answers = asyncio.Event()
    find = desk.ledger.get

    async def slow(key: RunKey) -> Any:
        await answers.wait()
        return await find(key)

    desk.ledger.get = slow  # type: ignore[method-assign]
    records = in_flight_records(desk)
    for number in range(60):
        records.start(largest(desk, number))
    one = request_codec.decoded_bytes(largest(desk, 0).value)
    room = ACTIVE_LIMIT.size
    await until(lambda: decoded == room // one)
    await until(lambda: desk.budget.active == 60)
    assert decoded == room // one < 60
    answers.set()
    await until(lambda: records.count == 0)
    assert decoded == 60


async def test_other_tasks_run_between_decoding_two_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk, rounds, seen = Desk(), 0, []

    def noting(record: IncomingRecord, **given: Any) -> Any:
        seen.append(rounds)
        return request_codec.decode_request(record, **given)

    monkeypatch.setattr(record_handler, "decode_request", noting)

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    records = in_flight_records(desk)
    for _ in range(20):
        records.start(desk.record(nested(1_590_000)))
    await asyncio.wait({each for each in asyncio.all_tasks() if "record" in each.get_name()})
    counting.cancel()
    assert len(seen) == len(set(seen)) == 20


async def test_a_failure_of_a_records_task_is_not_silent() -> None:
    desk = Desk()

    async def broken(_: IncomingRecord) -> None:
        raise ZeroDivisionError

    records = InFlightRecords(broken, budget=desk.budget, most_uncommitted=5000)
    records.start(desk.record(hello("order-1")))
    await until(lambda: records.count == 0)
    with pytest.raises(ZeroDivisionError):
        records.check()
    assert records.committable() == {}


async def test_a_task_that_is_cancelled_from_within_is_not_silent() -> None:
    """By a future of a library, for instance: the offset would stay uncommitted unnoticed."""
    desk = Desk()

    async def cancelled(_: IncomingRecord) -> None:
        raise asyncio.CancelledError

    records = InFlightRecords(cancelled, budget=desk.budget, most_uncommitted=5000)
    records.start(desk.record(hello("order-1")))
    await until(lambda: records.count == 0)
    with pytest.raises(RuntimeError, match="cancelled from within"):
        records.check()


async def test_a_bug_in_decoding_keeps_its_record_and_lets_others_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk, broken = Desk(), True

    def decode(record: IncomingRecord, **given: Any) -> Any:
        if broken and record.position.offset == 0:
            raise ZeroDivisionError
        return request_codec.decode_request(record, **given)

    monkeypatch.setattr(record_handler, "decode_request", decode)
    records = in_flight_records(desk)
    records.start(desk.record(hello("order-1")))
    records.start(desk.record(hello("order-2")))
    await until(lambda: workflow_of("order-2") in desk.workflows.names_for_test())
    await until(lambda: desk.budget.waiting[WaitReason.BUG] == 1)
    broken = False
    await until(lambda: records.count == 0)
    assert workflow_of("order-1") in desk.workflows.names_for_test()


async def test_waiting_records_are_abandoned_at_once_when_their_partition_is_revoked() -> None:
    desk = Desk()
    await failed_and_not_published(desk, "order-1")
    records = in_flight_records(desk)
    records.start(command(desk, "retry", "order-1"))
    await until(lambda: desk.budget.waiting[WaitReason.STATUS_WATCHER] == 1)
    began = asyncio.get_running_loop().time()
    await records.close(grace=30)
    assert asyncio.get_running_loop().time() == began
    assert records.committable() == {}
    assert desk.budget.active == sum(desk.budget.waiting.values()) == 0


async def test_a_partition_is_stuck_behind_a_record_that_cannot_be_committed() -> None:
    desk = Desk()
    records = InFlightRecords(desk.handler.handle, budget=desk.budget, most_uncommitted=3)
    await failed_and_not_published(desk, "order-1")
    stuck = command(desk, "retry", "order-1")
    records.start(stuck)
    for number in range(2):
        assert records.stuck == {}
        records.start(desk.record(hello(f"new-{number}")))
    await until(lambda: records.count == 1)
    assert records.stuck == {PARTITION: stuck.position.offset}
    await publish_end(desk, "order-1")
    await until(lambda: records.count == 0)
    assert records.stuck == {}


async def test_unanswered_attempts_do_not_take_the_slots_of_new_runs() -> None:
    """Forty creates fail four times, and then hang until their timeout."""
    desk = Desk()
    stuck = {workflow_of(f"order-{number}") for number in range(40)}
    tries: Counter[str] = Counter()
    answers = asyncio.Event()

    async def fail_and_hang(name: str) -> None:
        tries[name] += 1
        if name in stuck and tries[name] <= 4:
            raise ApiUnavailableError("CREATE: 503", status=503)
        if name in stuck:
            await answers.wait()

    desk.before_create(fail_and_hang)
    records = in_flight_records(desk)
    for number in range(40):
        records.start(desk.record(hello(f"order-{number}")))
    began = asyncio.get_running_loop().time()
    await until(lambda: asyncio.get_running_loop().time() - began > 300)
    assert sum(count == 5 for count in tries.values()) == 4
    records.start(desk.record(hello("new")))
    await until(lambda: workflow_of("new") in desk.workflows.names_for_test())
    answers.set()
    await until(lambda: records.count == 0)


async def test_a_record_that_has_waited_counts_as_active_once_it_proceeds() -> None:
    desk = Desk()
    calls = BoundedCalls(Backoff(), limit=4, budget=desk.budget, on_retry=lambda _: None)
    failures, waited, done = iter(range(6)), [], asyncio.Event()

    async def step() -> None:
        waited.append(desk.budget.waiting[WaitReason.KAFKA])
        if next(failures, None) is not None:
            raise KafkaUnavailableError("no broker")

    async def work() -> None:
        await calls.run(step, name="publish")
        done.set()
        await asyncio.Event().wait()

    task: asyncio.Task[object] = asyncio.create_task(work())
    desk.budget.admit(task, size=1)
    await done.wait()
    assert waited == [0, 0, 0, 0, 1, 1, 1]
    assert desk.budget.active == 1
    assert not any(desk.budget.waiting.values())
    task.cancel()
