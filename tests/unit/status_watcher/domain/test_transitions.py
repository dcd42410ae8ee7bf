"""Events follow from states, in whatever order these arrive."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sluice_argo import metadata
from sluice_argo.outcomes import Claim, Outcome, encode_claim, encode_outcome
from sluice_contracts.status import Phase, StatusEvent
from sluice_status_watcher.domain.transitions import (
    PublishedState,
    attempt_of,
    claimed_event,
    known_outcome,
    open_claim,
    transition,
)
from sluice_status_watcher.domain.workflow_state import WorkflowState, parse_workflow
from tests.unit.status_watcher.manifests import (
    FINISHED,
    FINISHED_AGAIN,
    STARTED,
    Json,
    name_of,
    node,
    nodes,
    stored,
)

NOW = datetime(2026, 1, 1, 0, 6, tzinfo=UTC)
ENDED = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def state(
    version: int,
    phase: str | None = None,
    *,
    annotations: dict[str, str] | None = None,
    deleted: bool = False,
    gone: bool = False,
    **status: Any,
) -> WorkflowState:
    document = stored(version=version)
    if phase is not None:
        document["status"] = {"phase": phase, **status}
    document["metadata"]["annotations"] |= annotations or {}
    if deleted:
        document["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00Z"
    return parse_workflow(document, observed_at=NOW, gone=gone)


def publish(
    *states: WorkflowState, published: PublishedState | None = None
) -> tuple[list[StatusEvent], PublishedState]:
    events = []
    published = published or PublishedState()
    for state in states:
        event, published = transition(state, published)
        if event is not None:
            events.append(event)
    return events, published


def summary(events: list[StatusEvent]) -> list[str]:
    return [f"{event.attempt}/{event.phase}" for event in events]


def test_every_phase_of_a_run_is_published() -> None:
    events, published = publish(
        state(1),
        state(2, "Pending"),
        state(3, "Running"),
        state(4, "Succeeded", finishedAt=FINISHED),
    )
    assert summary(events) == ["1/Submitted", "1/Pending", "1/Running", "1/Succeeded"]
    assert [event.sequence for event in events] == [1, 2, 3, 4]
    assert [event.terminal for event in events] == [False, False, False, True]
    assert published.outcome == Outcome(attempt=1, phase=Phase.SUCCEEDED, finished_at=ENDED)


def test_event_identifies_its_run() -> None:
    ((event,), _) = publish(state(3, "Running", progress="1/2", message="m", startedAt=STARTED))
    assert event.model_dump(include={"run_id", "tenant", "workflow", "workflow_name", "uid"}) == {
        "run_id": "order-1",
        "tenant": "default",
        "workflow": "hello",
        "workflow_name": name_of("order-1"),
        "uid": "uid-of-order-1",
    }
    assert (event.progress, event.message, event.namespace) == ("1/2", "m", "argo")
    assert event.observed_at == NOW


def test_invisible_change_is_not_published() -> None:
    labelled = stored(
        version=4, status={"phase": "Running", "conditions": [{"type": "PodRunning"}]}
    )
    labelled["metadata"]["labels"]["workflows.argoproj.io/phase"] = "Running"
    events, published = publish(
        state(3, "Running"), state(3, "Running"), parse_workflow(labelled, observed_at=NOW)
    )
    assert summary(events) == ["1/Running"]
    assert published.sequence == 4


def test_every_visible_change_is_published() -> None:
    events, _ = publish(
        state(1, "Running"),
        state(2, "Running", progress="1/2"),
        state(3, "Running", progress="1/2", message="m"),
        state(4, "Running", progress="1/2", message="m", startedAt=STARTED),
        state(5, "Running", outputs={"parameters": [{"name": "a", "value": "1"}]}),
    )
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]


def test_events_show_changed_steps_and_the_last_one_shows_all() -> None:
    before = nodes(node("a", phase="Running"), node("b", phase="Running"))
    after = nodes(node("a", phase="Succeeded"), node("b", phase="Running"))
    events, _ = publish(
        state(1, "Running", nodes=before),
        state(2, "Running", nodes=after),
        state(3, "Running", nodes=after, progress="1/2"),
        state(4, "Failed", nodes=after, finishedAt=FINISHED),
    )
    assert [[step.id for step in event.steps] for event in events] == [
        ["a", "b"],
        ["a"],
        [],
        ["a", "b"],
    ]


def test_older_state_is_not_published() -> None:
    events, published = publish(state(5, "Running"), state(4, "Pending"))
    assert summary(events) == ["1/Running"]
    assert published.sequence == 5


def test_only_a_new_attempt_is_published_after_an_end() -> None:
    events, _ = publish(
        state(4, "Failed", finishedAt=FINISHED),
        state(5, "Failed", finishedAt=FINISHED, message="archived"),
        state(6, "Running"),
        state(7, "Running"),
        state(8, "Succeeded", finishedAt=FINISHED_AGAIN),
    )
    assert summary(events) == ["1/Failed", "2/Running", "2/Succeeded"]


def test_attempt_that_was_not_seen_running_is_published_by_its_end() -> None:
    events, _ = publish(
        state(4, "Failed", finishedAt=FINISHED), state(9, "Failed", finishedAt=FINISHED_AGAIN)
    )
    assert summary(events) == ["1/Failed", "2/Failed"]


def test_published_annotation_counts_as_published() -> None:
    mark = {metadata.PUBLISHED: f"1/Failed@{FINISHED}"}
    assert publish(state(5, "Failed", annotations=mark, finishedAt=FINISHED))[0] == []
    assert summary(publish(state(6, "Running", annotations=mark))[0]) == ["2/Running"]
    assert summary(
        publish(state(7, "Succeeded", annotations=mark, finishedAt=FINISHED_AGAIN))[0]
    ) == ["2/Succeeded"]


def test_attempt_annotation_counts_as_published() -> None:
    second = {metadata.ATTEMPT: "2"}
    events, _ = publish(
        state(6, "Running", annotations=second),
        state(7, "Failed", annotations=second, finishedAt=FINISHED_AGAIN),
    )
    assert summary(events) == ["2/Running", "2/Failed"]


def test_remembered_outcome_of_an_earlier_attempt_changes_nothing() -> None:
    published = PublishedState(outcome=Outcome(attempt=1, phase=Phase.FAILED, finished_at=ENDED))
    second = {metadata.ATTEMPT: "2"}
    events, _ = publish(
        state(6, "Running", annotations=second),
        state(7, "Running", annotations=second),
        published=published,
    )
    assert summary(events) == ["2/Running"]


def test_deleted_is_published_once_and_is_final() -> None:
    events, _ = publish(
        state(5, "Running"),
        state(6, "Running", deleted=True),
        state(7, "Running", deleted=True, progress="2/2"),
        state(8, "Succeeded", deleted=True, finishedAt=FINISHED),
        state(9, "Succeeded", deleted=True, gone=True, finishedAt=FINISHED),
    )
    assert summary(events) == ["1/Running", "1/Deleted"]
    assert events[-1].finished_at == datetime(2026, 1, 1, 1, tzinfo=UTC)


def test_end_before_the_deletion_is_the_outcome() -> None:
    events, _ = publish(
        state(6, "Succeeded", finishedAt=FINISHED),
        state(7, "Succeeded", deleted=True, finishedAt=FINISHED),
    )
    assert summary(events) == ["1/Succeeded"]


def test_deletion_of_a_retried_workflow_ends_the_new_attempt() -> None:
    events, _ = publish(
        state(5, "Failed", finishedAt=FINISHED),
        state(6, "Running"),
        state(7, "Running", deleted=True),
    )
    assert summary(events) == ["1/Failed", "2/Running", "2/Deleted"]


# Any life of a Workflow, seen in any way.

ENDS = ("Succeeded", "Failed", "Error")


@st.composite
def lives(draw: st.DrawFn) -> list[Json]:
    """States of one Workflow in the order in which the API server had them."""
    version = draw(st.integers(1, 50))
    states: list[Json] = []

    def add(phase: str | None, **status: Any) -> None:
        nonlocal version
        version += draw(st.integers(1, 5))
        document = stored(version=version)
        if phase is not None:
            document["status"] = {"phase": phase, **status}
        states.append(document)

    add(None)
    for minute in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.integers(0, 4))):
            add(
                draw(st.sampled_from([None, "Pending", "Running"])),
                progress=draw(st.sampled_from("abc")),
            )
        end, finished = draw(st.sampled_from(ENDS)), f"2026-01-01T00:{minute:02}:00Z"
        for label in range(draw(st.integers(1, 2))):
            add(end, finishedAt=finished, message=str(label))
    if draw(st.booleans()):
        for position in range(draw(st.integers(0, len(states) - 1)), len(states)):
            states[position]["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00Z"
    return states


@st.composite
def viewings(draw: st.DrawFn) -> list[Json | None]:
    """A life as a watcher sees it: with gaps, repeats, steps back, and restarts (None).

    A restart knows nothing but what the mark on the object says.
    """
    life = draw(lives())
    seen: list[Json | None] = []
    position = 0
    while position < len(life):
        seen.append(life[position])
        match draw(st.sampled_from(["on", "on", "restart", "back"])):
            case "restart":
                # The list after a restart is as new as the last state that anybody saw.
                seen += [None, life[position]]
            case "back":
                seen.append(life[draw(st.integers(0, position))])
        position += draw(st.integers(1, 2))
    seen.append(life[-1])
    return seen


@given(viewings())
def test_obeying_the_sequence_never_leads_back_from_an_end(
    seen: list[Json | None],
) -> None:
    published = PublishedState()
    mark: Outcome | None = None
    events: list[StatusEvent] = []
    floor = -1
    for document in seen:
        if document is None:
            published, floor = PublishedState(), published.sequence
            continue
        if int(document["metadata"]["resourceVersion"]) < floor:
            continue
        if mark is not None:
            document["metadata"]["annotations"][metadata.PUBLISHED] = encode_outcome(mark)
        event, published = transition(parse_workflow(document, observed_at=NOW), published)
        mark = published.outcome
        events += [event] if event else []

    followed: list[StatusEvent] = []
    for event in events:
        if not followed or event.sequence > followed[-1].sequence:
            followed.append(event)
    ended: set[int] = set()
    for event in followed:
        assert event.attempt not in ended, summary(followed)
        if event.terminal:
            ended.add(event.attempt)
    ends = [event for event in events if event.terminal]
    assert len({event.attempt for event in ends}) == len(ends), summary(events)
    assert len(ends) >= 1
    assert [event.attempt for event in followed] == sorted(event.attempt for event in followed)


@given(viewings())
def test_same_state_always_gives_the_same_event(seen: list[Json | None]) -> None:
    ids: dict[tuple[str, int, int], str] = {}
    for document in seen:
        if document is None:
            continue
        event, _ = transition(parse_workflow(document, observed_at=NOW), PublishedState())
        assert event is not None
        key = (str(event.uid), event.attempt, event.sequence)
        assert ids.setdefault(key, event.event_id) == event.event_id
    assert len(set(ids.values())) == len(ids)


@given(viewings())
def test_repeated_state_is_not_published(seen: list[Json | None]) -> None:
    published = PublishedState()
    for document in seen:
        if document is not None:
            state = parse_workflow(document, observed_at=NOW)
            _, published = transition(state, published)
            assert transition(state, published) == (None, published)


CLAIM = Claim(
    outcome=Outcome(attempt=1, phase=Phase.FAILED, finished_at=ENDED), sequence=4, holder="ada"
)


def claimed(version: int, phase: str, *, claim: Claim = CLAIM, **more: Any) -> WorkflowState:
    annotations = {metadata.OUTCOME_CLAIM: encode_claim(claim)} | more.pop("annotations", {})
    return state(version, phase, annotations=annotations, **more)


def test_claim_is_open_until_its_outcome_is_known_to_be_published() -> None:
    lifecycle = claimed(5, "Failed", finishedAt=FINISHED).lifecycle
    assert open_claim(lifecycle, None) == CLAIM
    assert open_claim(lifecycle, CLAIM.outcome) is None
    # The attempt is raised only after its predecessor is published.
    later = claimed(6, "Running", annotations={metadata.ATTEMPT: "2"}).lifecycle
    assert open_claim(later, None) is None
    assert open_claim(state(5, "Failed", finishedAt=FINISHED).lifecycle, None) is None


def test_claimed_event_does_not_depend_on_later_changes() -> None:
    steps = nodes(node("a", phase="Failed"))
    at_once, published = claimed_event(
        claimed(5, "Failed", finishedAt=FINISHED, nodes=steps), CLAIM
    )
    later, _ = claimed_event(claimed(8, "Failed", finishedAt=FINISHED, nodes=steps), CLAIM)
    assert at_once == later
    assert (at_once.sequence, at_once.phase, at_once.truncated) == (4, Phase.FAILED, False)
    assert [step.id for step in at_once.steps] == ["a"]
    assert published == PublishedState(sequence=4, outcome=CLAIM.outcome)
    unclaimed, _ = transition(
        state(4, "Failed", finishedAt=FINISHED, nodes=steps), PublishedState()
    )
    assert unclaimed == at_once


def test_claimed_event_of_a_retried_workflow_has_no_details() -> None:
    event, published = claimed_event(claimed(8, "Running", message="again"), CLAIM)
    assert (event.attempt, event.phase, event.terminal) == (1, Phase.FAILED, True)
    assert (event.finished_at, event.sequence) == (ENDED, 4)
    assert (event.message, event.steps, event.truncated) == (None, (), True)
    assert published.outcome == CLAIM.outcome


def test_attempts_are_counted_from_the_known_outcome() -> None:
    lifecycle = state(5, "Running").lifecycle
    outcome = Outcome(attempt=4, phase=Phase.FAILED, finished_at=ENDED)
    assert attempt_of(lifecycle, None) == 1
    assert attempt_of(lifecycle, outcome) == 5
    assert known_outcome(lifecycle, outcome) is outcome


def test_published_step_is_kept_in_eight_bytes() -> None:
    steps = nodes(*(node(str(n), phase="Succeeded", message="m" * 1000) for n in range(100)))
    events, published = publish(state(1, "Running", nodes=steps))
    assert len(events[0].steps) == 100
    assert len(published.steps) == 8 * 100
    steps |= nodes(node("7", phase="Failed"), node("new", phase="Running"))
    (event,), published = publish(state(2, "Running", nodes=steps), published=published)
    assert {step.id for step in event.steps} == {"7", "new"}
    assert len(published.steps) == 8 * 101


REFUSED = 'pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'


def test_an_outcome_says_what_stopped_the_pods() -> None:
    status: Json = {
        "nodes": nodes(node("a", phase="Error", message=REFUSED)),
        "finishedAt": FINISHED,
    }
    running, failed = state(1, "Running", **status), state(2, "Error", **status)
    events, _ = publish(running, failed)
    assert [event.problem.cause if event.problem else None for event in events] == [
        None,
        "pods-refused",
    ]

    claimed = Claim(
        outcome=Outcome(attempt=1, phase=Phase.ERROR, finished_at=ENDED), sequence=2, holder="h"
    )
    assert claimed_event(failed, claimed)[0].problem == events[1].problem
    # The details of a later attempt are not those of the end that was claimed.
    assert claimed_event(state(3, "Running", **status), claimed)[0].problem is None


def test_a_run_that_succeeds_all_the_same_has_no_problem() -> None:
    step = node("a", phase="Error", message=REFUSED)
    events, _ = publish(state(1, "Succeeded", nodes=nodes(step), finishedAt=FINISHED))
    assert [event.problem for event in events] == [None]
