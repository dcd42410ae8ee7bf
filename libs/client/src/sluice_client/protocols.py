"""What the clients over HTTP and over Kafka have in common."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any, Protocol, TypedDict, TypeVar

from sluice_client.outcomes import Event, Outcome
from sluice_contracts.ids import RunKey
from sluice_contracts.requests import CommandType, Priority

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


class RunHandle(ABC):
    """A run, to follow and to command; making one asks nothing."""

    def __init__(self, key: RunKey) -> None:
        self._key = key

    @property
    def id(self) -> str:
        """Its id, unique within the tenant."""
        return self._key.run_id

    @property
    def tenant(self) -> str:
        """Who it belongs to."""
        return self._key.tenant

    def __repr__(self) -> str:
        """Name the run."""
        return f"<{type(self).__name__} {self._key}>"

    @abstractmethod
    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - of several requests
        *,
        attempt: int = 1,
    ) -> Outcome:
        """Return how the run has ended, once it has; of this attempt or a later one."""

    @abstractmethod
    def events(self, *, after: str | None = None) -> AsyncGenerator[Event]:
        """Yield what happens to the run."""

    async def stop(self, *, reason: str | None = None) -> str:
        """Stop the run; its exit handlers run. Return where the command stands on Kafka."""
        return await self._command("stop", {"reason": reason})

    async def terminate(self, *, reason: str | None = None) -> str:
        """Terminate the run at once. Return where the command stands on Kafka."""
        return await self._command("terminate", {"reason": reason})

    async def suspend(self, *, reason: str | None = None) -> str:
        """Start no further steps. Return where the command stands on Kafka."""
        return await self._command("suspend", {"reason": reason})

    async def resume(
        self,
        step: str | None = None,
        values: Mapping[str, str] | None = None,
        *,
        reason: str | None = None,
    ) -> str:
        """Let the run go on, or one suspended step of it, with the values that it waits for.

        Return where the command stands on Kafka.

        Raises:
            OutcomeUnknownError: read the run before you repeat it.
        """
        body = {"step": step, "values": dict(values or {}), "reason": reason}
        return await self._command("resume", body)

    async def retry(
        self,
        step: str | None = None,
        *,
        restart_succeeded: bool = False,
        reason: str | None = None,
    ) -> str:
        """Run again what did not succeed, or a step and all that follows it, or everything.

        Return where the command stands on Kafka.

        Raises:
            OutcomeUnknownError: read the run before you repeat it.
        """
        body = {"step": step, "restart_succeeded": restart_succeeded, "reason": reason}
        return await self._command("retry", body)

    @abstractmethod
    async def _command(self, command: CommandType, members: dict[str, Any]) -> str: ...


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
