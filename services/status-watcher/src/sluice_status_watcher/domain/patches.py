"""The JSON patches (RFC 6902) of the status-watcher; pure.

Argo's controller rewrites the object all the time. So a patch tests exactly what it relies on, and
the resourceVersion only if it must. Finalizers and annotations of others stay as they are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sluice_argo.json_patch import Operation, add, annotation, remove, test
from sluice_argo.metadata import ATTEMPT, FINALIZER, OUTCOME_CLAIM, PUBLISHED
from sluice_argo.outcomes import MAX_ATTEMPT, Claim, Outcome, encode_claim, encode_outcome
from sluice_contracts.status import Phase
from sluice_status_watcher.domain.transitions import attempt_of, is_retried
from sluice_status_watcher.domain.workflow_state import Lifecycle

__all__ = ["bookkeeping_patch", "claim_patch", "finalizer_removal_patch"]


def claim_patch(lifecycle: Lifecycle, claim: Claim) -> list[Operation]:
    """Return the patch that makes a claim, on exactly this state of the object."""
    return [*_unchanged(lifecycle), add(annotation(OUTCOME_CLAIM), encode_claim(claim))]


def bookkeeping_patch(
    lifecycle: Lifecycle, outcome: Outcome | None, *, releasable: bool
) -> list[Operation]:
    """Return the patch that records `outcome`, which is published; empty if there is nothing to do.

    A Workflow that has ended gets the annotation of its outcome at once, and loses the finalizer
    once it is `releasable`, annotated or not: without room for the annotation, it must be possible
    to delete it all the same. A retried one gets the finalizer back and its new attempt number.
    """
    if outcome is None or lifecycle.gone:
        return []
    if is_retried(lifecycle, outcome):
        return _retry_patch(lifecycle, attempt=attempt_of(lifecycle, outcome))
    if releasable and lifecycle.has_finalizer:
        return [*_same_end(lifecycle), *_without_finalizer(lifecycle.finalizers)]
    if lifecycle.published != outcome and outcome.attempt < MAX_ATTEMPT:
        mark = add(annotation(PUBLISHED), encode_outcome(outcome))
        return [*_same_end(lifecycle), mark, *_without_claim(lifecycle)]
    return []


def finalizer_removal_patch(metadata: Mapping[str, Any]) -> list[Operation]:
    """Return the patch that removes the finalizer in any state; empty if there is none."""
    finalizers = metadata.get("finalizers") or []
    if FINALIZER not in finalizers:
        return []
    return [
        test("/metadata/uid", metadata["uid"]),
        *_without_finalizer(finalizers),
    ]


def _retry_patch(lifecycle: Lifecycle, *, attempt: int) -> list[Operation]:
    changes: list[Operation] = []
    # No finalizer can be added to an object that is being deleted.
    if not lifecycle.has_finalizer and not lifecycle.deleting:
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
    """Return tests for the same object, still at the end that was published."""
    tests = [test("/metadata/uid", lifecycle.uid)]
    if lifecycle.phase.terminal and lifecycle.phase is not Phase.DELETED:
        tests.append(test("/status/phase", lifecycle.phase.value))
    if lifecycle.end is not None:
        tests.append(test(*lifecycle.end))
    return tests


def _without_finalizer(finalizers: Sequence[str]) -> list[Operation]:
    path = f"/metadata/finalizers/{finalizers.index(FINALIZER)}"
    return [test(path, FINALIZER), remove(path)]
