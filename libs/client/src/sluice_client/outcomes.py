"""How a run has ended, and what happens on its way."""

from dataclasses import dataclass
from typing import Self

from pydantic import JsonValue

from sluice_client.errors import RunFailedError
from sluice_contracts.problems import Problem
from sluice_contracts.status import Phase, StatusEvent

__all__ = ["Event", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """How a run has ended; `state` is its terminal event, with all steps."""

    state: StatusEvent

    @property
    def phase(self) -> Phase:
        """A terminal phase."""
        return self.state.phase

    @property
    def succeeded(self) -> bool:
        """Whether the run has done all that it should."""
        return self.state.phase is Phase.SUCCEEDED

    @property
    def outputs(self) -> dict[str, JsonValue]:
        """The output parameters of the run, by name."""
        return self.state.outputs

    @property
    def problem(self) -> Problem | None:
        """Why the run was Rejected or Expired, or what stopped its pods."""
        return self.state.problem

    def raise_for_failure(self) -> Self:
        """Return itself if the run has succeeded.

        Raises:
            RunFailedError: it has not.
        """
        if not self.succeeded:
            raise RunFailedError(self)
        return self

    def __repr__(self) -> str:
        """Name the run and its phase; outputs may be secret."""
        return f"<Outcome of {self.state.run_id!r}: {self.state.phase}>"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that has happened to a run.

    `place` resumes behind it, over HTTP and over Kafka; None for a queue notice, which cannot be
    resumed behind. `type` is the CloudEvent's type. `state` has the steps that have changed.
    """

    place: str | None
    type: str
    state: StatusEvent

    def __repr__(self) -> str:
        """Name the event; outputs may be secret."""
        return f"<Event {self.type} of {self.state.run_id!r} at {self.place}>"
