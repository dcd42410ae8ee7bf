"""What is known of a run, told without ever denying one that may exist."""

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_gateway.services.errors import ProblemError
from sluice_gateway.services.ports import RunView
from sluice_gateway.services.runs import RunState

__all__ = ["RunReader", "unknown_run"]

_RETRY_AFTER_S = 2


class RunReader:
    """Reads the latest state of runs."""

    def __init__(self, *, view: RunView) -> None:
        self._view = view

    async def state(self, key: RunKey) -> RunState:
        """Give the run's latest state.

        Raises:
            ProblemError: UNKNOWN_RUN; or UNAVAILABLE, as long as that cannot be told.
        """
        state = await self._view.find(key)
        if state is None:
            raise unknown_run(self._view)
        return state


def unknown_run(view: RunView) -> ProblemError:
    """Say that there is no such run, or that it is too early to say so."""
    waiting_for = view.waiting_for()
    if waiting_for is not None:
        return ProblemError.of(
            ProblemType.UNAVAILABLE,
            f"The run is not known here yet: {waiting_for}.",
            retry_after=_RETRY_AFTER_S,
        )
    return ProblemError.of(
        ProblemType.UNKNOWN_RUN,
        "There is no such run, or it was forgotten: outcomes are kept as long as the status topic "
        "is.",
    )
