"""Commands are applied once, or refused with a reason."""

import asyncio
import base64
import gzip
import json
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_argo.pod_names import pod_name
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.problems import ProblemType
from sluice_contracts.status import Phase
from sluice_dispatcher.domain.command_patch import plan_change
from sluice_dispatcher.domain.models import LedgerEntry
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.services import commands
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError, RefusedError
from tests.support.dispatcher import Desk, hello
from tests.unit.runtime.clock import now

pytestmark = pytest.mark.looptime

KEY = RunKey("default", "order-1")
NAME = workflow_name(KEY)
ENDED = "2026-01-01T00:00:00Z"
NOON_MS = 1_800_000_000_000


def node(name: str, kind: str, phase: str, *children: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "type": kind,
        "phase": phase,
        "children": list(children),
        **more,
    }


async def running(desk: Desk, **status: Any) -> None:
    await desk.handler.handle(desk.record(hello("order-1")))
    await desk.workflows.set_status_for_test(NAME, **({"phase": "Running"} | status))


async def failed(desk: Desk, *, published: bool = True, **status: Any) -> None:
    """Let the run fail; `published`: and let the status-watcher publish that."""
    await running(desk, **({"phase": "Failed", "finishedAt": ENDED} | status))
    if published:
        await publish_outcome(desk)


async def publish_outcome(desk: Desk) -> None:
    def mark(obj: dict[str, Any]) -> None:
        obj["metadata"]["annotations"][metadata.PUBLISHED] = f"1/Failed@{ENDED}"

    await desk.workflows.change_for_test(NAME, mark)


async def order(
    desk: Desk, command: str, *, offset: int | None = None, timestamp_ms: int = NOON_MS
) -> Verdict:
    record = desk.record(
        {"type": command, "id": "order-1"}, offset=offset, timestamp_ms=timestamp_ms
    )
    return await desk.handler.handle(record)


@pytest.mark.parametrize(
    ("command", "spec"),
    [
        ("stop", {"shutdown": "Stop"}),
        ("terminate", {"shutdown": "Terminate"}),
        ("suspend", {"suspend": True}),
    ],
)
async def test_commands_change_the_spec_as_argo_does(command: str, spec: dict[str, Any]) -> None:
    desk = Desk()
    await running(desk)
    assert await order(desk, command) is Verdict.APPLIED
    changed = desk.workflows.object_for_test(NAME)["spec"]
    assert spec.items() <= changed.items()
    assert desk.publisher.log_for_test == []


@pytest.mark.parametrize("compressed", [False, True])
async def test_resume_lets_waiting_steps_go_on(compressed: bool) -> None:
    desk = Desk()
    nodes = {
        "wait": node("wait", "Suspend", "Running"),
        "work": node("work", "Pod", "Running"),
    }
    if compressed:
        text = base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()
        await running(desk, compressedNodes=text)
    else:
        await running(desk, nodes=nodes)
    await order(desk, "suspend")
    assert await order(desk, "resume") is Verdict.APPLIED
    changed = desk.workflows.object_for_test(NAME)
    assert "suspend" not in changed["spec"]
    status = changed["status"]
    if compressed:
        assert "nodes" not in status
        found = json.loads(gzip.decompress(base64.b64decode(status["compressedNodes"])))
    else:
        found = status["nodes"]
    assert found["wait"]["phase"] == "Succeeded"
    assert found["wait"]["finishedAt"].endswith("Z")
    assert found["work"] == nodes["work"]


async def test_resume_of_a_run_that_argo_has_not_looked_at_yet() -> None:
    desk = Desk()
    await desk.handler.handle(desk.record(hello("order-1")))
    await order(desk, "suspend")
    assert await order(desk, "resume") is Verdict.APPLIED
    assert "suspend" not in desk.workflows.object_for_test(NAME)["spec"]


async def test_retry_reopens_what_failed_and_keeps_what_succeeded() -> None:
    desk = Desk()
    done = node("done", "Pod", "Succeeded")
    await failed(
        desk,
        message="child failed",
        conditions=[{"type": "Completed", "status": "True"}, {"type": "PodRunning"}],
        nodes={
            NAME: node(NAME, "DAG", "Failed", "done", "bad", "left", message="m", finishedAt="t"),
            "done": done,
            "bad": node("bad", "Pod", "Failed"),
            "left": node("left", "Skipped", "Omitted"),
            "exit": node(f"{NAME}.onExit", "Pod", "Succeeded"),
        },
    )

    def finish(obj: dict[str, Any]) -> None:
        obj["metadata"]["labels"] |= {
            "workflows.argoproj.io/completed": "true",
            "workflows.argoproj.io/phase": "Failed",
        }
        obj["metadata"]["finalizers"] = ["example.com/other"]
        obj["spec"]["shutdown"] = "Stop"

    await desk.workflows.change_for_test(NAME, finish)
    assert await order(desk, "retry") is Verdict.APPLIED
    changed = desk.workflows.object_for_test(NAME)
    status = changed["status"]
    assert status["phase"] == "Running"
    assert not {"finishedAt", "message"} & status.keys()
    assert status["conditions"] == [
        {"type": "PodRunning"},
        {"type": "Completed", "status": "False"},
    ]
    root = status["nodes"].pop(NAME)
    assert (root["phase"], root["children"]) == ("Running", ["done"])
    assert not {"message", "finishedAt"} & root.keys()
    assert status["nodes"] == {"done": done}
    labels = changed["metadata"]["labels"]
    assert labels["workflows.argoproj.io/phase"] == "Running"
    assert "workflows.argoproj.io/completed" not in labels
    assert changed["metadata"]["finalizers"] == ["example.com/other", metadata.FINALIZER]
    assert "shutdown" not in changed["spec"]


async def test_pods_of_the_last_attempt_are_deleted_before_the_retry() -> None:
    """Argo would take the failed pod for the one of the next attempt, and never see it end."""
    desk = Desk()
    nodes = {
        NAME: node(NAME, "DAG", "Failed", *(f"n{number}" for number in range(40))),
        **{f"n{number}": node(f"n{number}", "Pod", "Failed") for number in range(40)},
    }
    await failed(desk, nodes=nodes)
    workflow = desk.workflows.object_for_test(NAME)
    names = {pod_name(workflow, each) for each in nodes.values() if each["type"] == "Pod"}
    desk.workflows.pods_for_test |= names
    desk.workflows.fail_for_test("delete_pod", ApiUnavailableError("403", status=403))
    held = desk.workflows.hold_for_test("delete_pod", after=30)
    retrying = asyncio.create_task(order(desk, "retry"))
    await desk.workflows.wait_for_test(lambda: desk.workflows.calls_for_test("delete_pod") > 30)
    assert desk.workflows.calls_for_test("patch") == 0
    held.set()
    assert await retrying is Verdict.APPLIED
    assert set(desk.workflows.deleted_pods_for_test) == names
    assert desk.workflows.pods_for_test == set()


async def test_a_retry_comes_after_argo_has_seen_the_pods_go() -> None:
    """Its controller looks for them in a cache, which hears of a deletion some time later."""
    desk = Desk()
    await failed(desk, nodes={NAME: node(NAME, "Pod", "Failed")})
    desk.workflows.pods_for_test.add(NAME)
    retrying = asyncio.create_task(order(desk, "retry"))
    await desk.workflows.wait_for_test(lambda: not desk.workflows.pods_for_test)
    gone = now()
    assert await retrying is Verdict.APPLIED
    assert now() - gone >= 2
    assert desk.workflows.calls_for_test("patch") == 1


async def test_an_answer_that_does_not_fit_is_a_dead_letter_with_its_faults() -> None:
    desk = Desk()
    await running(desk, nodes={"wait": node("wait", "Suspend", "Running")})
    record = desk.record({"type": "resume", "id": "order-1", "values": {"size": "secret"}})
    assert await desk.handler.handle(record) is Verdict.REFUSED
    assert desk.publisher.log_for_test == ["dead letter", "refusal"]
    [notice] = desk.publisher.refusals_for_test
    assert notice.problem.type is ProblemType.INVALID_PARAMETERS
    assert [error.pointer for error in notice.problem.errors] == ["/values/size"]
    assert "secret" not in notice.model_dump_json()


async def test_a_redelivered_retry_does_not_retry_twice() -> None:
    desk = Desk()
    await failed(desk)
    assert await order(desk, "retry", offset=7) is Verdict.APPLIED
    await desk.workflows.set_status_for_test(NAME, phase="Failed", finishedAt=ENDED)
    assert await order(desk, "retry", offset=7) is Verdict.APPLIED
    assert desk.workflows.object_for_test(NAME)["status"]["phase"] == "Failed"
    assert await order(desk, "retry", offset=8) is Verdict.APPLIED
    assert desk.workflows.object_for_test(NAME)["status"]["phase"] == "Running"


async def test_commands_of_a_recreated_topic_are_new_though_their_offsets_are_lower() -> None:
    desk = Desk()
    await running(desk)
    assert await order(desk, "suspend", offset=7, timestamp_ms=NOON_MS) is Verdict.APPLIED
    later = NOON_MS + 3_600_000
    assert await order(desk, "resume", offset=0, timestamp_ms=later) is Verdict.APPLIED
    assert "suspend" not in desk.workflows.object_for_test(NAME)["spec"]
    # That command is applied once as well.
    assert await order(desk, "suspend", offset=1, timestamp_ms=later + 1) is Verdict.APPLIED
    assert await order(desk, "resume", offset=0, timestamp_ms=later) is Verdict.APPLIED
    assert desk.workflows.object_for_test(NAME)["spec"]["suspend"] is True


async def test_a_command_is_applied_once_though_clocks_of_brokers_differ() -> None:
    desk = Desk()
    await running(desk)
    ahead = NOON_MS + 60_000
    assert await order(desk, "suspend", offset=6, timestamp_ms=ahead) is Verdict.APPLIED
    assert await order(desk, "resume", offset=7, timestamp_ms=NOON_MS) is Verdict.APPLIED
    assert await order(desk, "suspend", offset=6, timestamp_ms=ahead) is Verdict.APPLIED
    assert "suspend" not in desk.workflows.object_for_test(NAME)["spec"]


@pytest.mark.parametrize(
    ("phase", "command"),
    [
        ("Succeeded", "stop"),
        ("Failed", "terminate"),
        ("Error", "suspend"),
        ("Succeeded", "resume"),
        ("Succeeded", "retry"),
        ("Running", "retry"),
    ],
)
async def test_a_command_that_does_not_apply_is_refused_and_changes_nothing(
    phase: str, command: str
) -> None:
    desk = Desk()
    await running(desk, phase=phase)
    before = desk.workflows.object_for_test(NAME)
    assert await order(desk, command) is Verdict.REFUSED
    assert desk.workflows.object_for_test(NAME) == before
    assert desk.publisher.log_for_test == ["refusal"]
    assert desk.publisher.refusals_for_test[0].problem.type is ProblemType.NOT_APPLICABLE


async def test_a_workflow_that_is_being_deleted_cannot_be_retried() -> None:
    desk = Desk()
    await failed(desk)
    await desk.workflows.delete_for_test(NAME)
    assert await order(desk, "retry") is Verdict.REFUSED


@pytest.mark.parametrize("foreign", [False, True])
async def test_a_command_to_an_unknown_run_is_a_dead_letter(foreign: bool) -> None:
    desk = Desk()
    if foreign:
        await desk.workflows.create({"metadata": {"name": NAME}, "spec": {}})
    assert await order(desk, "stop") is Verdict.REFUSED
    assert desk.publisher.log_for_test == ["dead letter", "refusal"]
    assert desk.publisher.refusals_for_test[0].problem.type is ProblemType.UNKNOWN_RUN


async def test_a_command_to_a_run_that_is_gone_is_refused_with_its_outcome() -> None:
    desk = Desk()
    desk.ledger.outcomes_for_test[KEY] = LedgerEntry(fingerprint="f", phase=Phase.SUCCEEDED)
    assert await order(desk, "stop") is Verdict.REFUSED
    [notice] = desk.publisher.refusals_for_test
    assert "Succeeded" in notice.problem.detail


async def test_a_misspelt_command_leaves_the_id_unused() -> None:
    desk = Desk()
    await running(desk)
    assert await order(desk, "stopp") is Verdict.REJECTED
    assert desk.publisher.log_for_test == ["dead letter"]


async def test_a_workflow_that_changed_before_the_patch_is_read_again() -> None:
    desk = Desk()
    await running(desk)
    held = desk.workflows.hold_for_test("patch")
    stopping = asyncio.create_task(order(desk, "stop"))
    await desk.workflows.wait_for_test(lambda: desk.workflows.calls_for_test("patch") == 1)
    await desk.workflows.set_status_for_test(NAME, progress="1/2")
    held.set()
    assert await stopping is Verdict.APPLIED
    changed = desk.workflows.object_for_test(NAME)
    assert changed["status"]["progress"] == "1/2"
    assert changed["spec"]["shutdown"] == "Stop"


async def test_a_command_is_retried_after_infrastructure_errors() -> None:
    desk = Desk()
    await running(desk)
    desk.workflows.fail_for_test("get", ApiUnavailableError("503"))
    desk.workflows.fail_for_test("patch", ApiError("odd", status=418, reason="Teapot"))
    desk.workflows.lose_answers_for_test("patch")
    assert await order(desk, "stop") is Verdict.APPLIED


async def test_a_change_that_the_cluster_refuses_is_refused_with_the_reason() -> None:
    desk = Desk()
    await running(desk)
    desk.workflows.fail_for_test("patch", RefusedError("no", status=422, reason="Invalid"))
    assert await order(desk, "stop") is Verdict.REFUSED
    assert desk.publisher.refusals_for_test[0].problem.type is ProblemType.REFUSED_BY_CLUSTER


async def test_a_retry_waits_until_the_outcome_of_the_attempt_is_published() -> None:
    desk = Desk()
    await failed(desk, published=False)
    retrying = asyncio.create_task(order(desk, "retry"))
    await desk.workflows.wait_for_test(lambda: desk.workflows.calls_for_test("get") == 5)
    assert desk.workflows.object_for_test(NAME)["status"]["phase"] == "Failed"
    await publish_outcome(desk)
    assert await retrying is Verdict.APPLIED


async def test_a_retry_waits_until_argo_s_controller_is_done_with_the_end() -> None:
    desk = Desk()
    await failed(desk)
    desk.now_for_test = datetime.fromisoformat(ENDED) + timedelta(seconds=4)
    retrying = asyncio.create_task(order(desk, "retry"))
    await desk.workflows.wait_for_test(lambda: desk.workflows.calls_for_test("get") == 5)
    assert desk.workflows.calls_for_test("patch") == 0
    desk.now_for_test += timedelta(seconds=1)
    assert await retrying is Verdict.APPLIED


async def test_a_retry_does_not_wait_for_a_clock_far_behind_the_end() -> None:
    desk = Desk()
    await failed(desk)
    desk.now_for_test = datetime.fromisoformat(ENDED) - timedelta(hours=1)
    assert await order(desk, "retry") is Verdict.APPLIED


@pytest.mark.parametrize(
    "mark",
    [
        "",
        "1/Failed@yesterday",
        "1/Failed@2025-01-01T00:00:00Z",
        f"1/Running@{ENDED}",
    ],
)
async def test_a_mark_of_another_end_does_not_count_as_published(mark: str) -> None:
    desk = Desk()
    await failed(desk, published=False)

    def change(obj: dict[str, Any]) -> None:
        obj["metadata"]["annotations"][metadata.PUBLISHED] = mark

    await desk.workflows.change_for_test(NAME, change)
    retrying = asyncio.create_task(order(desk, "retry"))
    await desk.workflows.wait_for_test(lambda: desk.workflows.calls_for_test("get") == 3)
    assert desk.workflows.calls_for_test("patch") == 0
    retrying.cancel()


@pytest.mark.parametrize(
    "status", [{"compressedNodes": "rubbish"}, {"offloadNodeStatusVersion": "fnv:1"}]
)
async def test_a_retry_of_steps_that_cannot_be_read_is_refused(status: dict[str, Any]) -> None:
    desk = Desk()
    await failed(desk, **status)
    assert await order(desk, "retry") is Verdict.REFUSED
    assert desk.publisher.refusals_for_test[0].problem.type is ProblemType.NOT_APPLICABLE


@pytest.mark.parametrize("rubbish", ["no JSON", "[1]", '{"sluice.requests/0": "x"}'])
async def test_an_overwritten_annotation_of_applied_commands_stops_nothing(rubbish: str) -> None:
    desk = Desk()
    await running(desk)

    def change(obj: dict[str, Any]) -> None:
        obj["metadata"]["annotations"][metadata.APPLIED_COMMANDS] = rubbish

    await desk.workflows.change_for_test(NAME, change)
    assert await order(desk, "stop") is Verdict.APPLIED


async def test_waiting_commands_do_not_stop_new_runs() -> None:
    desk = Desk()
    await failed(desk, published=False)
    waiting = [asyncio.create_task(order(desk, "retry")) for _ in range(100)]
    assert await desk.handler.handle(desk.record(hello("innocent"))) is Verdict.CREATED
    for task in waiting:
        task.cancel()


@pytest.mark.parametrize(("nodes", "in_a_thread"), [(20_000, True), (10, False)])
async def test_large_workflows_are_changed_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, nodes: int, in_a_thread: bool
) -> None:
    """The event loop would stand still for a second."""
    threads = []

    def noting(*arguments: Any, **more: Any) -> Any:
        threads.append(threading.current_thread())
        return plan_change(*arguments, **more)

    monkeypatch.setattr(commands, "plan_change", noting)
    desk = Desk()
    found = {f"n{number}": node(f"n{number}", "Pod", "Succeeded") for number in range(nodes)}
    text = base64.b64encode(gzip.compress(json.dumps(found).encode(), 1)).decode()
    await running(desk, compressedNodes=text)
    assert await order(desk, "resume") is Verdict.APPLIED
    assert [thread is threading.main_thread() for thread in threads] == [not in_a_thread]
