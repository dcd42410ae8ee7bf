"""Which runs are live: Workflows that were seen, and those that this dispatcher is about to create.

The Workflows of all dispatchers are seen with some delay. Own ones count from their admission on,
until they are seen, or until they are known not to exist.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Protocol

from sluice_argo import metadata

__all__ = ["CountLive", "LiveRuns"]


class CountLive(Protocol):
    """Called for each run that becomes live, or no longer is: `change` is 1 or -1."""

    def __call__(self, *, tenant: str, workflow: str, change: int) -> None:
        """Count one run."""


@dataclass(frozen=True, kw_only=True)
class _Seen:
    name: str
    namespace: str
    tenant: str
    workflow: str
    live: bool


@dataclass(kw_only=True)
class _Admitted:
    tenant: str
    workflow: str
    exists_since: float | None = None
    """When its creation was acknowledged."""
    forget_at: float | None = None
    """When a create that was not acknowledged can no longer take effect."""
    unlisted: set[str] = field(default_factory=set)
    """Namespaces that may have the Workflow, and were not listed since."""


class LiveRuns:
    """Live runs by the names of their Workflows; all times are of one clock, in seconds.

    `places` returns the namespaces that may have Workflows of a tenant.
    """

    def __init__(self, count: CountLive, *, places: Callable[[str], Sequence[str]]) -> None:
        self._count = count
        self._places = places
        self._seen: dict[str, _Seen] = {}
        self._uid_of: dict[str, str] = {}
        self._admitted: dict[str, _Admitted] = {}

    def exists(self, name: str) -> bool:
        """Return whether a Workflow of that name was seen, live or finished."""
        return name in self._uid_of

    def is_live(self, name: str) -> bool:
        """Return whether a Workflow of that name was seen and has not finished."""
        return (uid := self._uid_of.get(name)) is not None and self._seen[uid].live

    def admit(self, name: str, *, tenant: str, workflow: str) -> None:
        """Note a run that is about to start; it is counted already.

        An earlier attempt that was given up does not count any more.
        """
        self._forget(name)
        self._admitted[name] = _Admitted(tenant=tenant, workflow=workflow)

    def created(self, name: str, *, now: float) -> None:
        """Note that the Workflow of an admitted run exists."""
        if (run := self._admitted.get(name)) is not None:
            run.exists_since, run.unlisted = now, set(self._places(run.tenant))

    def gave_up(self, name: str, *, forget_at: float | None) -> None:
        """Note that an admitted run was not started, or that this is not known before a time."""
        if (run := self._admitted.get(name)) is None:
            return
        if forget_at is None:
            self._forget(name)
        else:
            run.forget_at = forget_at

    def expire(self, *, now: float) -> None:
        """Stop counting admitted runs that can no longer be created."""
        due = [
            name
            for name, run in self._admitted.items()
            if run.forget_at is not None and run.forget_at <= now
        ]
        for name in due:
            self._forget(name)

    def see(self, workflow: dict[str, Any], *, gone: bool) -> str | None:
        """Note a Workflow as it is now; return the name of a run that exists or changed."""
        obj = workflow["metadata"]
        uid, name, labels = obj["uid"], obj["name"], obj.get("labels") or {}
        tenant, kind = labels.get(metadata.TENANT), labels.get(metadata.WORKFLOW)
        if gone or tenant is None or kind is None:
            self._lose(uid)
            return name if gone else None
        before = self._seen.get(uid)
        now = _Seen(
            name=name,
            namespace=obj["namespace"],
            tenant=tenant,
            workflow=kind,
            live=labels.get(metadata.COMPLETED) != "true",
        )
        if now == before:
            return None
        self._lose(uid)
        self._seen[uid], self._uid_of[name] = now, uid
        if now.live:
            self._count(tenant=tenant, workflow=kind, change=1)
        self._forget(name)
        return str(name)

    def complete(self, uids: AbstractSet[str], *, namespace: str, listed_at: float) -> None:
        """Note a complete list, read after `listed_at`: the namespace has nothing else."""
        for uid in self._seen.keys() - uids:
            if self._seen[uid].namespace == namespace:
                self._lose(uid)
        for name, run in list(self._admitted.items()):
            if run.exists_since is not None and run.exists_since < listed_at:
                run.unlisted.discard(namespace)
                if not run.unlisted:
                    self._forget(name)

    def _lose(self, uid: str) -> None:
        if (seen := self._seen.pop(uid, None)) is None:
            return
        # A Workflow of the same name may have been seen meanwhile.
        if self._uid_of.get(seen.name) == uid:
            del self._uid_of[seen.name]
        if seen.live:
            self._count(tenant=seen.tenant, workflow=seen.workflow, change=-1)

    def _forget(self, name: str) -> None:
        if (run := self._admitted.pop(name, None)) is not None:
            self._count(tenant=run.tenant, workflow=run.workflow, change=-1)
