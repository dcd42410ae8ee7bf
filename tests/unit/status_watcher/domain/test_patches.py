"""What the status-watcher changes on a Workflow, and what it leaves as it is."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_argo import metadata
from sluice_argo.outcomes import Claim, Outcome, encode_claim
from sluice_contracts.status import Phase
from sluice_engine.store.errors import ApiError
from sluice_engine.store.patches import json_patch
from sluice_status_watcher.domain.patches import bookkeeping_patch, claim_patch
from sluice_status_watcher.domain.workflow_state import Lifecycle, parse_workflow
from tests.unit.status_watcher.manifests import FINISHED, FINISHED_AGAIN, Json, stored

FAILED = Outcome(attempt=1, phase=Phase.FAILED, finished_at=datetime(2026, 1, 1, 0, 5, tzinfo=UTC))
MARK = f"1/Failed@{FINISHED}"
CLAIM = encode_claim(Claim(outcome=FAILED, sequence=7, holder="ada"))


def ended(
    *,
    mark: str | None = None,
    claim: str | None = None,
    finalizers: Any = (metadata.FINALIZER,),
) -> Json:
    document = stored(status={"phase": "Failed", "finishedAt": FINISHED})
    document["metadata"]["finalizers"] = list(finalizers)
    if mark is not None:
        document["metadata"]["annotations"][metadata.PUBLISHED] = mark
    if claim is not None:
        document["metadata"]["annotations"][metadata.OUTCOME_CLAIM] = claim
    return document


def running(**annotations: str) -> Json:
    document = stored(status={"phase": "Running"})
    document["metadata"]["annotations"] |= annotations
    return document


def lifecycle(document: Json, *, gone: bool = False) -> Lifecycle:
    return parse_workflow(document, observed_at=datetime.now(UTC), gone=gone).lifecycle


def patched(document: Json, outcome: Outcome | None, *, releasable: bool = False) -> Json:
    operations = bookkeeping_patch(lifecycle(document), outcome, releasable=releasable)
    after: Json = json_patch(document, operations)
    return after


def test_unpublished_outcome_needs_no_patch() -> None:
    assert bookkeeping_patch(lifecycle(running()), None, releasable=True) == []
    assert bookkeeping_patch(lifecycle(ended()), None, releasable=True) == []


def test_claim_applies_only_to_the_state_it_describes() -> None:
    claim = Claim(outcome=FAILED, sequence=7, holder="ada")
    operations = claim_patch(lifecycle(ended()), claim)
    after = json_patch(ended(), operations)
    assert lifecycle(after).claim == claim
    assert lifecycle(after).published is None
    for change in ({"resourceVersion": "8"}, {"uid": "another"}):
        changed = ended()
        changed["metadata"] |= change
        with pytest.raises(ApiError):
            json_patch(changed, operations)


def test_published_annotation_replaces_the_claim() -> None:
    after = patched(ended(claim=CLAIM), FAILED)
    assert after["metadata"]["annotations"][metadata.PUBLISHED] == MARK
    assert metadata.OUTCOME_CLAIM not in after["metadata"]["annotations"]


def test_retry_removes_the_published_claim() -> None:
    after = patched(running(**{metadata.OUTCOME_CLAIM: CLAIM}), FAILED)["metadata"]
    assert metadata.OUTCOME_CLAIM not in after["annotations"]
    assert after["annotations"][metadata.ATTEMPT] == "2"


def test_published_annotation_comes_before_the_release() -> None:
    after = patched(ended(), FAILED)["metadata"]
    assert after["annotations"][metadata.PUBLISHED] == MARK
    assert after["finalizers"] == [metadata.FINALIZER]


def test_annotated_workflow_waits_for_its_release() -> None:
    assert bookkeeping_patch(lifecycle(ended(mark=MARK)), FAILED, releasable=False) == []


def test_stale_annotation_is_replaced() -> None:
    again = patched(ended(mark=f"1/Error@{FINISHED_AGAIN}"), FAILED)
    assert again["metadata"]["annotations"][metadata.PUBLISHED] == MARK


@given(
    st.lists(st.sampled_from(["a/x", "b/y", "workflows.argoproj.io/artifact-gc"]), unique=True),
    st.data(),
)
def test_release_removes_only_our_finalizer(others: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(others)))
    finalizers = [*others[:place], metadata.FINALIZER, *others[place:]]
    after = patched(ended(mark=MARK, finalizers=finalizers), FAILED, releasable=True)
    assert after["metadata"]["finalizers"] == others


def test_release_does_not_wait_for_the_annotation() -> None:
    after = patched(ended(claim=CLAIM), FAILED, releasable=True)
    assert metadata.PUBLISHED not in after["metadata"]["annotations"]
    assert after["metadata"]["finalizers"] == []
    after = patched(after, FAILED, releasable=True)
    assert after["metadata"]["annotations"][metadata.PUBLISHED] == MARK
    assert metadata.OUTCOME_CLAIM not in after["metadata"]["annotations"]


def test_released_workflow_needs_no_patch() -> None:
    released = ended(mark=MARK, finalizers=[])
    assert bookkeeping_patch(lifecycle(released), FAILED, releasable=True) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["metadata"].update(uid="another"),
        lambda d: d["metadata"].update(finalizers=["other", metadata.FINALIZER]),
        lambda d: d["metadata"].update(finalizers=[]),
        lambda d: d["status"].update(finishedAt=FINISHED_AGAIN),
        lambda d: d["status"].update(phase="Succeeded"),
        lambda d: d.update(status={"phase": "Running"}),
    ],
)
def test_release_fails_if_the_object_has_changed(change: Any) -> None:
    operations = bookkeeping_patch(lifecycle(ended(mark=MARK)), FAILED, releasable=True)
    changed = ended(mark=MARK)
    change(changed)
    with pytest.raises(ApiError):
        json_patch(changed, operations)


def test_release_ignores_changes_of_the_controller() -> None:
    operations = bookkeeping_patch(lifecycle(ended(mark=MARK)), FAILED, releasable=True)
    changed = ended(mark=MARK)
    changed["metadata"]["resourceVersion"] = "99"
    changed["metadata"]["labels"]["workflows.argoproj.io/workflow-archiving-status"] = "Archived"
    assert json_patch(changed, operations)["metadata"]["finalizers"] == []


def test_deleted_workflow_is_released() -> None:
    document = running()
    document["metadata"]["deletionTimestamp"] = FINISHED
    deleted = Outcome(attempt=1, phase=Phase.DELETED, finished_at=FAILED.finished_at)
    after = patched(document, deleted, releasable=True)["metadata"]
    assert after["finalizers"] == []


def test_gone_object_needs_no_patch() -> None:
    assert bookkeeping_patch(lifecycle(ended(), gone=True), FAILED, releasable=True) == []


@pytest.mark.parametrize("finalizers", [None, [], ["other"]])
def test_retried_workflow_gets_its_finalizer_back_and_the_next_attempt(
    finalizers: list[str] | None,
) -> None:
    document = running(**{metadata.PUBLISHED: MARK})
    document["metadata"]["finalizers"] = finalizers
    if finalizers is None:
        del document["metadata"]["finalizers"]
    after = patched(document, FAILED)["metadata"]
    assert after["finalizers"] == [*(finalizers or []), metadata.FINALIZER]
    assert after["annotations"][metadata.ATTEMPT] == "2"
    assert metadata.PUBLISHED not in after["annotations"]


def test_retry_is_recorded_once() -> None:
    after = patched(running(**{metadata.PUBLISHED: MARK}), FAILED)
    assert bookkeeping_patch(lifecycle(after), FAILED, releasable=True) == []
    assert bookkeeping_patch(lifecycle(after), None, releasable=True) == []


def test_retry_keeps_a_finalizer_that_is_still_there() -> None:
    after = patched(running(), FAILED)["metadata"]
    assert after["finalizers"] == [metadata.FINALIZER]
    assert after["annotations"][metadata.ATTEMPT] == "2"


def test_retry_patch_applies_only_to_the_state_seen() -> None:
    operations = bookkeeping_patch(lifecycle(running()), FAILED, releasable=False)
    moved_on = running()
    moved_on["metadata"]["resourceVersion"] = "8"
    with pytest.raises(ApiError):
        json_patch(moved_on, operations)


def test_object_being_deleted_gets_no_finalizer() -> None:
    document = running(**{metadata.PUBLISHED: MARK})
    document["metadata"] |= {"finalizers": ["other"], "deletionTimestamp": FINISHED_AGAIN}
    after = patched(document, FAILED)["metadata"]
    assert after["finalizers"] == ["other"]
    assert after["annotations"][metadata.ATTEMPT] == "2"
