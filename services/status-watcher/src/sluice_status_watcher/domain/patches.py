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
from sluice_status_watcher.domain.transitions import attempt_of, is_reopened
from sluice_status_watcher.domain.workflow_state import Standing

__all__ = ["claiming", "let_go", "next_patch"]


def claiming(standing: Standing, claim: Claim) -> list[Operation]:
    """Give the patch that makes a claim, on this state of the object and on no other."""
    return [*_unchanged(standing), add(annotation(OUTCOME_CLAIM), encode_claim(claim))]


def next_patch(standing: Standing, outcome: Outcome | None, *, releasable: bool) -> list[Operation]:
    """Give the patch that brings the object closer to what it should be; empty if it is there.

    A Workflow that has ended gets the mark of its outcome at once, and loses the finalizer once it
    is `releasable`. One that was reopened gets the finalizer back and its new attempt's number.
    """
    if outcome is None or standing.gone:
        return []
    if is_reopened(standing, outcome):
        return _reopen(standing, attempt=attempt_of(standing, outcome))
    changes: list[Operation] = []
    if standing.published != outcome:
        changes.append(add(annotation(PUBLISHED), encode_outcome(outcome)))
        changes += _without_claim(standing)
    if releasable and standing.held:
        changes += _without_finalizer(standing.finalizers)
    return [*_same_end(standing), *changes] if changes else []


def let_go(metadata: Mapping[str, Any]) -> list[Operation]:
    """Give the patch that takes the finalizer off, whatever the state; empty if it is off."""
    finalizers = metadata.get("finalizers") or []
    if FINALIZER not in finalizers:
        return []
    return [
        test("/metadata/uid", metadata["uid"]),
        *_without_finalizer(finalizers),
    ]


def _reopen(standing: Standing, *, attempt: int) -> list[Operation]:
    changes: list[Operation] = []
    # No finalizer can be added to an object that is being deleted.
    if not standing.held and not standing.deleting:
        place = "/metadata/finalizers"
        changes.append(
            add(f"{place}/-", FINALIZER) if standing.finalizers else add(place, [FINALIZER])
        )
    if standing.attempt != attempt:
        changes.append(add(annotation(ATTEMPT), str(attempt)))
    if standing.published is not None:
        changes.append(remove(annotation(PUBLISHED)))
    changes += _without_claim(standing)
    return [*_unchanged(standing), *changes] if changes else []


def _without_claim(standing: Standing) -> list[Operation]:
    return [remove(annotation(OUTCOME_CLAIM))] if standing.claim is not None else []


def _unchanged(standing: Standing) -> list[Operation]:
    return [
        test("/metadata/uid", standing.uid),
        test("/metadata/resourceVersion", standing.resource_version),
    ]


def _same_end(standing: Standing) -> list[Operation]:
    """Test that this is the same object, still at the end that was published."""
    tests = [test("/metadata/uid", standing.uid)]
    if standing.end is not None:
        tests.append(test(*standing.end))
    return tests


def _without_finalizer(finalizers: Sequence[str]) -> list[Operation]:
    path = f"/metadata/finalizers/{finalizers.index(FINALIZER)}"
    return [test(path, FINALIZER), remove(path)]
