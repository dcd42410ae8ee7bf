"""How long a finished Workflow is kept, so that no late create can start its run twice.

While a Workflow exists, the API server refuses a second one of its name. After its deletion only
the ledger of outcomes prevents a second one. A create that was decided before the ledger had the
outcome may still be in flight. The dispatcher and the status-watcher share these settings, because
both must agree on the margin.
"""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sluice_runtime.durations import Duration

__all__ = ["APPLY_SLACK", "DedupeSettings"]

APPLY_SLACK = timedelta(seconds=10)
"""The time for which etcd may still accept a write after the API server's deadline.

etcd waits 5 s and two elections of 1 s for a proposal to enter its log (`ReqTimeout` in
server/config/config.go). A proposal that is in the log by then precedes any later deletion.
"""


class DedupeSettings(BaseModel):
    """The settings that keep one id to one Workflow; both services must have the same values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ledger_freshness: Annotated[
        Duration,
        Field(
            ge=timedelta(seconds=2),
            description="The dispatcher's ledger of outcomes may be this far behind; beyond it, "
            "requests wait.",
        ),
    ] = timedelta(seconds=5)
    create_timeout: Annotated[
        Duration,
        Field(
            ge=timedelta(seconds=1),
            description="Time limit for creating a Workflow, in the dispatcher and in the API "
            "server; each admission webhook may use 10 s of it.",
        ),
    ] = timedelta(seconds=15)
    release_after: Annotated[
        Duration,
        Field(
            description="How long the status-watcher keeps a finished Workflow after Kafka has "
            "acknowledged its outcome. At least 2 * (ledger_freshness + create_timeout) + 10s.",
        ),
    ] = timedelta(seconds=60)

    @property
    def least_release_after(self) -> timedelta:
        """The longest time between the publication of an outcome and a create that ignores it.

        The ledger may miss the outcome for `ledger_freshness`. A process may be stopped for as long
        before it sends, without noticing. The API server may receive the create up to
        `create_timeout` later, and then starts its own `create_timeout`. etcd needs the rest.
        """
        return 2 * (self.ledger_freshness + self.create_timeout) + APPLY_SLACK

    @model_validator(mode="after")
    def _outlives_late_creates(self) -> Self:
        if self.release_after < self.least_release_after:
            raise ValueError(
                f"release_after is {_text(self.release_after)}, but a create that was decided "
                "before an outcome was known may arrive up to 2 * (ledger_freshness + "
                f"create_timeout) + {_text(APPLY_SLACK)} later, and would start the run twice. "
                "Set SLUICE_DEDUPE__RELEASE_AFTER, for both services, to at least "
                f"{_text(self.least_release_after)}."
            )
        return self


def _text(duration: timedelta) -> str:
    return f"{duration.total_seconds():g}s"
