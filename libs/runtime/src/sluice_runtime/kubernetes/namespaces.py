"""Which namespace the Workflows of a tenant are in.

Names of Workflows are unique within a namespace only. So all services share one mapping, and a
tenant that has moved is looked for where it was before.
"""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

__all__ = ["Namespace", "Namespaces", "TenantNamespace"]

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
Namespace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""Name of a namespace: a DNS label."""


class TenantNamespace(BaseModel):
    """Where the Workflows of one tenant are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    namespace: Annotated[Namespace, Field(description="Namespace of its new Workflows.")]
    moved_from: Annotated[
        tuple[Namespace, ...],
        Field(
            description="Namespaces that may have Workflows of it from before. They are watched, "
            "and looked into before a Workflow is created."
        ),
    ] = ()

    @model_validator(mode="after")
    def _moved_from_elsewhere(self) -> Self:
        if self.namespace in self.moved_from:
            raise ValueError(f"moved_from: {self.namespace} is the namespace of the tenant itself.")
        return self


class Namespaces:
    """The namespaces of all tenants.

    Args:
        default: that of each tenant which has none of its own.
        tenants: those that have, by their names.
    """

    def __init__(self, default: str, tenants: Mapping[str, TenantNamespace] | None = None) -> None:
        self._default = default
        self._tenants = dict(tenants or {})

    @property
    def all(self) -> tuple[str, ...]:
        """Every namespace that can have Workflows, each once, the default one first."""
        places = [place for tenant in sorted(self._tenants) for place in self.places(tenant)]
        return tuple(dict.fromkeys((self._default, *places)))

    def of(self, tenant: str) -> str:
        """Return the namespace in which Workflows of the tenant are created."""
        own = self._tenants.get(tenant)
        return self._default if own is None else own.namespace

    def before(self, tenant: str) -> tuple[str, ...]:
        """Return the namespaces that may have Workflows of the tenant from before."""
        own = self._tenants.get(tenant)
        return () if own is None else own.moved_from

    def places(self, tenant: str) -> tuple[str, ...]:
        """Return all namespaces that may have Workflows of the tenant, the newest first."""
        return (self.of(tenant), *self.before(tenant))
