"""What `sluice doctor` finds: each check says what is so, and what to do if it is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sluice_cli.domain.moments import duration
from sluice_client import (
    ForbiddenError,
    LogGoneError,
    NotApplicableError,
    NotFoundError,
    ProblemType,
    SluiceError,
)
from sluice_contracts.status import Phase, StatusEvent

__all__ = [
    "HOPS",
    "Check",
    "canary_check",
    "check_lines",
    "endless_logs_check",
    "identity_check",
    "logs_check",
    "refused_logs_check",
    "skipped_logs_check",
]

HOPS: Final = ("accepted", "submitted", "running", "ended")
"""How far a run has come, in order."""

# What starts and reads the canary, and what else the command can do.
_NEEDED: Final = ("runs:start", "runs:read")
_SKIPPED: Final = "skip"
_MARK: Final[Mapping[bool, str]] = {True: "ok", False: "WRONG"}
_WIDTH: Final = 7
_NAME_WIDTH: Final = 10

_NEXT: Final = {
    "accepted": "Nothing has read the request. Look at the dispatcher's /readyz and log; `sluice "
    "queue` and `sluice controls` say what holds runs.",
    "submitted": "Argo has not looked at the Workflow. Look at the workflow controller.",
    "running": "The step does not end. Look at its pod, and at `sluice status` of the run.",
}
_LOGS: Final = "logs"
_LOOK_AT_RELAY: Final = (
    "Look at the log-relay's /readyz and log. If it refuses the gateway, give both the same "
    "secret: docs/logs.md."
)
_LOOK_AT_NAMESPACES: Final = (
    "Pods stay for 30 s. Give the log-relay the same namespaces as the dispatcher: docs/logs.md."
)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A finding; `remedy` is what to do, empty if all is well.

    What is `skipped` could not be looked at, or is not set up: it is not wrong.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    skipped: bool = False

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return asdict(self)


def check_lines(checks: Sequence[Check]) -> list[str]:
    """Return the findings for people."""
    lines = []
    for each in checks:
        mark = _SKIPPED if each.skipped else _MARK[each.ok]
        lines.append(f"{mark:<{_WIDTH}}{each.name:<{_NAME_WIDTH}}{each.detail}")
        if each.remedy:
            lines.append(f"{'':<{_WIDTH + _NAME_WIDTH}}-> {each.remedy}")
    return lines


def identity_check(*, principal: str, scopes: Sequence[str]) -> Check:
    """Return who asks, and whether that is enough to start and read runs."""
    missing = [each for each in _NEEDED if each not in scopes]
    granted = ", ".join(scopes) or "no scope"
    return Check(
        name="identity",
        ok=not missing,
        detail=f"{principal} with {granted}",
        remedy=f"Ask the operator for a grant of {', '.join(missing)}." if missing else "",
    )


def canary_check(hops: Mapping[str, float], *, state: StatusEvent | None) -> Check:
    """Return how long each hop of the canary took, in seconds from the start."""
    times = ", ".join(f"{hop} {duration(hops[hop])}" for hop in HOPS if hop in hops)
    name = f"run {state.run_id}: " if state else ""
    detail = f"{name}{times or 'not accepted'}"
    if state is None or not state.terminal:
        reached = next((hop for hop in reversed(HOPS) if hop in hops), "accepted")
        return Check(name="canary", ok=False, detail=detail, remedy=_NEXT[reached])
    if state.phase is not Phase.SUCCEEDED:
        why = (state.problem.detail if state.problem else state.message) or "no message"
        return Check(
            name="canary",
            ok=False,
            detail=f"{detail} as {state.phase}: {why}",
            remedy=f"Look at it: sluice status {state.run_id}",
        )
    return Check(name="canary", ok=True, detail=detail)


def logs_check(*, step: str, spent: float) -> Check:
    """Return that the log of a step was read, in so many seconds."""
    detail = f"the log-relay answers: log of step {step} in {spent * 1000:.0f} ms"
    return Check(name=_LOGS, ok=True, detail=detail)


def skipped_logs_check(why: str) -> Check:
    """Return that nothing is known of the logs of steps."""
    return Check(name=_LOGS, ok=True, detail=why, skipped=True)


def endless_logs_check(*, step: str, after: float) -> Check:
    """Return that the log of a step that has ended did not end, in so many seconds."""
    detail = f"the log of step {step} did not end in {duration(after)}"
    return Check(name=_LOGS, ok=False, detail=detail, remedy=_LOOK_AT_RELAY)


def refused_logs_check(error: SluiceError) -> Check:
    """Return what it means that the log of a step that has just run could not be read."""
    problem = error.problem
    if problem is not None and problem.type == ProblemType.LOGS_DISABLED:
        return skipped_logs_check("not set up: the gateway has no log-relay (docs/logs.md)")
    if isinstance(error, ForbiddenError | NotFoundError | NotApplicableError):
        return skipped_logs_check(f"not looked at: {error}")
    remedy = _LOOK_AT_NAMESPACES if isinstance(error, LogGoneError) else _LOOK_AT_RELAY
    return Check(name=_LOGS, ok=False, detail=str(error), remedy=remedy)
