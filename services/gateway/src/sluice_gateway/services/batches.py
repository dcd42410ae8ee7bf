"""Starts many runs at once, with a verdict for each."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sluice_contracts.ids import RunKey, new_run_id
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.services.submission import Asked, Replayed, Started, Submission

__all__ = ["BatchSubmission", "ItemVerdict"]


@dataclass(frozen=True, kw_only=True)
class ItemVerdict:
    """What became of one item; `key` is its run, None if the item names none.

    `workflow` is the one that was asked for, None if the item could not be read.
    """

    key: RunKey | None
    workflow: str | None = None
    result: Started | Replayed | ProblemError


class BatchSubmission:
    """Submits the items of a batch side by side, those of one run in their order."""

    def __init__(
        self, *, submission: Submission, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._submission = submission
        self._now = now

    async def submit(
        self,
        items: Sequence[Asked | ProblemError],
        *,
        wait_for: Callable[[str], None] = lambda _: None,
    ) -> list[ItemVerdict]:
        """Start the runs, and return a verdict for each item, in order.

        An item that could not be read is its own verdict. Each run has an id before anything is
        written, so that the verdict names it even if its outcome is unknown. `wait_for` gets each
        item's tenant, and raises a ProblemError if the item is to be refused for its topics' sake.
        """
        verdicts: dict[int, ItemVerdict] = {}
        runs: dict[RunKey, list[tuple[int, Asked]]] = defaultdict(list)
        for index, item in enumerate(items):
            if isinstance(item, ProblemError):
                verdicts[index] = ItemVerdict(key=None, result=item)
            else:
                asked, key = self._named(item)
                runs[key].append((index, asked))

        async def submit_all(key: RunKey, asked_in_order: Iterable[tuple[int, Asked]]) -> None:
            for index, asked in asked_in_order:
                result = await self._submit(asked, wait_for)
                workflow = asked.request.workflow
                verdicts[index] = ItemVerdict(key=key, workflow=workflow, result=result)

        async with asyncio.TaskGroup() as group:
            for key, asked_in_order in runs.items():
                group.create_task(submit_all(key, asked_in_order), name=f"item {key}")
        return [verdicts[index] for index in range(len(items))]

    def _named(self, asked: Asked) -> tuple[Asked, RunKey]:
        tenant = asked.request.tenant
        if run_id := asked.request.id or asked.derived_id:
            return asked, RunKey(tenant, run_id)
        new_id = new_run_id(self._now())
        return replace(asked, new_id=new_id), RunKey(tenant, new_id)

    async def _submit(
        self, asked: Asked, wait_for: Callable[[str], None]
    ) -> Started | Replayed | ProblemError:
        try:
            wait_for(asked.request.tenant)
            return await self._submission.submit(asked)
        except ProblemError as e:
            return e
