"""Finds out at start which outcomes an earlier process has published.

A process can die between the acknowledgement of an outcome and the annotation of the object. Then
the object does not say whether the outcome is published, but the results topic does. It is read
from the time at which the oldest such Workflow can have ended.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sluice_argo.outcomes import Outcome
from sluice_argo.watch_event import WatchEvent
from sluice_argo.watch_health import WatchHealth
from sluice_argo.workflow_list import list_workflows
from sluice_contracts.records import OutgoingRecord
from sluice_status_watcher.domain.outcome_query import OutcomeQuery, query_for
from sluice_status_watcher.domain.published_outcome import OutcomeRecord
from sluice_status_watcher.domain.workflow_state import ForeignWorkflowError
from sluice_status_watcher.ports import ResultsReader, Workflows
from sluice_status_watcher.services.outcome_lookup import find_outcomes
from sluice_status_watcher.services.watch_health import retry_until_healthy
from sluice_status_watcher.services.workflow_parsing import WorkflowParser

__all__ = ["Recovered", "recover"]


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """What earlier processes have published of the Workflows that exist."""

    outcomes: Mapping[str, Outcome]
    """By uid."""
    republish: Sequence[OutgoingRecord] = ()
    """Records of outcomes that the status topic may lack."""


async def recover(
    workflows: Workflows,
    results: ResultsReader,
    parser: WorkflowParser,
    *,
    page_size: int,
    health: WatchHealth,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Recovered:
    """Return what is published of the Workflows that exist; repeated until that is known.

    Args:
        workflows: lists the Workflows.
        results: reads the results topic.
        parser: parses the Workflows.
        page_size: Workflows per page of the list.
        health: notes why recovery has failed so far.
        now: dates the states.
    """

    async def ask() -> Recovered:
        queries = await _queries(workflows, parser, page_size=page_size, now=now)
        found = await find_outcomes(queries, results)
        return Recovered(
            outcomes={uid: record.outcome for uid, record in found.items()},
            republish=[
                record.record
                for query in queries
                if (record := found.get(query.uid)) and _may_lack_status(record, query)
            ],
        )

    return await retry_until_healthy(ask, health=health, event="recovery failed")


async def _queries(
    workflows: Workflows, parser: WorkflowParser, *, page_size: int, now: Callable[[], datetime]
) -> list[OutcomeQuery]:
    queries = []
    async for item in list_workflows(workflows, limit=page_size):
        if not isinstance(item, WatchEvent):
            continue
        try:
            query = query_for(await parser.parse(item.workflow, observed_at=now()))
        except ForeignWorkflowError:
            continue
        if query is not None:
            queries.append(query)
    return queries


def _may_lack_status(record: OutcomeRecord, query: OutcomeQuery) -> bool:
    """Return whether the status topic may lack the outcome.

    It has the outcome once the object shows a later attempt: that comes after publication.
    """
    return record.outcome.attempt >= query.attempt
