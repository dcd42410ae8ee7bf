"""What a Lease says, and what it is to say next.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

__all__ = ["Renewal", "holder_of", "released", "renewal_of", "renewed"]

Json = dict[str, Any]
Renewal = tuple[str | None, str | None]
"""The holder, and when by its clock it wrote the Lease last."""


def holder_of(lease: Json) -> str | None:
    """Give the name of its holder; None if nobody holds it."""
    return _spec(lease).get("holderIdentity") or None


def renewal_of(lease: Json) -> Renewal:
    """Give what changes whenever its holder renews it, and by nothing else."""
    return holder_of(lease), _spec(lease).get("renewTime")


def renewed(
    holder: str, *, now: datetime, duration: timedelta, before: Mapping[str, Any] | None = None
) -> Json:
    """Give the spec of a Lease that `holder` takes or renews; `before` is the Lease as it was."""
    spec = _spec(before or {})
    written = _micro_time(now)
    renewed = {
        "holderIdentity": holder,
        "leaseDurationSeconds": max(1, round(duration.total_seconds())),
        "renewTime": written,
    }
    if spec.get("holderIdentity") == holder:
        return {**spec, **renewed}
    transitions = spec.get("leaseTransitions", 0) + 1 if spec else 0
    return {**spec, **renewed, "acquireTime": written, "leaseTransitions": transitions}


def released(lease: Json) -> Json:
    """Give the spec of a Lease that its holder lets go, for the next one to take at once."""
    return {field: value for field, value in _spec(lease).items() if field != "holderIdentity"}


def _spec(lease: Mapping[str, Any]) -> Json:
    return lease.get("spec") or {}


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
