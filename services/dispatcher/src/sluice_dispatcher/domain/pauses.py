"""Tenants and workflows of which nothing starts for now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sluice_contracts.controls import Control, ControlTarget

__all__ = ["NO_PAUSES", "Pauses", "pauses_of"]


def _hides_nobody(_: str) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """Tenants and workflows of which nothing starts for now, each with the reason in words."""

    tenants: Mapping[str, str] = field(default_factory=dict)
    workflows: Mapping[str, str] = field(default_factory=dict)
    hides: Callable[[str], bool] = _hides_nobody
    """Whether the cluster keeps the Workflows of this tenant from us."""


NO_PAUSES: Final = Pauses()


def pauses_of(controls: Mapping[ControlTarget, Control]) -> Pauses:
    """Return what the records of the controls topic pause; draining pauses as well."""
    paused: dict[str, dict[str, str]] = {"tenant": {}, "workflow": {}}
    for target, control in controls.items():
        if control.stops_starts:
            paused[target.kind][target.name] = _reason(control)
    return Pauses(tenants=paused["tenant"], workflows=paused["workflow"])


def _reason(control: Control) -> str:
    by = f" by {control.by}" if control.by else ""
    reason = f": {control.reason}" if control.reason else "."
    return f"{control.state}{by}{reason}"
