"""Finds out, before anything is told, what an earlier process has told already.

Between the acknowledgement of an outcome and the mark on the object a process can die. Whoever
starts next sees a Workflow without a mark and cannot tell from it whether the world knows. The
results topic can: it is read from the time when the oldest such Workflow can have ended.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from sluice_argo.outcomes import Outcome
from sluice_contracts.records import OutgoingRecord
from sluice_status_watcher.domain.published_outcome import OutcomeRecord
from sluice_status_watcher.domain.transitions import is_published
from sluice_status_watcher.domain.workflow_state import ForeignWorkflowError, WorkflowState
from sluice_status_watcher.handlers.reflector import WatchEvent, WatchHealth, list_workflows
from sluice_status_watcher.ports import ResultsReader, Workflows
from sluice_status_watcher.services.trying import until_it_works
from sluice_status_watcher.services.workflow_parsing import parse_workflow_aside

__all__ = ["OutcomeQuery", "Recovered", "find_outcomes", "query_for", "recover"]

_log = structlog.get_logger(__name__)

# Argo's clock dates the end of a Workflow, ours the records.
_CLOCK_MARGIN = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class OutcomeQuery:
    """Was the outcome of this Workflow told? It cannot have been before `since`."""

    uid: str
    attempt: int
    record_key: bytes
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """What was told by an earlier process of the Workflows that exist."""

    outcomes: Mapping[str, Outcome]
    """By uid."""
    republish: Sequence[OutgoingRecord] = ()
    """Records of outcomes that the status topic may lack."""


def query_for(state: WorkflowState) -> OutcomeQuery | None:
    """Give what the object leaves open; None if its mark answers it.

    A Workflow that goes on may have been reopened before its mark was made, so it is asked about
    as well: its last attempt ended at some time since it was created.
    """
    lifecycle = state.lifecycle
    if is_published(lifecycle, lifecycle.published):
        return None
    ended = lifecycle.finished_at if lifecycle.phase.terminal else None
    if lifecycle.claim is not None and lifecycle.claim.outcome.finished_at != ended:
        # Claimed at an end before this one.
        ended = None
    return OutcomeQuery(
        uid=lifecycle.uid,
        attempt=lifecycle.attempt,
        record_key=str(state.identity.key).encode(),
        since=(ended or state.created_at or datetime.min.replace(tzinfo=UTC)),
    )


async def recover(
    workflows: Workflows,
    published: ResultsReader,
    *,
    page_size: int,
    health: WatchHealth,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Recovered:
    """Find out what was told of the Workflows that exist; tried for ever."""

    async def ask() -> Recovered:
        questions = await _questions(workflows, page_size=page_size, now=now)
        answers = await find_outcomes(questions, published)
        return Recovered(
            outcomes={uid: answer.outcome for uid, answer in answers.items()},
            republish=[
                answer.record
                for question in questions
                if (answer := answers.get(question.uid)) and _is_in_doubt(answer, question)
            ],
        )

    return await until_it_works(ask, health=health, complaint="cannot tell yet what was told")


async def _questions(
    workflows: Workflows, *, page_size: int, now: Callable[[], datetime]
) -> list[OutcomeQuery]:
    questions = []
    async for item in list_workflows(workflows, limit=page_size):
        if not isinstance(item, WatchEvent):
            continue
        try:
            question = query_for(await parse_workflow_aside(item.workflow, observed_at=now()))
        except ForeignWorkflowError:
            continue
        if question is not None:
            questions.append(question)
    return questions


def _is_in_doubt(answer: OutcomeRecord, question: OutcomeQuery) -> bool:
    """Tell whether the status topic may lack the outcome.

    It does not once the object says that a later attempt has begun: that comes after telling.
    """
    return answer.outcome.attempt >= question.attempt


async def find_outcomes(
    questions: Iterable[OutcomeQuery], published: ResultsReader
) -> dict[str, OutcomeRecord]:
    """Give, by uid, the outcomes that were told of the Workflows asked about.

    Raises:
        KafkaUnavailableError: the results topic could not be read to its end.
    """
    questions = list(questions)
    wanted = {question.uid: question.record_key for question in questions}
    if not wanted:
        return {}
    since = min(question.since for question in questions)
    found = await published.find(wanted, since=_before(since))
    _log.info("outcomes told before", asked=len(wanted), found=len(found))
    return found


def _before(moment: datetime) -> datetime:
    earliest = datetime.fromtimestamp(0, UTC)
    return max(moment, earliest + _CLOCK_MARGIN) - _CLOCK_MARGIN
