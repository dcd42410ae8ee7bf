"""What the clients over HTTP and over Kafka have in common."""

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any, Protocol, TypedDict, TypeVar

from sluice_client.outcomes import Event, Outcome
from sluice_contracts.requests import Priority

__all__ = ["RunHandle", "RunStarter", "StartOptions"]

R_co = TypeVar("R_co", covariant=True)


class StartOptions(TypedDict, total=False):
    """What a run may have beside its parameters."""

    id: str | None
    tenant: str | None
    labels: Mapping[str, str] | None
    priority: Priority
    expires_at: datetime | None
    parent: str | None


class RunHandle(Protocol):
    """A run, to follow and to command; see `Run`."""

    @property
    def id(self) -> str:
        """Its id, unique within the tenant."""
        ...

    @property
    def tenant(self) -> str:
        """Who it belongs to."""
        ...

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - of several requests
        *,
        attempt: int = 1,
    ) -> Outcome:
        """Return how the run has ended, once it has; of this attempt or a later one."""
        ...

    def events(self, *, after: str | None = None) -> AsyncGenerator[Event]:
        """Yield what happens to the run."""
        ...

    async def stop(self, *, reason: str | None = None) -> str:
        """Stop the run; return where the command stands on Kafka."""
        ...

    async def terminate(self, *, reason: str | None = None) -> str:
        """Terminate the run; return where the command stands on Kafka."""
        ...

    async def suspend(self, *, reason: str | None = None) -> str:
        """Suspend the run; return where the command stands on Kafka."""
        ...

    async def resume(
        self,
        step: str | None = None,
        values: Mapping[str, str] | None = None,
        *,
        reason: str | None = None,
    ) -> str:
        """Let the run go on; return where the command stands on Kafka."""
        ...

    async def retry(
        self,
        step: str | None = None,
        *,
        restart_succeeded: bool = False,
        reason: str | None = None,
    ) -> str:
        """Run again what did not succeed; return where the command stands on Kafka."""
        ...


class RunStarter(Protocol[R_co]):
    """What starts runs: `Sluice` and `KafkaSluice`; `R_co` is the run that it returns."""

    async def start(
        self,
        workflow: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the name that it has everywhere
        tenant: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: Priority = "normal",
        expires_at: datetime | None = None,
        parent: str | None = None,
    ) -> R_co:
        """Start a run, and return it once Kafka has the request."""
        ...
