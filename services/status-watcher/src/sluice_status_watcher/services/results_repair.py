"""Keeps the last attempt's outcome the last one on the results topic.

The topic is compacted: of each key the last record stays. A record that was given up by whoever
sent it may be appended all the same, any time later: it was in a socket's buffer, in a broker that
was frozen, or in a process that was. By then the run may have been retried and have ended again,
and compaction would keep the older attempt. No timeout rules that out, so it is put right: the
topic is read as it grows, and an outcome that stands behind one of a later attempt is followed by
that later one once more.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.domain.published_outcome import AppendedOutcome
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.ports import ResultsReader

__all__ = ["ResultsRepair"]

_log = structlog.get_logger(__name__)

_LOOK_BACK = timedelta(hours=1)
_MAX_RETRIED = 50_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Latest:
    """The highest attempt of a Workflow that the topic holds, and where that is to be found."""

    attempt: int
    record_key: bytes
    appended_at: datetime


class ResultsRepair:
    """Reads the results topic for ever, and writes again what an older attempt has superseded.

    Only Workflows that were retried are remembered, the last 50,000 of them: the rest have no
    attempt that another one could hide. Several that do this at once write the same record.
    """

    def __init__(
        self,
        published: ResultsReader,
        publisher: KafkaStatusPublisher,
        *,
        metrics: Metrics,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        backoff: Backoff | None = None,
    ) -> None:
        self._published = published
        self._publisher = publisher
        self._metrics = metrics
        self._now = now
        self._backoff = backoff or Backoff()
        self._latest: dict[str, _Latest] = {}
        self._hidden: set[str] = set()

    async def run(self) -> None:
        """Do so for ever; what goes wrong with Kafka is tried again after a pause."""
        failures = 0
        while True:
            try:
                # What is read once more after a failure says nothing new.
                outcomes = self._published.tail(since=self._now() - _LOOK_BACK)
                async with aclosing(outcomes):
                    async for outcome in outcomes:
                        if outcome is not None:
                            self._note(outcome)
                            continue
                        if self._hidden:
                            await self._restore()
                        failures = 0
            except KafkaUnavailableError as e:
                failures += 1
                pause = self._backoff.delay(failures)
                _log.warning("cannot follow the results topic", error=str(e), retry_in=pause)
                await asyncio.sleep(pause)

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
        """Write the later attempts again, once the topic was read to its end."""
        hidden = {uid: self._latest[uid] for uid in self._hidden}
        found = await self._published.find(
            {uid: latest.record_key for uid, latest in hidden.items()},
            since=min(latest.appended_at for latest in hidden.values()),
        )
        for uid, latest in hidden.items():
            published = found.get(uid)
            if published is None or published.outcome.attempt < latest.attempt:
                _log.error("the last attempt's outcome is lost", uid=uid, attempt=latest.attempt)
            else:
                await self._publisher.restore(published.record)
                self._metrics.restored.inc()
                _log.warning("an earlier attempt came late", uid=uid, attempt=latest.attempt)
            self._hidden.discard(uid)
