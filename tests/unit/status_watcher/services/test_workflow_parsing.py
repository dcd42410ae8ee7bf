"""A Workflow of many nodes is parsed in a thread, with the same result."""

import asyncio
import base64
import gzip
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_status_watcher.domain.workflow_state import WorkflowState, parse_workflow
from sluice_status_watcher.services import workflow_parsing
from sluice_status_watcher.services.workflow_parsing import WorkflowParser
from tests.unit.status_watcher.manifests import Json, stored
from tests.unit.status_watcher.world import moments

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def running(nodes: int, *, compressed: bool) -> Json:
    """Return a Workflow with so many nodes."""
    found = {
        f"n{number}": {"id": f"n{number}", "type": "Pod", "phase": "Running"}
        for number in range(nodes)
    }
    packed = base64.b64encode(gzip.compress(json.dumps(found).encode(), 1)).decode()
    form = {"compressedNodes": packed} if compressed else {"nodes": found}
    return stored(status={"phase": "Running", **form})


@pytest.mark.parametrize(("nodes", "in_a_thread"), [(5000, True), (3, False)])
@pytest.mark.parametrize("compressed", [True, False])
async def test_many_nodes_are_parsed_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, nodes: int, in_a_thread: bool, compressed: bool
) -> None:
    """In the event loop it would block all else for up to a second, even the Lease."""
    threads = []

    def noting(*arguments: Any, **more: Any) -> Any:
        threads.append(threading.current_thread())
        return parse_workflow(*arguments, **more)

    monkeypatch.setattr(workflow_parsing, "parse_workflow", noting)
    document = running(nodes, compressed=compressed)
    state = await WorkflowParser().parse(document, observed_at=NOW)
    assert state == parse_workflow(document, observed_at=NOW)
    assert len(state.steps) == nodes
    assert [thread is threading.main_thread() for thread in threads] == [not in_a_thread]


async def test_one_workflow_of_many_nodes_is_parsed_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of 32 MiB takes 200 MB of memory; all that end together were parsed together."""
    parsing = most = 0

    async def to_thread(parse: Callable[[], WorkflowState]) -> WorkflowState:
        nonlocal parsing, most
        parsing += 1
        most = max(most, parsing)
        # Another one that may parse begins meanwhile.
        await moments()
        parsing -= 1
        return parse()

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    parser, document = WorkflowParser(), running(5000, compressed=True)
    await asyncio.gather(*(parser.parse(document, observed_at=NOW) for _ in range(4)))
    assert most == 1
