"""What an operator may limit: live runs in all, of a tenant and of a workflow; and weights.

The dispatcher obeys it; the gateway shows it.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from sluice_contracts.ids import Tenant
from sluice_runtime.strict_yaml import StrictModel

__all__ = ["NO_LIMITS", "Limits", "TenantLimits", "WorkflowLimits"]

_Live = Annotated[int | None, Field(ge=0, description="Runs that may be live; None: any number.")]
_OTHERS: Final = "*"


class TenantLimits(StrictModel):
    """The limits of one tenant."""

    weight: Annotated[
        float, Field(ge=0.01, le=1000, description="Its share, in relation to other weights.")
    ] = 1.0
    live: _Live = None
    paused: Annotated[
        str | None, Field(min_length=1, description="Why none of its runs starts for now.")
    ] = None


class WorkflowLimits(StrictModel):
    """The limits of one workflow of the catalogue."""

    live: _Live = None
    paused: Annotated[
        str | None, Field(min_length=1, description="Why none of its runs starts for now.")
    ] = None


_DEFAULT_TENANT: Final = TenantLimits()
_DEFAULT_WORKFLOW: Final = WorkflowLimits()


class Limits(StrictModel):
    """The content of the limits file; `*` is every tenant that is not named."""

    live: _Live = None
    tenants: Mapping[Tenant | Annotated[str, Field(pattern=r"^\*$")], TenantLimits] = {}
    workflows: Mapping[str, WorkflowLimits] = {}

    @property
    def named_tenants(self) -> tuple[str, ...]:
        """The tenants that have limits of their own."""
        return tuple(sorted(name for name in self.tenants if name != _OTHERS))

    def of_tenant(self, tenant: str) -> TenantLimits:
        """Return the limits of a tenant."""
        return self.tenants.get(tenant) or self.tenants.get(_OTHERS) or _DEFAULT_TENANT

    def of_workflow(self, workflow: str) -> WorkflowLimits:
        """Return the limits of a workflow."""
        return self.workflows.get(workflow) or _DEFAULT_WORKFLOW


NO_LIMITS: Final = Limits()
