"""Reads what is known of a run, and never denies one that may exist."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.status import Phase
from sluice_gateway.domain.errors import HiddenRunError, ProblemError
from sluice_gateway.domain.identity import Access, Scope
from sluice_gateway.domain.models import RunState
from sluice_gateway.domain.run_query import KindCount, RunFilter, RunPage, RunPlace
from sluice_gateway.ports import RunView, ViewUnavailableError

__all__ = [
    "RunReader",
    "find_allowed",
    "find_if_any",
    "find_or_raise",
    "unavailable",
    "view_problems",
]

_RETRY_AFTER_S = 2
_MAX_SEARCHES = 32

T = TypeVar("T")


class RunReader:
    """Reads runs and lists of them.

    A list may look at very many runs, and the view answers everything else meanwhile more slowly.
    So one is read at a time, and only a few wait.
    """

    def __init__(self, *, view: RunView) -> None:
        self._view = view
        self._searching = asyncio.Lock()
        self._searches = 0

    async def state(self, key: RunKey, access: Access) -> RunState:
        """Return the run's latest state, if it may be read.

        Raises:
            ProblemError: UNKNOWN_RUN; or UNAVAILABLE, as long as that is not known.
        """
        return await find_allowed(self._view, key, access, Scope.READ)

    async def shows_payloads(self, key: RunKey, access: Access) -> bool:
        """Return whether the run may be read with its payloads.

        A run that may be read whatever its workflow is may be unknown all the same.

        Raises:
            ProblemError: UNKNOWN_RUN, the run may not be read at all; or UNAVAILABLE.
        """
        scopes = Scope.READ, Scope.PAYLOADS
        reads, shows = (access.allows_for_run(each, key, workflow=None) for each in scopes)
        if reads and (shows or not access.could_allow(Scope.PAYLOADS, key)):
            return shows
        state = await self.state(key, access)
        return access.allows_for_run(Scope.PAYLOADS, key, workflow=state.workflow)

    async def page(self, query: RunFilter, *, before: RunPlace | None, limit: int) -> RunPage:
        """Return a part of the list of runs.

        Raises:
            ProblemError: UNAVAILABLE or OVERLOADED.
        """
        async with self._search():
            return await self._view.list(query, before=before, limit=limit)

    async def counts(self, query: RunFilter) -> Mapping[Phase, int]:
        """Return the number of runs in each phase.

        Raises:
            ProblemError: UNAVAILABLE or OVERLOADED.
        """
        async with self._search():
            return await self._view.count(query)

    async def kinds(self, query: RunFilter) -> Sequence[KindCount]:
        """Return the number of runs of each workflow of each tenant in each phase.

        Raises:
            ProblemError: UNAVAILABLE or OVERLOADED.
        """
        async with self._search():
            return await self._view.count_kinds(query)

    @asynccontextmanager
    async def _search(self) -> AsyncIterator[None]:
        if self._searches >= _MAX_SEARCHES:
            raise ProblemError.of(
                ProblemType.OVERLOADED,
                "Too many lists and counts are being read. Ask again later.",
                retry_after=_RETRY_AFTER_S,
            )
        self._searches += 1
        try:
            with view_problems():
                async with self._searching:
                    yield
        finally:
            self._searches -= 1


async def find_allowed(view: RunView, key: RunKey, access: Access, *scopes: Scope) -> RunState:
    """Return the run's latest state, if one of the scopes is allowed for it.

    A run that is hidden is looked for as long as one that does not exist, and the problem is the
    same: nobody learns which ids are taken.

    Raises:
        ProblemError: UNKNOWN_RUN; or UNAVAILABLE, as long as that is not known.
    """
    if not any(access.could_allow(scope, key) for scope in scopes):
        raise _unknown()

    hidden = False

    async def look() -> RunState | None:
        nonlocal hidden
        state = await view.find(key)
        hidden = state is not None and not any(
            access.allows_for_run(scope, key, workflow=state.workflow) for scope in scopes
        )
        return None if hidden else state

    state = await find_if_any(look, view=view)
    if state is None:
        raise _unknown(HiddenRunError if hidden else ProblemError)
    return state


async def find_or_raise(look: Callable[[], Awaitable[T | None]], *, view: RunView) -> T:
    """Return what is found of a run.

    Raises:
        ProblemError: UNKNOWN_RUN; or UNAVAILABLE, as long as that is not known.
    """
    found = await find_if_any(look, view=view)
    if found is None:
        raise _unknown()
    return found


async def find_if_any(look: Callable[[], Awaitable[T | None]], *, view: RunView) -> T | None:
    """Return what is found of a run, None if there is none.

    Another replica may have accepted it a moment ago, so none is called unknown before everything
    is read.

    Raises:
        ProblemError: UNAVAILABLE, as long as that is not known.
    """
    with view_problems():
        found = await look()
        if found is not None:
            return found
        missing = await view.catch_up()
        found = await look()
    if found is None and missing is not None:
        raise unavailable(f"The run is not known here yet: {missing}.")
    return found


def _unknown(kind: type[ProblemError] = ProblemError) -> ProblemError:
    return kind.of(
        ProblemType.UNKNOWN_RUN,
        "There is no such run, or it was forgotten: outcomes are kept as long as the status topic "
        "is.",
    )


@contextmanager
def view_problems() -> Iterator[None]:
    """Raise a problem if the body finds that there is no view.

    Raises:
        ProblemError: UNAVAILABLE.
    """
    try:
        yield
    except ViewUnavailableError as e:
        raise unavailable(
            f"Runs cannot be read here now: {e}. They go on all the same, and can be started."
        ) from e


def unavailable(detail: str) -> ProblemError:
    """Return the problem that something cannot be known now."""
    return ProblemError.of(ProblemType.UNAVAILABLE, detail, retry_after=_RETRY_AFTER_S)
