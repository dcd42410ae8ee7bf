"""The watches of all namespaces as one: what probes, metrics and the leader election ask."""

from collections.abc import Callable, Iterator, Sequence

from sluice_status_watcher.handlers.namespace_watch import NamespaceWatch

__all__ = ["NamespaceWatches"]


class NamespaceWatches:
    """The watches of all namespaces; each goes on whatever the others do."""

    def __init__(self, watches: Sequence[NamespaceWatch]) -> None:
        self._watches = watches

    def __iter__(self) -> Iterator[NamespaceWatch]:
        return iter(self._watches)

    def first(self, problem: Callable[[NamespaceWatch], str | None]) -> str | None:
        """Return the first problem, with its namespace if there are several; None without one."""
        for watch in self._watches:
            if (why := problem(watch)) is not None:
                return why if len(self._watches) == 1 else f"namespace {watch.namespace}: {why}"
        return None

    def error(self) -> str | None:
        """Return which attempt has failed last, and why; None if none has."""
        return self.first(lambda watch: watch.health.error)

    def unhealthy(self) -> str | None:
        """Return why this process cannot do the work; None if it can.

        A namespace that the API server denies is denied to the other processes as well. So it
        counts only if all are denied.
        """
        if all(watch.health.is_denied for watch in self._watches):
            return self.error()
        return self.first(lambda watch: None if watch.health.is_denied else watch.health.error)

    def idle_seconds(self) -> float:
        """Return how long the API server has sent nothing about some namespace."""
        return max(watch.health.idle_seconds() for watch in self._watches)
