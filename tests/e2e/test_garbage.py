"""What can never be valid: one dead letter with its reason, and what is behind it flows on."""

import json

import pytest

from tests.support.kafka import produce, read_all, unique_name
from tests.support.sluice import Sluice, Topic

pytestmark = pytest.mark.e2e

PROBLEM = "urn:sluice:problem:"
GARBAGE: dict[str, tuple[bytes | None, str, bool]] = {
    "not JSON": (b"hello", "malformed-json", False),
    "a JSON array": (b"[1, 2]", "invalid-request", False),
    "unknown workflow": (b'{"id": "ID", "workflow": "nope"}', "unknown-workflow", True),
    "wrong type": (
        b'{"id": "ID", "workflow": "map-reduce", "parameters": {"workers": "3", "text": ""}}',
        "invalid-parameters",
        True,
    ),
    "2 MB": (b'{"id": "ID", "workflow": "' + b"x" * 2_000_000 + b'"}', "too-large", False),
    "800,000 lists": (
        b'{"id": "ID", "workflow": "hello", "parameters": {"a": [' + b"[]," * 530_000 + b"0]}}",
        "too-large",
        False,
    ),
    "null value": (None, "empty-record", False),
    "unknown field": (b'{"id": "ID", "workflow": "hello", "x": 1}', "invalid-request", True),
    "duplicate key": (
        b'{"id": "ID", "workflow": "hello", "workflow": "diamond"}',
        "malformed-json",
        True,
    ),
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_is_buried_and_does_not_stop_what_is_behind(
    sluice: Sluice, what: str
) -> None:
    template, reason, has_id = GARBAGE[what]
    run_id, behind = unique_name("garbage"), unique_name("behind")
    value = None if template is None else template.replace(b"ID", run_id.encode())
    mark = unique_name("mark").encode()
    # One partition, so that "behind" is behind.
    await produce(
        sluice.kafka, sluice.topics.requests, value, key=mark, headers=[("a", b"b")], partition=0
    )
    document = json.dumps({"id": behind, "workflow": "moment"}).encode()
    await produce(sluice.kafka, sluice.topics.requests, document, partition=0)
    async with Topic(sluice.kafka, sluice.topics.results) as topic:
        async for record in topic.of(f"default/{behind}".encode()):
            assert json.loads(record.value)["phase"] == "Succeeded"
            break
    async with Topic(sluice.kafka, sluice.topics.dlq) as topic:
        async for letter in topic.of(mark):
            headers = dict(letter.headers)
            assert letter.value == value
            assert headers["a"] == b"b"
            assert headers["sluice_reason"].decode() == PROBLEM + reason
            assert headers["sluice_partition"] == b"0"
            break
    if has_id:
        async with Topic(sluice.kafka, sluice.topics.results) as topic:
            async for record in topic.of(f"default/{run_id}".encode()):
                assert json.loads(record.value)["phase"] == "Rejected"
                break
    letters = [r for r in await read_all(sluice.kafka, sluice.topics.dlq) if r.key == mark]
    assert len(letters) == 1
    about = [
        json.loads(record.value)
        for record in await read_all(sluice.kafka, sluice.topics.status)
        if record.key == f"default/{run_id}".encode()
    ]
    assert [event["phase"] for event in about] == (["Rejected"] if has_id else [])
    if has_id:
        assert about[0]["problem"]["type"] == PROBLEM + reason
        async with sluice.client() as client:
            assert (await client.events(run_id))[-1]["phase"] == "Rejected"
