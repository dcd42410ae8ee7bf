"""In which order an outcome is written to the status and results topics, and why.

The two writers of outcomes need opposite orders, because they notice in different ways after a
crash that only the first of the two records was written. Both write again until both records are
acknowledged; readers ignore a repeated event.
"""

from collections.abc import Awaitable, Callable

__all__ = ["write_results_first", "write_status_first"]

Write = Callable[[], Awaitable[object]]


async def write_status_first(*, status: Write, results: Write) -> None:
    """Write as the dispatcher must: it learns from its ledger what it has published.

    The ledger is fed from the results topic. After a crash the request is delivered again, and a
    run that is in the ledger counts as finished. So the results record comes last. The other way
    round, a crash in between would leave the status topic without the outcome for good.
    """
    await status()
    await results()


async def write_results_first(*, status: Write, results: Write) -> None:
    """Write as the status-watcher must: it searches the results topic for what is published.

    After a crash a Workflow has a claim but no mark of a published outcome. The watcher then
    searches the results topic, and writes what it finds there to the status topic again. So the
    results record comes first. The other way round, the outcome might be on the status topic
    alone, and a retry of the Workflow meanwhile would leave nothing to publish it from.
    """
    await results()
    await status()
