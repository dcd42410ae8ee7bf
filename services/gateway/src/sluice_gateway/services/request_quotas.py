"""Bounds the records that a principal, and all principals of a tenant, write to Kafka."""

import math
import time
from collections.abc import Callable
from typing import Final

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.quotas import Quota, Usage, take, usage_at

__all__ = ["RequestQuotas"]

# Beyond so many, those that are wholly restored are forgotten, at most once in these seconds.
_MOST_KEYS: Final = 10_000
_BETWEEN_LOOKS_S: Final = 1.0


class RequestQuotas:
    """Counts requests for runs and commands; without a quota, nothing is counted.

    Each replica of the gateway counts by itself.

    Args:
        per_principal: what each principal may ask for; None: anything.
        per_tenant: what may be asked for in the name of each tenant; None: anything.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        *,
        per_principal: Quota | None = None,
        per_tenant: Quota | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_principal = per_principal
        self._per_tenant = per_tenant
        self._clock = clock
        self._restored_at: dict[tuple[str, str], float] = {}
        self._next_look = 0.0

    def take(self, *, principal: str, tenant: str) -> None:
        """Count a request of the principal for the tenant.

        Raises:
            ProblemError: RATE_LIMITED, a quota is used up; nothing was counted.
        """
        counted = []
        for quota, key in ((self._per_principal, principal), (self._per_tenant, tenant)):
            if quota is None:
                continue
            place = quota.name, key
            restored_at, usage = take(quota, self._restored_at.get(place, 0.0), now=self._clock())
            if usage.retry_after is not None:
                raise _used_up(usage, who=f"{quota.name} {key}", after=usage.retry_after)
            counted.append((place, restored_at))
        self._restored_at.update(counted)
        if len(self._restored_at) > _MOST_KEYS and self._clock() >= self._next_look:
            self._forget_restored()

    def usage(self, principal: str) -> Usage | None:
        """Return what is left for the principal; None if there is no quota."""
        if (quota := self._per_principal) is None:
            return None
        restored_at = self._restored_at.get((quota.name, principal), 0.0)
        return usage_at(quota, restored_at, now=self._clock())

    def _forget_restored(self) -> None:
        now = self._clock()
        self._next_look = now + _BETWEEN_LOOKS_S
        self._restored_at = {place: at for place, at in self._restored_at.items() if at > now}


def _used_up(usage: Usage, *, who: str, after: float) -> ProblemError:
    quota = usage.quota
    return ProblemError.of(
        ProblemType.RATE_LIMITED,
        f"The {who} has used up its quota of {quota.requests} requests in {quota.window:g} s. "
        "Nothing was written.",
        retry_after=max(1, math.ceil(after)),
    )
