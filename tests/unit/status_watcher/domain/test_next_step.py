"""The next step in every situation: a table."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_argo.outcomes import Claim as OutcomeClaim
from sluice_argo.outcomes import Outcome, encode_claim, encode_outcome
from sluice_contracts.status import Phase
from sluice_status_watcher.domain.next_step import (
    AskResults,
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
PUBLISHED = {metadata.PUBLISHED: encode_outcome(ENDED)}

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
        case Forget(unlabelled):
            text = "forget unlabelled" if unlabelled else "forget"
    return text


def _outcome(claim: OutcomeClaim) -> str:
    return f"{claim.outcome.attempt}/{claim.outcome.phase} as {claim.sequence}"


def _target(path: str) -> str:
    return path.rsplit("~1", maxsplit=1)[-1] if "~1" in path else path.split("/")[2]


def unchanged(tracked: TrackedWorkflow) -> TrackedWorkflow:
    return tracked


def asked(outcome: Outcome | None) -> Known:
    return lambda tracked: tracked.answered(outcome)


def published(state: WorkflowState) -> Known:
    """Let the event of this state be acknowledged."""
    return lambda tracked: tracked.announced(transition(state, tracked.published)[1])


def patch_failed(*, after: float = 0.0) -> Known:
    """Let the claim or patch fail for so long, and be retried in 3 s."""

    def fail(tracked: TrackedWorkflow) -> TrackedWorkflow:
        since = tracked.claim_failed(now=NOW - after)
        return replace(since, failures=1, retry_at=NOW + 3)

    return fail


def unknown_answer(tracked: TrackedWorkflow) -> TrackedWorkflow:
    return replace(patch_failed(after=30)(tracked), maybe_published_by_other=True)


@pytest.mark.parametrize(
    ("state", "known", "after", "step"),
    [
        # States that have not ended.
        pytest.param(running(), unchanged, 0, "publish", id="new"),
        pytest.param(running(), published(running()), 0, "rest", id="published"),
        pytest.param(running(5), published(running(4)), 0, "publish", id="newer"),
        # The order of an end: claim, publish, annotate, wait, release.
        pytest.param(failed(), unchanged, 0, "claim 1/Failed as 4", id="ended"),
        pytest.param(failed(5, claim=OURS), unchanged, 0, "publish 1/Failed as 4", id="claimed"),
        pytest.param(
            failed(5, claim=OURS),
            asked(ENDED),
            0,
            "patch: add published, remove outcome-claim",
            id="acknowledged",
        ),
        pytest.param(failed(6, annotations=PUBLISHED), unchanged, 0, "rest 60", id="annotated"),
        pytest.param(
            failed(6, annotations=PUBLISHED), unchanged, 60, "patch: remove finalizers", id="due"
        ),
        pytest.param(
            failed(7, annotations=PUBLISHED, finalizer=False), unchanged, 60, "rest", id="released"
        ),
        # Claims of other holders.
        pytest.param(failed(5, claim=THEIRS), unchanged, 0, "wait 5", id="claimed by another"),
        pytest.param(
            failed(5, claim=THEIRS), unchanged, 5, "take over 1/Failed as 4", id="patience over"
        ),
        pytest.param(
            running(7, claim=THEIRS),
            unchanged,
            5,
            "take over 1/Failed as 4",
            id="claimed, then retried",
        ),
        pytest.param(
            failed(6, claim=OURS),
            lambda tracked: replace(tracked, maybe_published_by_other=True),
            0,
            "ask 1",
            id="taken over",
        ),
        pytest.param(
            failed(6, claim=OURS), asked(None), 0, "publish 1/Failed as 4", id="not found"
        ),
        pytest.param(
            failed(5, claim=OURS),
            lambda tracked: tracked.unacknowledged(OURS, retry_at=NOW + 9),
            0,
            "wait 9",
            id="claimed, Kafka away",
        ),
        # No process can have made these claims: they describe no state of this attempt.
        *(
            pytest.param(failed(5, claim=text), unchanged, 0, "claim 1/Failed as 5", id=why)
            for why, text in {
                "future sequence": encode_claim(replace(THEIRS, sequence=999999)),
                "far future sequence": encode_claim(replace(THEIRS, sequence=10**19 - 1)),
                "impossible phase": '{"outcome": "1/Rejected@", "sequence": "4", "holder": "x"}',
                "not JSON": "claim",
            }.items()
        ),
        # Claims that cannot be made.
        pytest.param(failed(), patch_failed(after=29), 0, "wait 3", id="claim failed"),
        pytest.param(failed(), patch_failed(after=30), 0, "publish unclaimed", id="claim overdue"),
        pytest.param(failed(), unknown_answer, 0, "ask 1", id="claim overdue, maybe published"),
        pytest.param(
            failed(),
            lambda tracked: patch_failed(after=60)(tracked).resumed(),
            0,
            "claim 1/Failed as 4",
            id="claim overdue, not tried yet",
        ),
        # Retries of finished Workflows.
        pytest.param(
            running(8, annotations=PUBLISHED, finalizer=False),
            unchanged,
            0,
            "retry: add finalizers, add attempt, remove published",
            id="retried",
        ),
        pytest.param(
            running(8, annotations=PUBLISHED), patch_failed(), 0, "publish", id="retry not patched"
        ),
        pytest.param(
            running(9, annotations={metadata.ATTEMPT: "2"}), unchanged, 0, "publish", id="attempt 2"
        ),
        pytest.param(
            failed(9, annotations=PUBLISHED | {metadata.ATTEMPT: "2"}),
            unchanged,
            0,
            "claim 2/Failed as 9",
            id="attempt 2 ended",
        ),
        # Patches that fail or do not last.
        pytest.param(
            failed(5, claim=OURS),
            lambda tracked: patch_failed()(tracked.answered(ENDED)),
            0,
            "wait 3",
            id="patch failed",
        ),
        pytest.param(
            failed(6),
            lambda tracked: tracked.reverted(not_before=NOW + 7),
            0,
            "wait 7",
            id="reverted",
        ),
        pytest.param(
            failed(6),
            lambda tracked: tracked.reverted(not_before=NOW + 7),
            7,
            "claim 1/Failed as 6",
            id="reverted some time ago",
        ),
        # Deletions.
        pytest.param(running(5, deleted=True), unchanged, 0, "claim 1/Deleted as 5", id="deleting"),
        pytest.param(running(5, gone=True, finalizer=False), unchanged, 0, "publish", id="gone"),
        pytest.param(
            failed(6, claim=THEIRS, gone=True, finalizer=False),
            unchanged,
            0,
            "publish 1/Failed as 4",
            id="gone while claimed",
        ),
        pytest.param(
            failed(6, annotations=PUBLISHED, gone=True, finalizer=False),
            unchanged,
            0,
            "forget",
            id="gone after its end",
        ),
        pytest.param(running(5, gone=True), unchanged, 0, "forget unlabelled", id="label lost"),
        pytest.param(
            running(5, gone=True, deleted=True), unchanged, 0, "publish", id="gone with finalizer"
        ),
    ],
)
def test_next_step(state: WorkflowState, known: Known, after: float, step: str) -> None:
    tracked = seen(known(seen(TrackedWorkflow(), state)), state)
    assert show(next_step(tracked, state, NOW + after, holder=HOLDER)) == step


def test_claim_of_another_holder_gets_its_patience_once() -> None:
    first = seen(TrackedWorkflow(), failed(5, claim=THEIRS), at=NOW - 4)
    again = seen(first, failed(6, claim=THEIRS))
    assert show(next_step(again, failed(6, claim=THEIRS), NOW, holder=HOLDER)) == "wait 1"


def test_release_delay_starts_when_the_end_is_known_to_be_published() -> None:
    annotated = failed(6, annotations=PUBLISHED)
    first = seen(TrackedWorkflow(), annotated, at=NOW - 20)
    assert seen(first, annotated).release_at == NOW + 40
    assert seen(first, running(7)).release_at is None
    # Of a later attempt that another process has published, the delay is a whole one.
    second = {metadata.PUBLISHED: encode_outcome(replace(ENDED, attempt=2))}
    assert seen(first, failed(8, annotations=second)).release_at == NOW + 60


def test_released_workflow_keeps_only_what_was_published() -> None:
    released = failed(7, annotations=PUBLISHED, finalizer=False)
    tracked = seen(patch_failed()(TrackedWorkflow()), released).at_rest()
    assert (tracked.last, tracked.size, tracked.failures) == (None, 0, 0)
    assert tracked.published.outcome == ENDED
    waiting = seen(TrackedWorkflow(), failed(7, annotations=PUBLISHED)).at_rest()
    assert waiting.last is not None
