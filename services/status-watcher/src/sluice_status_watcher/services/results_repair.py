"""Keeps the last attempt's outcome the last record of its key on the results topic.

The topic is compacted: the last record of each key stays. A record whose sender gave up may still
be appended later: it was in a socket's buffer, in a frozen broker, or in a frozen process. By then
the run may have been retried and have ended again, and compaction would keep the older attempt.

No timeout rules that out. So this service reads the topic as it grows. An outcome behind one of a
later attempt is followed by a copy of the later one.

What was appended before the read began is not known. Only an outcome that was observed before then
can be behind it, so for such an outcome the topic is searched.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.retry import retry_forever
from sluice_status_watcher.domain.outcome_query import OutcomeQuery
from sluice_status_watcher.domain.published_outcome import AppendedOutcome
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.ports import ResultsReader, StatusPublisher
from sluice_status_watcher.services.outcome_lookup import find_outcomes

__all__ = ["ResultsRepair"]

_log = structlog.get_logger(__name__)

_LOOK_BACK = timedelta(hours=1)
_MAX_RETRIED = 50_000
# Outcomes to search for at once: as many may be late after Kafka was away for hours.
_MAX_LATE = 10_000


class ResultsRepair:
    """Reads the results topic without end, and appends outcomes that an older attempt hides.

    Only the last 50,000 Workflows that were retried are remembered: others have a single attempt.
    The topic is searched for what is not remembered. Several processes that repair at once append
    the same record.
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
        self._latest: dict[str, OutcomeQuery] = {}
        """Asks for the highest attempt that the topic holds, by uid."""
        self._hidden: set[str] = set()
        self._late: dict[str, OutcomeQuery] = {}
        """Asks for attempts after those that were appended late, by uid."""
        self._caught_up_at = self._remembered_since = datetime.min.replace(tzinfo=UTC)

    async def run(self) -> None:
        """Read and repair, without end; after an error of Kafka it goes on after a pause."""
        self._caught_up_at = self._now()
        self._remembered_since = self._caught_up_at - _LOOK_BACK
        outcomes = self._tail()

        async def catch_up() -> None:
            """Read to where the topic ends now, and repair."""
            nonlocal outcomes
            try:
                async for outcome in outcomes:
                    if outcome is None:
                        self._caught_up_at = self._now()
                        await self._look_up()
                        await self._restore()
                        return
                    self._note(outcome)
                    if len(self._late) >= _MAX_LATE:
                        await self._look_up()
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
        return self._results.tail(since=self._caught_up_at - _LOOK_BACK)

    def _note(self, outcome: AppendedOutcome) -> None:
        uid, latest = outcome.uid, self._latest.get(outcome.uid)
        query = OutcomeQuery(
            uid=uid,
            attempt=outcome.attempt,
            record_key=outcome.record_key,
            since=outcome.appended_at,
        )
        if latest is None and outcome.observed_at < self._remembered_since:
            # A later attempt ended after this one was observed.
            self._late[uid] = replace(query, since=outcome.observed_at)
        if outcome.attempt < (latest.attempt if latest else 2):
            if latest is not None:
                self._hidden.add(uid)
            return
        self._hidden.discard(uid)
        self._remember(query)

    def _remember(self, query: OutcomeQuery) -> None:
        self._latest.pop(query.uid, None)
        self._latest[query.uid] = query
        if len(self._latest) > _MAX_RETRIED:
            forgotten = self._latest.pop(next(iter(self._latest)))
            self._remembered_since = max(self._remembered_since, forgotten.since)
            self._hidden.discard(forgotten.uid)

    async def _look_up(self) -> None:
        """Search for attempts that are later than those appended late."""
        found = await find_outcomes(self._late.values(), self._results)
        for uid, query in self._late.items():
            known, record = self._latest.get(uid, query), found.get(uid)
            if record is not None and record.outcome.attempt > known.attempt:
                self._remember(replace(query, attempt=record.outcome.attempt))
                self._hidden.add(uid)
        self._late.clear()

    async def _restore(self) -> None:
        """Append the later attempts again, once the topic was read to its end."""
        hidden = {uid: self._latest[uid] for uid in self._hidden}
        found = await find_outcomes(hidden.values(), self._results)
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
