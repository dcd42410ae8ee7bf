"""Notes who asked to change something, or was refused: a line in the log, and a record on Kafka."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from sluice_contracts.audit import AuditRecord, Verdict
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import HiddenRunError, ProblemError
from sluice_gateway.domain.identity import Principal
from sluice_gateway.domain.quotas import Quota, take

__all__ = ["Audit", "AuditSink", "verdict_of"]

_log = structlog.get_logger(__name__)


_IN_EVERY_LINE: Final = ("time", "trace_id")
_OF_NOBODY: Final = Quota(name="unidentified", requests=100, window=10.0)


class AuditSink(Protocol):
    """Where audit records go."""

    def put(self, record: AuditRecord) -> None:
        """Take the record; it is written later, and nobody waits for that."""


class Audit:
    """Notes requests; without a sink nothing is noted, because nobody is identified.

    Of requests by nobody known only a few are noted in a time: they cost a client nothing, and the
    audit is kept for long. `clock` is in seconds, from any moment.
    """

    def __init__(
        self,
        sink: AuditSink | None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._now = now
        self._clock = clock
        self._restored_at = 0.0

    def note(
        self,
        principal: Principal | None,
        operation: str,
        result: Verdict | ProblemError,
        *,
        key: RunKey | None = None,
        tenant: str | None = None,
        workflow: str | None = None,
        dead_letter: str | None = None,
        trace_id: str | None = None,
    ) -> None:
        """Note what came of a request; `tenant` counts if there is no `key`."""
        if self._sink is None or (principal is None and not self._may_note_nobody()):
            return
        problem = result.problem.type if isinstance(result, ProblemError) else None
        record = AuditRecord(
            time=self._now(),
            principal=None if principal is None else str(principal),
            operation=operation,
            tenant=tenant if key is None else key.tenant,
            run_id=None if key is None else key.run_id,
            workflow=workflow,
            dead_letter=dead_letter,
            verdict=verdict_of(result),
            problem=problem,
            hidden=isinstance(result, HiddenRunError),
            trace_id=trace_id,
        )
        # Time and trace id are in every line already.
        fields = {name: value for name, value in record if name not in _IN_EVERY_LINE}
        _log.info("audit", **fields)
        self._sink.put(record)

    def _may_note_nobody(self) -> bool:
        self._restored_at, usage = take(_OF_NOBODY, self._restored_at, now=self._clock())
        return usage.retry_after is None


def verdict_of(result: Verdict | ProblemError) -> Verdict:
    """Return the verdict that a problem is."""
    if isinstance(result, Verdict):
        return result
    unknown = result.problem.type is ProblemType.OUTCOME_UNKNOWN
    return Verdict.UNKNOWN if unknown else Verdict.REFUSED
