"""A run, to follow and to command without `await`."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from sluice_client import runs as asynchronous
from sluice_client.errors import SluiceError
from sluice_client.logs import LogLine
from sluice_client.outcomes import Event, Outcome
from sluice_client.sync_loop import LoopInThread
from sluice_contracts.http_documents import RunDocument
from sluice_contracts.requests import Priority

__all__ = ["Item", "Run"]


class Run:
    """A run; making one asks nothing. See `sluice_client.Run`."""

    def __init__(self, loop: LoopInThread, run: asynchronous.Run) -> None:
        self._loop = loop
        self._run = run

    @property
    def id(self) -> str:
        """Its id, unique within the tenant."""
        return self._run.id

    @property
    def tenant(self) -> str:
        """Who it belongs to."""
        return self._run.tenant

    @property
    def watch_link(self) -> str | None:
        """A path that shows it to others, if the gateway makes such links."""
        return self._run.watch_link

    @property
    def existed(self) -> bool:
        """Whether a start has found it there."""
        return self._run.existed

    @property
    def found(self) -> RunDocument | None:
        """Its state then; None if it is new, or if it may not be read."""
        return self._run.found

    def __repr__(self) -> str:
        """Name the run."""
        return repr(self._run)

    def state(self) -> RunDocument:
        """Return the latest state, with all steps."""
        return self._loop.call(self._run.state())

    def wait(self, timeout: float | None = None, *, attempt: int = 1) -> Outcome:
        """Return how the run has ended, once it has; at most after `timeout` seconds."""
        return self._loop.call(self._run.wait(timeout, attempt=attempt))

    def events(self, *, after: str | None = None) -> Generator[Event]:
        """Yield what happens to the run, until it is over."""
        return self._loop.each(self._run.events(after=after))

    def logs(
        self, step: str, *, tail: int | None = None, follow: bool = False, after: str | None = None
    ) -> Generator[LogLine]:
        """Yield what a step has written; with `follow`, also what it writes until it ends."""
        return self._loop.each(self._run.logs(step, tail=tail, follow=follow, after=after))

    def stop(self, *, reason: str | None = None) -> str:
        """Stop the run; its exit handlers run."""
        return self._loop.call(self._run.stop(reason=reason))

    def terminate(self, *, reason: str | None = None) -> str:
        """Terminate the run at once."""
        return self._loop.call(self._run.terminate(reason=reason))

    def suspend(self, *, reason: str | None = None) -> str:
        """Start no further steps."""
        return self._loop.call(self._run.suspend(reason=reason))

    def resume(
        self,
        step: str | None = None,
        values: Mapping[str, str] | None = None,
        *,
        reason: str | None = None,
    ) -> str:
        """Let the run go on, or one suspended step of it, with the values that it waits for."""
        return self._loop.call(self._run.resume(step, values, reason=reason))

    def retry(
        self,
        step: str | None = None,
        *,
        restart_succeeded: bool = False,
        reason: str | None = None,
    ) -> str:
        """Run again what did not succeed, or a step and all that follows it, or everything."""
        return self._loop.call(
            self._run.retry(step, restart_succeeded=restart_succeeded, reason=reason)
        )

    def rerun(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the name that it has everywhere
        parameters: Mapping[str, JsonValue] | None = None,
        labels: Mapping[str, str] | None = None,
        priority: Priority | None = None,
        expires_at: datetime | None = None,
    ) -> "Run":
        """Start a new run with the parameters of this one, which becomes its parent."""
        work = self._run.rerun(
            id=id, parameters=parameters, labels=labels, priority=priority, expires_at=expires_at
        )
        return Run(self._loop, self._loop.call(work))


@dataclass(frozen=True, kw_only=True)
class Item:
    """What became of one run of many; `error` is None if it was accepted."""

    run: Run
    error: SluiceError | None

    def raise_for_error(self) -> Run:
        """Return the run, if it was accepted; else raise the error."""
        if self.error is not None:
            raise self.error
        return self.run
