"""Bounds what people who sign in make the gateway ask of the identity provider."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.fair_shares import FairShares
from sluice_gateway.domain.quotas import Quota
from sluice_gateway.services.request_quotas import RequestQuotas

__all__ = ["SignInLimits"]

_PER_ADDRESS: Final = Quota(name="address", requests=30, window=60.0)
_AT_A_TIME: Final = 16
_SHARE: Final = 0.5
_RETRY_AFTER_S: Final = 1


class SignInLimits:
    """Anybody may begin to sign in, and come back with codes that are made up.

    So an address may ask for 30 codes to be redeemed in a minute, and 16 are being redeemed at a
    time, of which one address has at most half of what the others leave.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = RequestQuotas(per_principal=_PER_ADDRESS, clock=clock)
        self._at_a_time = FairShares(budget=_AT_A_TIME, share=_SHARE)

    @contextmanager
    def asking(self, address: str) -> Iterator[None]:
        """Ask the identity provider once, for a client with this address, while the body runs.

        Raises:
            ProblemError: RATE_LIMITED or OVERLOADED; nothing should be asked.
        """
        if not self._at_a_time.take(address, 1):
            raise ProblemError.of(
                ProblemType.OVERLOADED,
                "Too many people are signing in, in all or from your address. Load this page "
                "again.",
                retry_after=_RETRY_AFTER_S,
            )
        try:
            self._rate.take(principal=address, tenant="")
            yield
        finally:
            self._at_a_time.give_back(address, 1)
