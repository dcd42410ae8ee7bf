"""Keeps the last attempt's outcome the last record of its key on the results topic.

The topic is compacted: the last record of each key stays. A record whose sender gave up may still
be appended later: it was in a socket's buffer, in a frozen broker, or in a frozen process. By then
the run may have been retried and have ended again, and compaction would keep the older attempt.

No timeout rules that out. So this service reads the topic as it grows. An outcome behind one of a
later attempt is followed by a copy of the later one.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.retry import retry_forever
from sluice_status_watcher.domain.published_outcome import AppendedOutcome
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.ports import ResultsReader, StatusPublisher

__all__ = ["ResultsRepair"]

_log = structlog.get_logger(__name__)

_LOOK_BACK = timedelta(hours=1)
_MAX_RETRIED = 50_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Latest:
    """The highest attempt of a Workflow that the topic holds, and where to find its record."""

    attempt: int
    record_key: bytes
    appended_at: datetime


class ResultsRepair:
    """Reads the results topic without end, and appends outcomes that an older attempt hides.

    Only the last 50,000 Workflows that were retried are remembered: others have a single attempt.
    Several processes that repair at once append the same record.
    """

    def __init__(
        self,
        results: ResultsReader,
        publisher: StatusPublisher,
        *,
        metrics: Metrics,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        backoff: Backoff | None = None,
    ) -> None:
        self._results = results
        self._publisher = publisher
        self._metrics = metrics
        self._now = now
        self._backoff = backoff or Backoff()
        self._latest: dict[str, _Latest] = {}
        self._hidden: set[str] = set()

    async def run(self) -> None:
        """Read and repair, without end; after an error of Kafka it goes on after a pause."""
        outcomes = self._tail()

        async def catch_up() -> None:
            """Read to where the topic ends now, and repair."""
            nonlocal outcomes
            try:
                async for outcome in outcomes:
                    if outcome is None:
                        await self._restore()
                        return
                    self._note(outcome)
            except KafkaUnavailableError:
                await outcomes.aclose()
                outcomes = self._tail()
                raise
            outcomes = self._tail()

        def on_retry(error: Exception, pause: float) -> None:
            _log.warning("results topic not readable", error=str(error), retry_in=pause)

        try:
            while True:
                await retry_forever(
                    catch_up, on=KafkaUnavailableError, backoff=self._backoff, on_retry=on_retry
                )
        finally:
            await outcomes.aclose()

    def _tail(self) -> AsyncGenerator[AppendedOutcome | None, None]:
        # Outcomes that are read a second time after an error change nothing.
        return self._results.tail(since=self._now() - _LOOK_BACK)

    def _note(self, outcome: AppendedOutcome) -> None:
        latest = self._latest.get(outcome.uid)
        if outcome.attempt < (latest.attempt if latest else 2):
            if latest is not None:
                self._hidden.add(outcome.uid)
            return
        self._hidden.discard(outcome.uid)
        self._latest.pop(outcome.uid, None)
        self._latest[outcome.uid] = _Latest(
            attempt=outcome.attempt,
            record_key=outcome.record_key,
            appended_at=outcome.appended_at,
        )
        if len(self._latest) > _MAX_RETRIED:
            forgotten = next(iter(self._latest))
            del self._latest[forgotten]
            self._hidden.discard(forgotten)

    async def _restore(self) -> None:
        """Append the later attempts again, once the topic was read to its end."""
        hidden = {uid: self._latest[uid] for uid in self._hidden}
        if not hidden:
            return
        found = await self._results.find(
            {uid: latest.record_key for uid, latest in hidden.items()},
            since=min(latest.appended_at for latest in hidden.values()),
        )
        for uid, latest in hidden.items():
            fields = {"uid": uid, "attempt": latest.attempt}
            record = found.get(uid)
            if record is None or record.outcome.attempt < latest.attempt:
                _log.error("outcome of the last attempt lost", **fields)
            else:
                await self._publisher.restore(record.record)
                self._metrics.outcomes_restored.inc()
                _log.warning("outcome of the last attempt restored", **fields)
            self._hidden.discard(uid)
