"""Settings of how many requests each principal and tenant may send."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sluice_gateway.domain.quotas import Quota
from sluice_runtime.durations import Duration

__all__ = ["QuotaSettings", "RateSettings"]


class QuotaSettings(BaseModel):
    """So many requests in a time, restored evenly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: Annotated[int, Field(ge=1, description="Requests, which may come at once.")]
    per: Annotated[
        Duration, Field(gt=timedelta(0), description="The time in which all are restored.")
    ] = timedelta(minutes=1)


class RateSettings(BaseModel):
    """How many requests for runs and commands are taken; one more is answered with 429.

    Each replica of the gateway counts by itself. An item of a batch is a request, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_principal: Annotated[
        QuotaSettings | None, Field(description="Of each principal; None: any number.")
    ] = None
    per_tenant: Annotated[
        QuotaSettings | None, Field(description="For each tenant; None: any number.")
    ] = None

    @property
    def of_principal(self) -> Quota | None:
        """The quota of each principal."""
        return _quota("principal", self.per_principal)

    @property
    def of_tenant(self) -> Quota | None:
        """The quota of each tenant."""
        return _quota("tenant", self.per_tenant)


def _quota(name: str, settings: QuotaSettings | None) -> Quota | None:
    if settings is None:
        return None
    return Quota(name=name, requests=settings.requests, window=settings.per.total_seconds())
