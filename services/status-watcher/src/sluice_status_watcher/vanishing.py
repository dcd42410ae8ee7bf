"""What to say of a Workflow that went while nobody watched: a list does not hold it any more."""

import asyncio
from dataclasses import replace

import structlog

from sluice_contracts.status import Phase
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError, NotFoundError
from sluice_status_watcher.doubting import Doubts
from sluice_status_watcher.observing import Observed
from sluice_status_watcher.outcomes import Outcome
from sluice_status_watcher.ports import Workflows
from sluice_status_watcher.transitions import attempt_of, is_settled

__all__ = ["Vanishing"]

_log = structlog.get_logger(__name__)


class Vanishing:
    """Finds out whether a Workflow has gone without anybody telling of its end."""

    def __init__(self, workflows: Workflows, doubts: Doubts, *, backoff: Backoff) -> None:
        self._workflows = workflows
        self._doubts = doubts
        self._backoff = backoff

    async def last_state(
        self, last: Observed, outcome: Outcome | None, *, sequence: int
    ) -> Observed | None:
        """Give the state of having been deleted; None if the end is told or it exists still.

        `last` is how it was last seen, `outcome` what is known to be told of it, and `sequence`
        is later than all that was. Asked until there is an answer.
        """
        if is_settled(last.standing, outcome):
            return None
        failures = 0
        while True:
            try:
                if not await self._has_gone(last) or await self._is_told(last, outcome):
                    return None
            except (ApiUnavailableError, KafkaUnavailableError) as e:
                failures += 1
                pause = self._backoff.delay(failures, at_least=getattr(e, "retry_after", 0.0))
                _log.warning("cannot tell yet why it is gone", error=str(e), retry_in=pause)
                await asyncio.sleep(pause)
            except ApiError as e:
                _log.warning("not allowed to see whether it is gone", error=str(e))
                return None
            else:
                return _deleted(last, sequence=sequence)

    async def _has_gone(self, last: Observed) -> bool:
        """Ask by its name: what has only lost the label that we list by is still there."""
        standing = last.standing
        try:
            document = await self._workflows.get(standing.name)
        except NotFoundError:
            return True
        gone: bool = document["metadata"]["uid"] != standing.uid
        if not gone:
            _log.warning("no longer labelled as ours", run=str(last.identity.key), uid=standing.uid)
        return gone

    async def _is_told(self, last: Observed, outcome: Outcome | None) -> bool:
        """Ask the results topic: another watcher may have seen it go."""
        attempt = attempt_of(last.standing, outcome)
        return await self._doubts.answer(last, attempt=attempt) is not None


def _deleted(last: Observed, *, sequence: int) -> Observed:
    _log.warning("vanished without an outcome", run=str(last.identity.key), uid=last.standing.uid)
    standing = replace(last.standing, phase=Phase.DELETED, finished_at=None, end=None, gone=True)
    return replace(last, standing=standing, sequence=sequence)
