"""The next step in every situation: a table."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from sluice_argo import metadata
from sluice_argo.outcomes import MAX_ATTEMPT, Outcome, encode_claim, encode_outcome
from sluice_argo.outcomes import Claim as OutcomeClaim
from sluice_contracts.status import Phase
from sluice_status_watcher.domain.next_step import (
    AskResults,
    CheckDeletion,
    Claim,
    Forget,
    Patch,
    Publish,
    Rest,
    Step,
    Wait,
    next_step,
)
from sluice_status_watcher.domain.tracked_workflow import TrackedWorkflow
from sluice_status_watcher.domain.transitions import transition
from sluice_status_watcher.domain.workflow_state import WorkflowState, parse_workflow
from tests.unit.status_watcher.manifests import FINISHED, stored

NOW = 1000.0
HOLDER = "ada"
ENDED = Outcome(attempt=1, phase=Phase.FAILED, finished_at=datetime(2026, 1, 1, 0, 5, tzinfo=UTC))
OURS = OutcomeClaim(outcome=ENDED, sequence=4, holder=HOLDER)
THEIRS = replace(OURS, holder="bob")
MARK = {metadata.PUBLISHED: encode_outcome(ENDED)}
SECOND = {metadata.ATTEMPT: "2"}
LAST = replace(ENDED, attempt=MAX_ATTEMPT)
IN_LAST = {metadata.ATTEMPT: str(MAX_ATTEMPT)}
AS_5 = "claim 1/Failed as 5"
IMPOSSIBLE = encode_claim(THEIRS).replace("Failed", "Rejected")

Known = Callable[[TrackedWorkflow], TrackedWorkflow]


def running(version: int = 4, **more: Any) -> WorkflowState:
    return state(version, {"phase": "Running"}, **more)


def failed(version: int = 4, **more: Any) -> WorkflowState:
    return state(version, {"phase": "Failed", "finishedAt": FINISHED}, **more)


def state(
    version: int,
    status: dict[str, str],
    *,
    claim: OutcomeClaim | str | None = None,
    annotations: dict[str, str] | None = None,
    finalizer: bool = True,
    deleted: bool = False,
    gone: bool = False,
) -> WorkflowState:
    document = stored(version=version, status=status)
    document["metadata"]["annotations"] |= annotations or {}
    if claim is not None:
        text = claim if isinstance(claim, str) else encode_claim(claim)
        document["metadata"]["annotations"][metadata.OUTCOME_CLAIM] = text
    if not finalizer:
        document["metadata"]["finalizers"] = []
    if deleted:
        document["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00Z"
    return parse_workflow(document, observed_at=datetime.now(UTC), gone=gone)


def seen(tracked: TrackedWorkflow, state: WorkflowState, *, at: float = NOW) -> TrackedWorkflow:
    return tracked.seen(state, holder=HOLDER, release_after=60, now=at)


def show(step: Step) -> str:
    """Return a step in a few words; times count from NOW."""
    match step:
        case Wait(until):
            text = f"wait {until - NOW:g}"
        case Rest(until):
            text = "rest" if until is None else f"rest {until - NOW:g}"
        case Claim(claim, _, takes_over):
            text = f"{'take over' if takes_over else 'claim'} {_outcome(claim)}"
        case AskResults(attempt):
            text = f"ask {attempt}"
        case Publish(claim, unclaimed):
            text = f"publish{' unclaimed' * unclaimed}{f' {_outcome(claim)}' if claim else ''}"
        case Patch(operations, retried):
            changes = [f"{o['op']} {_target(o['path'])}" for o in operations if o["op"] != "test"]
            text = f"{'retry' if retried else 'patch'}: {', '.join(changes)}"
        case CheckDeletion():
            text = "check deletion"
        case Forget(unlabelled):
            text = "forget unlabelled" if unlabelled else "forget"
    return text


def _outcome(claim: OutcomeClaim) -> str:
    return f"{claim.outcome.attempt}/{claim.outcome.phase} as {claim.sequence}"


def _target(path: str) -> str:
    return path.rsplit("~1", maxsplit=1)[-1] if "~1" in path else path.split("/")[2]


def asked(outcome: Outcome | None) -> Known:
    return lambda tracked: tracked.answered(outcome)


def published(state: WorkflowState) -> Known:
    """Let the event of this state be acknowledged."""
    return lambda tracked: tracked.announced(transition(state, tracked.published)[1])


def patch_failed(*, for_seconds: float = 0.0) -> Known:
    """Let claims fail for so long, and the last one be retried in 3 s."""
    return lambda tracked: replace(
        tracked.claim_failed(now=NOW - for_seconds), failures=1, retry_at=NOW + 3
    )


def maybe_published(tracked: TrackedWorkflow) -> TrackedWorkflow:
    return replace(tracked, maybe_published_by_other=True)


def kafka_away(tracked: TrackedWorkflow) -> TrackedWorkflow:
    return tracked.unacknowledged(OURS, retry_at=NOW + 9)


def reverted(tracked: TrackedWorkflow) -> TrackedWorkflow:
    return tracked.reverted(not_before=NOW + 7)


class Case(NamedTuple):
    """A state, what is known but for that it was seen, and the seconds since then."""

    state: WorkflowState
    step: str
    known: Known = lambda tracked: tracked
    after: float = 0


CASES = {
    # States that have not ended.
    "new": Case(running(), "publish"),
    "published": Case(running(), "rest", published(running())),
    "newer": Case(running(5), "publish", published(running(4))),
    # The order of an end: claim, publish, annotate, wait, release.
    "ended": Case(failed(), "claim 1/Failed as 4"),
    "claimed": Case(failed(5, claim=OURS), "publish 1/Failed as 4"),
    "acknowledged": Case(
        failed(5, claim=OURS), "patch: add published, remove outcome-claim", asked(ENDED)
    ),
    "annotated": Case(failed(6, annotations=MARK), "rest 60"),
    "release due": Case(failed(6, annotations=MARK), "patch: remove finalizers", after=60),
    "release due, not annotated": Case(failed(6), "patch: remove finalizers", asked(ENDED), 60),
    "released, not annotated": Case(
        failed(7, finalizer=False), "patch: add published", asked(ENDED), 60
    ),
    "released": Case(failed(7, annotations=MARK, finalizer=False), "rest", after=60),
    # Claims of other holders.
    "claimed by another": Case(failed(5, claim=THEIRS), "wait 5"),
    "patience over": Case(failed(5, claim=THEIRS), "take over 1/Failed as 4", after=5),
    "claimed, then retried": Case(running(7, claim=THEIRS), "take over 1/Failed as 4", after=5),
    "taken over": Case(failed(6, claim=OURS), "ask 1", maybe_published),
    "not found": Case(failed(6, claim=OURS), "publish 1/Failed as 4", asked(None)),
    "claimed, Kafka away": Case(failed(5, claim=OURS), "wait 9", kafka_away),
    # No process can have made these claims: they describe no state of this attempt.
    "future claim": Case(failed(5, claim=replace(THEIRS, sequence=10**19 - 1)), AS_5),
    "impossible claim": Case(
        failed(5, claim=encode_claim(THEIRS).replace("Failed", "Rejected")), AS_5
    ),
    "malformed claim": Case(failed(5, claim="claim"), AS_5),
    # Claims that cannot be made.
    "claim failed": Case(failed(), "wait 3", patch_failed(for_seconds=29)),
    "claim overdue": Case(failed(), "publish unclaimed", patch_failed(for_seconds=30)),
    "claim overdue, maybe published": Case(
        failed(), "ask 1", lambda tracked: maybe_published(patch_failed(for_seconds=30)(tracked))
    ),
    "claim overdue, not tried yet": Case(
        failed(),
        "claim 1/Failed as 4",
        lambda tracked: patch_failed(for_seconds=60)(tracked).resumed(),
    ),
    # Retries of finished Workflows.
    "retried": Case(
        running(8, annotations=MARK, finalizer=False),
        "retry: add finalizers, add attempt, remove published",
    ),
    "retry not patched": Case(running(8, annotations=MARK), "publish", patch_failed()),
    "attempt 2": Case(running(9, annotations=SECOND), "publish"),
    "attempt 2 ended": Case(failed(9, annotations=MARK | SECOND), "claim 2/Failed as 9"),
    "retried, ended otherwise within the second": Case(
        state(8, {"phase": "Succeeded", "finishedAt": FINISHED}, annotations=MARK),
        "claim 2/Succeeded as 8",
    ),
    "forged mark of the last attempt": Case(
        failed(annotations={metadata.PUBLISHED: encode_outcome(LAST)}), "claim 1/Failed as 4"
    ),
    "last attempt ended": Case(failed(annotations=IN_LAST), f"claim {MAX_ATTEMPT}/Failed as 4"),
    "last attempt published": Case(failed(5, annotations=IN_LAST), "rest 60", asked(LAST)),
    "last attempt retried": Case(running(6, annotations=IN_LAST), "rest 60", asked(LAST)),
    # Patches that fail or do not last.
    "patch failed": Case(
        failed(5, claim=OURS), "wait 3", lambda tracked: patch_failed()(tracked.answered(ENDED))
    ),
    "reverted": Case(failed(6), "wait 7", reverted),
    "reverted some time ago": Case(failed(6), "claim 1/Failed as 6", reverted, after=7),
    # Deletions.
    "deleting": Case(running(5, deleted=True), "claim 1/Deleted as 5"),
    "gone": Case(running(5, gone=True, finalizer=False), "publish"),
    "gone with finalizer": Case(running(5, gone=True, deleted=True), "check deletion"),
    "gone with finalizer, published": Case(
        running(6, gone=True, deleted=True),
        "forget",
        asked(replace(ENDED, phase=Phase.DELETED)),
    ),
    "gone, claimed": Case(
        failed(6, claim=THEIRS, gone=True, finalizer=False), "publish 1/Failed as 4"
    ),
    "gone, published": Case(failed(6, annotations=MARK, gone=True, finalizer=False), "forget"),
    "label lost": Case(running(5, gone=True), "check deletion"),
    "label lost, published": Case(failed(6, annotations=MARK, gone=True), "forget unlabelled"),
}


@pytest.mark.parametrize("name", CASES)
def test_next_step(name: str) -> None:
    state, step, known, after = CASES[name]
    tracked = seen(known(seen(TrackedWorkflow(), state)), state)
    assert show(next_step(tracked, state, NOW + after, holder=HOLDER)) == step


def test_claim_of_another_holder_gets_its_patience_once() -> None:
    first = seen(TrackedWorkflow(), failed(5, claim=THEIRS), at=NOW - 4)
    again = seen(first, failed(6, claim=THEIRS))
    assert show(next_step(again, failed(6, claim=THEIRS), NOW, holder=HOLDER)) == "wait 1"


def test_claim_is_not_overdue_because_of_an_earlier_end() -> None:
    earlier = patch_failed(for_seconds=60)(seen(TrackedWorkflow(), failed()))
    # Another process has published that end; the next one has just failed to be claimed.
    published = seen(earlier, failed(6, annotations=MARK))
    again = failed(9, annotations=MARK | SECOND)
    assert show(next_step(patch_failed()(seen(published, again)), again, NOW, holder=HOLDER)) == (
        "wait 3"
    )
    assert seen(earlier, running(6)).unclaimed_since is None


def test_release_delay_starts_when_the_end_is_known_to_be_published() -> None:
    annotated = failed(6, annotations=MARK)
    first = seen(TrackedWorkflow(), annotated, at=NOW - 20)
    assert seen(first, annotated).release_at == NOW + 40
    assert seen(first, running(7)).release_at is None
    # Of a later attempt that another process has published, the delay is a whole one.
    second = {metadata.PUBLISHED: encode_outcome(replace(ENDED, attempt=2))}
    assert seen(first, failed(8, annotations=second)).release_at == NOW + 60


def test_released_workflow_keeps_only_what_was_published() -> None:
    released = failed(7, annotations=MARK, finalizer=False)
    tracked = seen(patch_failed()(TrackedWorkflow()), released).at_rest()
    assert (tracked.last, tracked.size, tracked.failures) == (None, 0, 0)
    assert tracked.published.outcome == ENDED
    waiting = seen(TrackedWorkflow(), failed(7, annotations=MARK)).at_rest()
    assert waiting.last is not None
