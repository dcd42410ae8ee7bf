"""Builds the order for a process from a container or script template."""

from collections.abc import Sequence

from sluice_engine.controller.errors import TemplateError
from sluice_engine.controller.inputs import Inputs
from sluice_engine.controller.scope import text
from sluice_engine.controller.substitution import Scope, substitute
from sluice_engine.documents import Object
from sluice_engine.steps.orders import (
    InputArtifact,
    OutputArtifact,
    OutputParameter,
    StepOrder,
)

__all__ = ["pod_order"]


def pod_order(
    workflow_uid: str,
    node_id: str,
    template: Object,
    *,
    volumes: Sequence[Object],
    inputs: Inputs,
    scope: Scope,
    capture_result: bool,
) -> StepOrder:
    """Return what to run.

    Raises:
        TemplateError: there is no command, or a tag or volume that does not exist.
    """
    kind = "script" if "script" in template else "container"
    container = substitute(template[kind], scope)
    command = [*(container.get("command") or ()), *(container.get("args") or ())]
    if not container.get("command"):
        message = (
            f"template '{template.get('name')}': the local engine knows no images, "
            f"so {kind}.command is required"
        )
        raise TemplateError(message)
    deadline = substitute(template.get("activeDeadlineSeconds"), scope)
    try:
        deadline_seconds = None if deadline is None else float(deadline)
    except ValueError as e:
        message = f"activeDeadlineSeconds: {deadline!r} is not a number"
        raise TemplateError(message) from e
    return StepOrder(
        workflow_uid=workflow_uid,
        node_id=node_id,
        command=tuple(map(text, command)),
        source=container.get("source", "") if kind == "script" else None,
        env={e["name"]: text(e.get("value", "")) for e in container.get("env") or ()},
        working_dir=container.get("workingDir"),
        mounts=_mounts(container, volumes),
        input_artifacts=tuple(_input_artifact(a) for a in inputs.artifacts if a.get("path")),
        output_parameters=_output_parameters(template, scope),
        output_artifacts=_output_artifacts(workflow_uid, template, scope),
        capture_result=capture_result,
        deadline_seconds=deadline_seconds,
    )


def _mounts(container: Object, volumes: Sequence[Object]) -> tuple[str, ...]:
    known = {volume["name"] for volume in volumes}
    mounts = []
    for mount in container.get("volumeMounts") or ():
        if mount["name"] not in known:
            message = f"volumeMounts: there is no volume '{mount['name']}'"
            raise TemplateError(message)
        mounts.append(mount["mountPath"])
    return tuple(mounts)


def _input_artifact(artifact: Object) -> InputArtifact:
    raw = artifact.get("raw")
    return InputArtifact(
        name=artifact["name"],
        path=artifact["path"],
        data=text(raw.get("data", "")) if raw is not None else None,
        key=(artifact.get("s3") or {}).get("key"),
        optional=bool(artifact.get("optional")),
    )


def _output_parameters(template: Object, scope: Scope) -> tuple[OutputParameter, ...]:
    parameters = []
    for parameter in (template.get("outputs") or {}).get("parameters") or ():
        source = parameter.get("valueFrom") or {}
        if not source.get("path"):
            message = f"outputs.parameters.{parameter['name']}: valueFrom.path is required"
            raise TemplateError(message)
        default = source.get("default")
        parameters.append(
            OutputParameter(
                name=parameter["name"],
                path=substitute(source["path"], scope),
                default=None if default is None else text(substitute(default, scope)),
                global_name=substitute(parameter.get("globalName"), scope),
            )
        )
    return tuple(parameters)


def _output_artifacts(
    workflow_uid: str, template: Object, scope: Scope
) -> tuple[OutputArtifact, ...]:
    artifacts = []
    for declared in (template.get("outputs") or {}).get("artifacts") or ():
        artifact = substitute(declared, scope)
        if not artifact.get("path"):
            message = f"outputs.artifacts.{artifact['name']}: path is required"
            raise TemplateError(message)
        key = (artifact.get("s3") or {}).get("key")
        artifacts.append(
            OutputArtifact(
                name=artifact["name"],
                path=artifact["path"],
                key=key or f"{workflow_uid}/{scope['pod.name']}/{artifact['name']}",
                optional=bool(artifact.get("optional")),
                global_name=artifact.get("globalName"),
            )
        )
    return tuple(artifacts)
