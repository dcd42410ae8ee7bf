"""What a Lease says, and what it says after a renewal or a release; pure.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

__all__ = ["Renewal", "holder_of", "released", "renewal_of", "renewed"]

Json = dict[str, Any]
Renewal = tuple[str | None, str | None]
"""The holder, and the time of its last renewal by its own clock."""


def holder_of(lease: Json) -> str | None:
    """Return the name of the holder; None if there is none."""
    return _spec(lease).get("holderIdentity") or None


def renewal_of(lease: Json) -> Renewal:
    """Return what changes with every renewal, and with nothing else."""
    return holder_of(lease), _spec(lease).get("renewTime")


def renewed(
    holder: str, *, now: datetime, duration: timedelta, before: Mapping[str, Any] | None = None
) -> Json:
    """Return the spec of a Lease that `holder` acquires or renews; `before` is the Lease so far."""
    spec = _spec(before or {})
    written = _micro_time(now)
    changes = {
        "holderIdentity": holder,
        "leaseDurationSeconds": max(1, round(duration.total_seconds())),
        "renewTime": written,
    }
    if spec.get("holderIdentity") == holder:
        return {**spec, **changes}
    transitions = spec.get("leaseTransitions", 0) + 1 if spec else 0
    return {**spec, **changes, "acquireTime": written, "leaseTransitions": transitions}


def released(lease: Json) -> Json:
    """Return the spec of a Lease without holder, which others can acquire at once."""
    return {field: value for field, value in _spec(lease).items() if field != "holderIdentity"}


def _spec(lease: Mapping[str, Any]) -> Json:
    return lease.get("spec") or {}


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
