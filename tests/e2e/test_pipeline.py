"""A request becomes a run, and its outcome comes back."""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from tests.support.counting import BOOK, map_reduce, words
from tests.support.kafka import produce, read_all, unique_name
from tests.support.sluice import Sluice, Topic

pytestmark = pytest.mark.e2e


async def test_a_book_by_http_is_counted_exactly(sluice: Sluice) -> None:
    text = BOOK
    assert len(text.encode()) >= 100_000
    run_id = unique_name("book")
    async with sluice.client() as client:
        await client.accepted(map_reduce(text, id=run_id))
        events = await client.events(run_id)
        async with client.http.get(f"/v1/runs/{run_id}") as response:
            state = await response.json()
    outcome = events[-1]
    assert outcome["phase"] == state["phase"] == "Succeeded"
    assert json.loads(outcome["outputs"]["counts"]) == words(text)
    assert int(outcome["outputs"]["total"]) == sum(words(text).values())
    assert len([step for step in outcome["steps"] if step["template"] == "count"]) >= 8
    phases = [event["phase"] for event in events]
    assert [phase for phase, _ in itertools.groupby(phases)] == [
        "Submitted",
        "Running",
        "Succeeded",
    ]
    key = f"default/{run_id}".encode()
    records = [r for r in await read_all(sluice.kafka, sluice.topics.status) if r.key == key]
    assert [json.loads(record.value)["phase"] for record in records] == phases
    sequences = [json.loads(record.value)["sequence"] for record in records]
    assert sequences == sorted(set(sequences))
    assert await outcome_on_kafka(sluice, run_id) == outcome
    results = [r for r in await read_all(sluice.kafka, sluice.topics.results) if r.key == key]
    assert len(results) == 1


async def test_one_line_of_kcat_is_a_run(sluice: Sluice) -> None:
    kcat = shutil.which("kcat")
    if kcat is None:
        assert "CI" not in os.environ, "CI must have kcat"
        pytest.skip("kcat is not installed (Debian: apt install kcat)")
    text = BOOK
    run_id = unique_name("kcat")
    document = json.dumps(map_reduce(text, id=run_id, workers=2), ensure_ascii=False)
    command = [kcat, "-P", "-b", sluice.kafka.bootstrap_servers, "-t", sluice.topics.requests]
    await asyncio.to_thread(
        subprocess.run, command, input=f"{document}\n".encode(), check=True, timeout=60
    )
    outcome = await outcome_on_kafka(sluice, run_id)
    assert outcome["phase"] == "Succeeded"
    assert json.loads(outcome["outputs"]["counts"]) == words(text)


async def outcome_on_kafka(sluice: Sluice, run_id: str) -> dict[str, Any]:
    async with Topic(sluice.kafka, sluice.topics.results) as topic:
        async for record in topic.of(f"default/{run_id}".encode()):
            outcome: dict[str, Any] = json.loads(record.value)
            return outcome
    raise AssertionError("a topic never ends")


async def test_a_bare_record_runs_without_id_or_key(sluice: Sluice) -> None:
    name = unique_name("Ada")
    await produce(
        sluice.kafka,
        sluice.topics.requests,
        json.dumps({"workflow": "hello", "parameters": {"name": name}}).encode(),
    )
    async with Topic(sluice.kafka, sluice.topics.results) as topic:
        async for record in topic.records():
            outputs = json.loads(record.value)["outputs"]
            if outputs.get("greeting") == f"Hello, {name}!":
                return


@pytest.mark.parametrize(
    ("workflow", "parameters", "outputs"),
    [
        ("hello", {}, {"greeting": "Hello, World!"}),
        ("artifact-passing", {"message": "over\n"}, {"message": "over\n"}),
        ("diamond", {"number": 3}, {"result": "15"}),
    ],
)
async def test_built_in_workflows_run(
    sluice: Sluice, workflow: str, parameters: dict[str, Any], outputs: dict[str, str]
) -> None:
    async with sluice.client() as client:
        outcome = await client.outcome({"workflow": workflow, "parameters": parameters})
    assert outcome["phase"] == "Succeeded", outcome
    assert outcome["outputs"] == outputs


async def test_approval_waits_for_somebody(sluice: Sluice) -> None:
    run_id = unique_name("approval")
    async with sluice.client() as client, Topic(sluice.kafka, sluice.topics.status) as topic:
        await client.accepted({"id": run_id, "workflow": "approval"})
        seen = []
        async for record in topic.of(f"default/{run_id}".encode()):
            seen.append(json.loads(record.value)["phase"])
            if seen[-1] == "Suspended":
                resume = json.dumps({"type": "resume", "id": run_id}).encode()
                await produce(sluice.kafka, sluice.topics.requests, resume)
            if seen[-1] == "Succeeded":
                break
    assert seen.index("Suspended") < seen.index("Succeeded")


async def test_an_approval_is_answered_with_values(sluice: Sluice) -> None:
    run_id = unique_name("answered")
    key = f"default/{run_id}".encode()
    comment = 'fits the budget; see "plan" \\ 1'
    async with sluice.client() as client, Topic(sluice.kafka, sluice.topics.status) as topic:
        await client.accepted(
            {"id": run_id, "workflow": "approval", "parameters": {"reason": "a new printer"}}
        )
        async for record in topic.of(key):
            event = json.loads(record.value)
            if event["phase"] == "Suspended":
                break
        [waiting] = event["waiting_for"]
        assert waiting["name"] == "approve"
        assert waiting["answer"]["properties"]["decision"]["enum"] == ["approve", "refuse"]
        wrong = {"type": "resume", "id": run_id, "values": {"decision": "perhaps"}}
        await produce(sluice.kafka, sluice.topics.requests, json.dumps(wrong).encode(), key=key)
        async for record in topic.of(key):
            if dict(record.headers)["ce_type"] == b"sluice.request.refused":
                break
        [error] = json.loads(record.value)["problem"]["errors"]
        assert error["pointer"] == "/values/decision"
        answer = {
            "type": "resume",
            "id": run_id,
            "step": waiting["step"],
            "values": {"decision": "refuse", "comment": comment},
            "reason": "asked by mail",
        }
        await produce(sluice.kafka, sluice.topics.requests, json.dumps(answer).encode(), key=key)
        outcome = (await client.events(run_id))[-1]
    assert outcome["phase"] == "Succeeded", outcome
    assert outcome["outputs"] == {
        "message": "Refused: a new printer",
        "decision": "refuse",
        "comment": comment,
    }
    assert outcome["last_command"]["type"] == "resume"
    assert outcome["last_command"]["reason"] == "asked by mail"


async def test_a_run_is_retried_from_a_step(sluice: Sluice) -> None:
    run_id = unique_name("again")
    key = f"default/{run_id}".encode()
    async with sluice.client() as client, Topic(sluice.kafka, sluice.topics.results) as topic:
        first = await client.outcome(
            {"id": run_id, "workflow": "diamond", "parameters": {"number": 3}}
        )
        assert first["outputs"] == {"result": "15"}, first
        # The pods of the first attempt are still there, on an engine that has pods.
        retry = {"type": "retry", "id": run_id, "step": "c"}
        await produce(sluice.kafka, sluice.topics.requests, json.dumps(retry).encode(), key=key)
        async for record in topic.of(key):
            second = json.loads(record.value)
            if second["attempt"] == 2:
                break
    assert (second["phase"], second["outputs"]) == ("Succeeded", first["outputs"])
    began = {step["name"]: step["started_at"] for step in first["steps"]}
    again = {step["name"] for step in second["steps"] if step["started_at"] != began[step["name"]]}
    assert again == {"c", "d"}


async def test_a_step_that_failed_runs_again_in_a_new_pod(sluice: Sluice) -> None:
    """The pod of the first attempt is kept, and the new one has its name."""
    run_id = unique_name("failed")
    key = f"default/{run_id}".encode()
    async with sluice.client() as client, Topic(sluice.kafka, sluice.topics.results) as topic:
        first = await client.outcome({"id": run_id, "workflow": "failure"})
        assert first["phase"] == "Failed", first
        retry = json.dumps({"type": "retry", "id": run_id}).encode()
        await produce(sluice.kafka, sluice.topics.requests, retry, key=key)
        async for record in topic.of(key):
            second = json.loads(record.value)
            if second["attempt"] == 2:
                break
    [before], [after] = first["steps"], second["steps"]
    assert (second["phase"], after["message"]) == ("Failed", before["message"])
    assert after["started_at"] > before["finished_at"]


@pytest.mark.parametrize("command", ["stop", "terminate"])
async def test_a_run_can_be_stopped_and_retried(sluice: Sluice, command: str) -> None:
    run_id = unique_name(command)
    key = f"default/{run_id}".encode()

    orders = {
        (1, "Suspended"): command,
        (1, "Failed"): "retry",
        (2, "Suspended"): "resume",
    }
    ends = {(2, "Succeeded"), (2, "Failed"), (1, "Error"), (1, "Deleted")}
    history: list[tuple[int, str]] = []
    async with sluice.client() as client, Topic(sluice.kafka, sluice.topics.status) as topic:
        await client.accepted({"id": run_id, "workflow": "approval"})
        async for record in topic.of(key):
            event = json.loads(record.value)
            history.append((event["attempt"], event["phase"]))
            # A command is an event too: the run is Suspended until Argo has seen it.
            if order := orders.pop(history[-1], None):
                document = json.dumps({"type": order, "id": run_id}).encode()
                await produce(sluice.kafka, sluice.topics.requests, document, key=key)
            if history[-1] in ends:
                break
    assert history[-1] == (2, "Succeeded"), history
    outcomes = []
    async with Topic(sluice.kafka, sluice.topics.results) as topic:
        async for record in topic.of(key):
            outcome = json.loads(record.value)
            outcomes.append((outcome["attempt"], outcome["phase"]))
            if outcome["attempt"] == 2:
                break
    assert outcomes == [(1, "Failed"), (2, "Succeeded")]


@pytest.mark.parametrize(("command", "said"), [("stop", ["goodbye"]), ("terminate", [])])
async def test_a_stopped_run_may_say_goodbye(sluice: Sluice, command: str, said: list[str]) -> None:
    run_id = unique_name(command)
    async with sluice.client() as client, Topic(sluice.kafka, sluice.topics.status) as topic:
        await client.accepted({"id": run_id, "workflow": "farewell"})
        async for record in topic.of(f"default/{run_id}".encode()):
            if json.loads(record.value)["phase"] == "Suspended":
                break
        document = json.dumps({"type": command, "id": run_id}).encode()
        await produce(sluice.kafka, sluice.topics.requests, document)
        outcome = (await client.events(run_id))[-1]
    assert outcome["phase"] == "Failed"
    succeeded = [step["template"] for step in outcome["steps"] if step["phase"] == "Succeeded"]
    assert succeeded == said
