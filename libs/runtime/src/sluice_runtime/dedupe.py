"""How long a finished Workflow outlives its outcome, so that no late create can start it twice.

While a Workflow exists its name refuses a second one. Once it is gone, only the ledger of outcomes
does, and a create that was decided before the ledger knew may still be under way. The dispatcher
and the status-watcher share these settings, because the margin is an agreement between them.
"""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sluice_runtime.durations import Duration

__all__ = ["APPLY_SLACK", "DedupeSettings"]

APPLY_SLACK = timedelta(seconds=10)
"""For what etcd may still accept after the API server's deadline.

etcd waits 5 s and two elections of 1 s for a proposal to enter its log (`ReqTimeout` in
server/config/config.go). What is in the log by then comes before any later deletion.
"""


class DedupeSettings(BaseModel):
    """What keeps one id to one Workflow once the Workflow is gone. Give both services the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ledger_freshness: Annotated[
        Duration,
        Field(
            ge=timedelta(seconds=2),
            description="How far the dispatcher's ledger of outcomes may be behind, before "
            "requests wait for it.",
        ),
    ] = timedelta(seconds=5)
    create_timeout: Annotated[
        Duration,
        Field(
            ge=timedelta(seconds=1),
            description="After which the dispatcher gives up creating a Workflow, and the API "
            "server too; each admission webhook may take 10 s of it.",
        ),
    ] = timedelta(seconds=15)
    release_after: Annotated[
        Duration,
        Field(
            description="How long the status-watcher holds a finished Workflow after its outcome "
            "is acknowledged. At least 2 * (ledger_freshness + create_timeout) + 10s.",
        ),
    ] = timedelta(seconds=60)

    @property
    def least_release_after(self) -> timedelta:
        """Give the longest time from an outcome's publication to a create that ignores it.

        The ledger may not know it for `ledger_freshness`, and a process may be stopped for as long
        before it sends and not notice. The API server may receive the create up to
        `create_timeout` after that, counts its own `create_timeout` from there, and etcd needs the
        rest.
        """
        return 2 * (self.ledger_freshness + self.create_timeout) + APPLY_SLACK

    @model_validator(mode="after")
    def _outlives_late_creates(self) -> Self:
        if self.release_after < self.least_release_after:
            raise ValueError(
                f"release_after is {_text(self.release_after)}, but a create that was decided "
                "before an outcome was known may land up to 2 * (ledger_freshness + "
                f"create_timeout) + {_text(APPLY_SLACK)} later, and would start the run twice. "
                "Raise SLUICE_DEDUPE__RELEASE_AFTER, for both services, to at least "
                f"{_text(self.least_release_after)}."
            )
        return self


def _text(duration: timedelta) -> str:
    return f"{duration.total_seconds():g}s"
