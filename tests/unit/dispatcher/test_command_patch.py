"""A retry reopens a Workflow only once its outcome is published."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.requests import RetryCommand
from sluice_dispatcher.domain.command_patch import plan_change
from sluice_dispatcher.domain.wait_reason import MustWaitError

ENDED = "2026-01-01T00:00:00Z"
LATER = datetime(2026, 1, 1, 1, tzinfo=UTC)
RETRY = RetryCommand(id="a")
RECORD = IncomingRecord(position=Position("requests", 0, 7), timestamp_ms=0, key=None, value=None)


def failed(*, mark: str | None) -> dict[str, Any]:
    annotations = {} if mark is None else {metadata.PUBLISHED: mark}
    return {
        "metadata": {"name": "run-a", "resourceVersion": "5", "annotations": annotations},
        "spec": {},
        "status": {"phase": "Failed", "finishedAt": ENDED},
    }


@pytest.mark.parametrize(
    "mark",
    [None, f"1/Failed@{LATER.isoformat()}", f"1/Running@{ENDED}", f"1/Error@{ENDED}"],
)
def test_a_retry_waits_until_the_outcome_is_published(mark: str | None) -> None:
    with pytest.raises(MustWaitError, match="not published"):
        plan_change(failed(mark=mark), RETRY, record=RECORD, now=LATER)


def test_a_retry_after_a_published_outcome_reopens_the_workflow() -> None:
    change = plan_change(failed(mark=f"1/Failed@{ENDED}"), RETRY, record=RECORD, now=LATER)
    changed = {operation["path"]: operation.get("value") for operation in change.patch}
    assert changed["/status/phase"] == "Running"
    assert changed["/metadata/finalizers"] == [metadata.FINALIZER]
