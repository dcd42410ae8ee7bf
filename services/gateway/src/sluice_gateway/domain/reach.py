"""Where a scope is allowed: some workflows of some tenants; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["ANY", "Area", "Reach"]

ANY: Final = "*"
"""In a grant: every tenant, or every workflow; behind the kind of a principal: every id."""


@dataclass(frozen=True, kw_only=True)
class Area:
    """Some workflows of some tenants; `*` is all of them."""

    tenants: frozenset[str]
    workflows: frozenset[str]

    def __post_init__(self) -> None:
        """Drop what `*` includes, so that equal areas are equal."""
        for name in ("tenants", "workflows"):
            if ANY in getattr(self, name):
                object.__setattr__(self, name, frozenset({ANY}))

    def has(self, *, tenant: str, workflow: str | None) -> bool:
        """Return whether it has the workflow of the tenant; one that is not known is in `*` only.

        A run has no known workflow while only a part of its records can be read.
        """
        return _has(self.tenants, tenant) and _has(self.workflows, workflow)

    def shared_with(self, other: Self) -> "Area":
        """Return what both areas have."""
        return Area(
            tenants=_shared(self.tenants, other.tenants),
            workflows=_shared(self.workflows, other.workflows),
        )

    def covers(self, other: Self) -> bool:
        """Return whether it has all that the other one has."""
        return _covers(self.tenants, other.tenants) and _covers(self.workflows, other.workflows)


@dataclass(frozen=True)
class Reach:
    """Where a scope is allowed: in any of the areas."""

    areas: frozenset[Area]

    @classmethod
    def of(cls, areas: Iterable[Area]) -> Self:
        """Join areas; those that others cover are left out."""
        found = frozenset(each for each in areas if each.tenants and each.workflows)
        return cls(
            frozenset(
                each
                for each in found
                if not any(other != each and other.covers(each) for other in found)
            )
        )

    @property
    def everything(self) -> bool:
        """Whether it has all workflows of all tenants."""
        return any(ANY in each.tenants and ANY in each.workflows for each in self.areas)

    @property
    def tenants(self) -> frozenset[str] | None:
        """The tenants of all areas; None for all that there are."""
        tenants = frozenset(name for each in self.areas for name in each.tenants)
        return None if ANY in tenants else tenants

    def has(self, *, tenant: str, workflow: str | None) -> bool:
        """Return whether an area has the workflow of the tenant."""
        return any(each.has(tenant=tenant, workflow=workflow) for each in self.areas)

    def shared_with(self, other: Self) -> Self:
        """Return where both scopes are allowed."""
        return self.of(mine.shared_with(theirs) for mine in self.areas for theirs in other.areas)

    def has_tenant(self, tenant: str) -> bool:
        """Return whether an area has any workflow of the tenant."""
        return any(_has(each.tenants, tenant) for each in self.areas)

    def has_workflow(self, workflow: str) -> bool:
        """Return whether an area has the workflow of any tenant."""
        return any(_has(each.workflows, workflow) for each in self.areas)

    def __bool__(self) -> bool:
        """Return whether it has anything."""
        return bool(self.areas)


def _shared(names: frozenset[str], others: frozenset[str]) -> frozenset[str]:
    if ANY in names:
        return others
    return names if ANY in others else names & others


def _has(names: frozenset[str], name: str | None) -> bool:
    return ANY in names or (name is not None and name in names)


def _covers(names: frozenset[str], others: frozenset[str]) -> bool:
    return ANY in names or others <= names
