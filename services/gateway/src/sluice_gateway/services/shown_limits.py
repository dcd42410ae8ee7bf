"""The limits of live runs that are shown; the dispatcher alone obeys them."""

from collections.abc import Callable
from dataclasses import dataclass

from sluice_runtime.live_limits import Limits

__all__ = ["ShownLimits"]


def _none_known() -> None:
    """Know no limits."""


@dataclass(frozen=True, kw_only=True)
class ShownLimits:
    """The limits as they are now; None if they are not known."""

    current: Callable[[], Limits | None] = _none_known
