"""Which step of a run a log is of, and why another has none; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.models import RunState

__all__ = ["LoggedStep", "find_logged_step"]

_NOT_RUN: Final = frozenset({"Skipped", "Omitted"})


@dataclass(frozen=True, kw_only=True)
class LoggedStep:
    """A step that runs in a pod, or has run in one.

    `namespace` and `uid` are those of its Workflow. `starting` says that it may have no pod yet,
    and `archived` where its log is kept, if anywhere.
    """

    key: RunKey
    namespace: str
    uid: str
    node_id: str
    template: str | None
    starting: bool
    archived: str | None


def find_logged_step(state: RunState, step: str) -> LoggedStep:
    """Return the step of this id, or of this name if only one has it.

    Raises:
        ProblemError: NOT_FOUND; or NOT_APPLICABLE, several have the name, or it has no log.
    """
    event = state.event or {}
    found = _named(event, step)
    if not found:
        raise ProblemError.of(
            ProblemType.NOT_FOUND,
            "The run has no step of this id or name, or not yet: `steps` of the run lists them.",
        )
    if len(found) > 1:
        raise _without_log(f"{len(found)} steps of the run have this name; give an id.")
    [node] = found
    kind, phase = node.get("type"), node.get("phase")
    if phase in _NOT_RUN:
        raise _without_log(f"The step has no log: it was not run ({phase}).")
    if kind != "Pod":
        raise _without_log(
            f"The step has no log: it is of type {kind}, which runs no container. What it contains "
            "has logs."
        )
    template, logs = node.get("template"), node.get("logs")
    archived = logs.get("main") if isinstance(logs, Mapping) else None
    return LoggedStep(
        key=state.key,
        namespace=str(event.get("namespace")),
        uid=str(event.get("uid")),
        node_id=str(node["id"]),
        template=str(template) if template else None,
        starting=phase == "Pending",
        archived=str(archived) if archived else None,
    )


def _named(event: Mapping[str, JsonValue], step: str) -> list[Mapping[str, JsonValue]]:
    nodes = [*_objects(event.get("steps")), *_objects(event.get("groups"))]
    by_id = [node for node in nodes if node.get("id") == step]
    return by_id or [node for node in nodes if node.get("name") == step]


def _objects(value: JsonValue) -> Iterator[Mapping[str, JsonValue]]:
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict):
            yield each


def _without_log(detail: str) -> ProblemError:
    return ProblemError.of(ProblemType.NOT_APPLICABLE, detail)
