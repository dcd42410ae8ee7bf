"""A retry reopens only what everybody knows to have ended."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_contracts.records import IncomingRecord, Position
from sluice_dispatcher.domain.command_patch import NotYetToldError, change

ENDED = "2026-01-01T00:00:00Z"
LATER = datetime(2026, 1, 1, 1, tzinfo=UTC)
RECORD = IncomingRecord(position=Position("requests", 0, 7), timestamp_ms=0, key=None, value=None)


def failed(*, mark: str | None) -> dict[str, Any]:
    annotations = {} if mark is None else {metadata.PUBLISHED: mark}
    return {
        "metadata": {"name": "run-a", "resourceVersion": "5", "annotations": annotations},
        "spec": {},
        "status": {"phase": "Failed", "finishedAt": ENDED},
    }


@pytest.mark.parametrize("mark", [None, f"1/Failed@{LATER.isoformat()}", f"1/Running@{ENDED}"])
def test_an_end_without_its_mark_is_waited_for(mark: str | None) -> None:
    with pytest.raises(NotYetToldError, match="not published"):
        change(failed(mark=mark), "retry", record=RECORD, now=LATER)


def test_an_end_with_its_mark_is_reopened() -> None:
    patch = change(failed(mark=f"1/Failed@{ENDED}"), "retry", record=RECORD, now=LATER)
    changed = {operation["path"]: operation.get("value") for operation in patch}
    assert changed["/status/phase"] == "Running"
    assert changed["/metadata/finalizers"] == [metadata.FINALIZER]
