"""The JSON patches (RFC 6902) that the status-watcher makes; pure.

Argo's controller rewrites the object all the time, so a patch does not insist on a
resourceVersion where it need not: it tests exactly what it relies on, and leaves finalizers and
annotations of others alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sluice_argo.json_patch import Operation, add, annotation, remove, test
from sluice_argo.metadata import ATTEMPT, FINALIZER, OUTCOME_CLAIM, PUBLISHED
from sluice_argo.outcomes import Claim, Outcome, encode_claim, encode_outcome
from sluice_status_watcher.domain.transitions import attempt_of, is_retried
from sluice_status_watcher.domain.workflow_state import Lifecycle

__all__ = ["bookkeeping_patch", "claim_patch", "finalizer_removal_patch"]


def claim_patch(lifecycle: Lifecycle, claim: Claim) -> list[Operation]:
    """Give the patch that makes a claim, on this state of the object and on no other."""
    return [*_unchanged(lifecycle), add(annotation(OUTCOME_CLAIM), encode_claim(claim))]


def bookkeeping_patch(
    lifecycle: Lifecycle, outcome: Outcome | None, *, releasable: bool
) -> list[Operation]:
    """Give the patch that brings the object closer to what it should be; empty if it is there.

    A Workflow that has ended gets the mark of its outcome at once, and loses the finalizer once it
    is `releasable`. One that was reopened gets the finalizer back and its new attempt's number.
    """
    if outcome is None or lifecycle.gone:
        return []
    if is_retried(lifecycle, outcome):
        return _reopen(lifecycle, attempt=attempt_of(lifecycle, outcome))
    changes: list[Operation] = []
    if lifecycle.published != outcome:
        changes.append(add(annotation(PUBLISHED), encode_outcome(outcome)))
        changes += _without_claim(lifecycle)
    if releasable and lifecycle.held:
        changes += _without_finalizer(lifecycle.finalizers)
    return [*_same_end(lifecycle), *changes] if changes else []


def finalizer_removal_patch(metadata: Mapping[str, Any]) -> list[Operation]:
    """Give the patch that takes the finalizer off, whatever the state; empty if it is off."""
    finalizers = metadata.get("finalizers") or []
    if FINALIZER not in finalizers:
        return []
    return [
        test("/metadata/uid", metadata["uid"]),
        *_without_finalizer(finalizers),
    ]


def _reopen(lifecycle: Lifecycle, *, attempt: int) -> list[Operation]:
    changes: list[Operation] = []
    # No finalizer can be added to an object that is being deleted.
    if not lifecycle.held and not lifecycle.deleting:
        place = "/metadata/finalizers"
        changes.append(
            add(f"{place}/-", FINALIZER) if lifecycle.finalizers else add(place, [FINALIZER])
        )
    if lifecycle.attempt != attempt:
        changes.append(add(annotation(ATTEMPT), str(attempt)))
    if lifecycle.published is not None:
        changes.append(remove(annotation(PUBLISHED)))
    changes += _without_claim(lifecycle)
    return [*_unchanged(lifecycle), *changes] if changes else []


def _without_claim(lifecycle: Lifecycle) -> list[Operation]:
    return [remove(annotation(OUTCOME_CLAIM))] if lifecycle.claim is not None else []


def _unchanged(lifecycle: Lifecycle) -> list[Operation]:
    return [
        test("/metadata/uid", lifecycle.uid),
        test("/metadata/resourceVersion", lifecycle.resource_version),
    ]


def _same_end(lifecycle: Lifecycle) -> list[Operation]:
    """Test that this is the same object, still at the end that was published."""
    tests = [test("/metadata/uid", lifecycle.uid)]
    if lifecycle.end is not None:
        tests.append(test(*lifecycle.end))
    return tests


def _without_finalizer(finalizers: Sequence[str]) -> list[Operation]:
    path = f"/metadata/finalizers/{finalizers.index(FINALIZER)}"
    return [test(path, FINALIZER), remove(path)]
