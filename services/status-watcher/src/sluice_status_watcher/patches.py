"""The JSON patches (RFC 6902) that the status-watcher makes; pure.

Argo's controller rewrites the object all the time, so a patch does not insist on a
resourceVersion where it need not: it tests exactly what it relies on, and leaves finalizers and
annotations of others alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sluice_argo.metadata import ATTEMPT, FINALIZER, PUBLISHED
from sluice_status_watcher.observing import Standing
from sluice_status_watcher.outcomes import Claim, Outcome, claim_text, mark_text
from sluice_status_watcher.transitions import attempt_of, is_reopened

__all__ = ["claiming", "let_go", "next_patch"]

Json = dict[str, Any]


def claiming(standing: Standing, claim: Claim) -> list[Json]:
    """Give the patch that makes a claim, on this state of the object and on no other."""
    return [*_unchanged(standing), _set(PUBLISHED, claim_text(claim))]


def next_patch(standing: Standing, outcome: Outcome | None, *, releasable: bool) -> list[Json]:
    """Give the patch that brings the object closer to what it should be; empty if it is there.

    A Workflow that has ended gets the mark of its outcome at once, and loses the finalizer once it
    is `releasable`. One that was reopened gets the finalizer back and its new attempt's number.
    """
    if outcome is None or standing.gone:
        return []
    if is_reopened(standing, outcome):
        return _reopen(standing, attempt=attempt_of(standing, outcome))
    changes: list[Json] = []
    if standing.published != outcome:
        changes.append(_set(PUBLISHED, mark_text(outcome)))
    if releasable and standing.held:
        changes += _without_finalizer(standing.finalizers)
    return [*_same_end(standing), *changes] if changes else []


def let_go(metadata: Mapping[str, Any]) -> list[Json]:
    """Give the patch that takes the finalizer off, whatever the state; empty if it is off."""
    finalizers = metadata.get("finalizers") or []
    if FINALIZER not in finalizers:
        return []
    return [
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        *_without_finalizer(finalizers),
    ]


def _reopen(standing: Standing, *, attempt: int) -> list[Json]:
    changes: list[Json] = []
    # No finalizer can be added to an object that is being deleted.
    if not standing.held and not standing.deleting:
        place = "/metadata/finalizers"
        changes.append(
            {"op": "add", "path": f"{place}/-", "value": FINALIZER}
            if standing.finalizers
            else {"op": "add", "path": place, "value": [FINALIZER]}
        )
    if standing.attempt != attempt:
        changes.append(_set(ATTEMPT, str(attempt)))
    if standing.published is not None or standing.claim is not None:
        changes.append({"op": "remove", "path": _annotation(PUBLISHED)})
    return [*_unchanged(standing), *changes] if changes else []


def _unchanged(standing: Standing) -> list[Json]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": standing.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": standing.resource_version},
    ]


def _same_end(standing: Standing) -> list[Json]:
    """Insist that this is the same object, and that it still stands at the end that was told."""
    tests: list[Json] = [{"op": "test", "path": "/metadata/uid", "value": standing.uid}]
    if standing.end is not None:
        path, value = standing.end
        tests.append({"op": "test", "path": path, "value": value})
    return tests


def _without_finalizer(finalizers: Sequence[str]) -> list[Json]:
    path = f"/metadata/finalizers/{finalizers.index(FINALIZER)}"
    return [{"op": "test", "path": path, "value": FINALIZER}, {"op": "remove", "path": path}]


def _set(annotation: str, value: str) -> Json:
    return {"op": "add", "path": _annotation(annotation), "value": value}


def _annotation(name: str) -> str:
    return "/metadata/annotations/" + name.replace("~", "~0").replace("/", "~1")
