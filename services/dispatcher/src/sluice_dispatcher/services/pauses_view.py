"""What is paused now, by the records of the controls topic."""

from collections.abc import Mapping
from typing import Protocol

from sluice_contracts.controls import Control, ControlTarget
from sluice_dispatcher.domain.pauses import NO_PAUSES, Pauses, pauses_of

__all__ = ["Controls", "PausesView"]


class Controls(Protocol):
    """The last control of each target; another mapping after each change."""

    states: Mapping[ControlTarget, Control]


class PausesView:
    """Makes pauses of controls, once for each change."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._seen: Mapping[ControlTarget, Control] | None = None
        self._pauses = NO_PAUSES

    def pauses(self) -> Pauses:
        """Return what is paused; the same object until something changes."""
        states = self._controls.states
        if states is not self._seen:
            self._seen, self._pauses = states, pauses_of(states)
        return self._pauses
