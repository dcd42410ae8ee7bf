"""A Workflow of many nodes is parsed in a thread, with the same result."""

import base64
import gzip
import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_status_watcher.domain.workflow_state import parse_workflow
from sluice_status_watcher.services import workflow_parsing
from sluice_status_watcher.services.workflow_parsing import parse_workflow_aside
from tests.unit.status_watcher.manifests import manifest

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


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
    found = {
        f"n{number}": {"id": f"n{number}", "type": "Pod", "phase": "Running"}
        for number in range(nodes)
    }
    document = manifest("order-1")
    packed = base64.b64encode(gzip.compress(json.dumps(found).encode(), 1)).decode()
    document["status"] = {
        "phase": "Running",
        **({"compressedNodes": packed} if compressed else {"nodes": found}),
    }
    document["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    state = await parse_workflow_aside(document, observed_at=NOW)
    assert state == parse_workflow(document, observed_at=NOW)
    assert len(state.steps) == nodes
    assert [thread is threading.main_thread() for thread in threads] == [not in_a_thread]
