"""Arguments, inputs and outputs of templates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sluice_engine.controller.errors import TemplateError
from sluice_engine.controller.scope import LocalScope, text
from sluice_engine.controller.substitution import Scope, absent_reference, substitute
from sluice_engine.documents import Json, Object

__all__ = ["Arguments", "Inputs", "outputs_from", "resolve_arguments", "resolve_inputs"]

_ABSENT: Final = (
    ": argument references an absent optional (skipped/omitted node output with no default)"
)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a step hands to a template, with every tag replaced."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, Object] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    """Parameters that were to be the output of a node that was skipped."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a template was given, and the tags that stand for it."""

    parameters: list[Object]
    artifacts: list[Object]
    scope: LocalScope

    def document(self) -> Object:
        """Return the `inputs` of a node."""
        document: Object = {}
        if self.parameters:
            document["parameters"] = self.parameters
        if self.artifacts:
            document["artifacts"] = self.artifacts
        return document


def resolve_arguments(arguments: Json, local: LocalScope, scope: Scope) -> Arguments:
    """Replace the tags in a step's arguments and find the artifacts that they refer to.

    Raises:
        TemplateError: a tag or an artifact that is not optional cannot be resolved.
    """
    arguments = arguments or {}
    parameters, absent = {}, set()
    for parameter in arguments.get("parameters") or ():
        value = parameter.get("value", parameter.get("default"))
        if value is not None and absent_reference(value, scope):
            # It counts as not given, so that the input's default holds.
            absent.add(parameter["name"])
        elif value is not None:
            parameters[parameter["name"]] = text(substitute(value, scope))
    artifacts = {}
    for artifact in arguments.get("artifacts") or ():
        if artifact.get("from"):
            found = _referred(artifact["from"], local, scope)
            if found is None and artifact.get("optional"):
                continue
            if found is None:
                message = f"Unable to resolve: {artifact['from']}"
                raise TemplateError(message)
            artifacts[artifact["name"]] = found
        else:
            artifacts[artifact["name"]] = substitute(artifact, scope)
    return Arguments(parameters, artifacts, frozenset(absent))


def _referred(reference: str, local: LocalScope, scope: Scope) -> Object | None:
    name = reference.strip().removeprefix("{{").removesuffix("}}").strip()
    # The name itself may hold tags, as `{{tasks.split.outputs.artifacts.{{item}}}}`.
    return local.artifacts.get(substitute(name, scope))


def resolve_inputs(template: Object, given: Arguments, globals_: Scope) -> Inputs:
    """Match a template's inputs with the arguments.

    Raises:
        TemplateError: an input has no value.
    """
    declared = template.get("inputs") or {}
    local = LocalScope()
    parameters = []
    for parameter in declared.get("parameters") or ():
        name = parameter["name"]
        value = given.parameters.get(name)
        if value is None:
            default = parameter.get("value", parameter.get("default"))
            if default is None:
                why = _ABSENT if name in given.absent else " was not supplied"
                message = f"inputs.parameters.{name}{why}"
                raise TemplateError(message)
            value = text(substitute(default, globals_))
        # Argo shows its `enum` here, but does not hold values against it.
        parameters.append({**parameter, "value": value})
        local.values[f"inputs.parameters.{name}"] = value
    local.values["inputs.parameters"] = text(parameters)
    _paths(template, local, globals_)
    artifacts = []
    for artifact in declared.get("artifacts") or ():
        found = _input_artifact(artifact, given, local.over(globals_))
        if found is not None:
            artifacts.append(found)
            local.artifacts[f"inputs.artifacts.{artifact['name']}"] = found
    return Inputs(parameters, artifacts, local)


def _paths(template: Object, local: LocalScope, globals_: Scope) -> None:
    """Add the tags for the places of artifacts and output parameters."""
    scope = local.over(globals_)
    for side in ("inputs", "outputs"):
        for artifact in (template.get(side) or {}).get("artifacts") or ():
            if artifact.get("path"):
                path = substitute(artifact["path"], scope)
                local.values[f"{side}.artifacts.{artifact['name']}.path"] = path
    for parameter in (template.get("outputs") or {}).get("parameters") or ():
        if path := (parameter.get("valueFrom") or {}).get("path"):
            local.values[f"outputs.parameters.{parameter['name']}.path"] = substitute(path, scope)


def _input_artifact(artifact: Object, given: Arguments, scope: Scope) -> Object | None:
    name = artifact["name"]
    found = given.artifacts.get(name)
    if found is None and ("raw" in artifact or "s3" in artifact):
        found = substitute(artifact, scope)
    if found is None or not ("raw" in found or "s3" in found):
        if artifact.get("optional"):
            return None
        message = f"inputs.artifacts.{name} was not supplied"
        raise TemplateError(message)
    resolved: Object = {"name": name}
    if artifact.get("path"):
        resolved["path"] = substitute(artifact["path"], scope)
    for field_name in ("raw", "s3"):
        if field_name in found:
            resolved[field_name] = found[field_name]
    if artifact.get("optional") or found.get("optional"):
        resolved["optional"] = True
    return resolved


def outputs_from(template: Object, local: LocalScope) -> Object:
    """Return the outputs of a Steps or DAG template, taken from what is inside of it.

    Raises:
        TemplateError: one of them refers to nothing.
    """
    declared = template.get("outputs") or {}
    outputs: Object = {}
    for parameter in declared.get("parameters") or ():
        outputs.setdefault("parameters", []).append(_output_parameter(parameter, local))
    for artifact in declared.get("artifacts") or ():
        found = _referred(artifact.get("from", ""), local, local.values)
        if found is None and artifact.get("optional"):
            continue
        if found is None:
            message = f"Unable to resolve: {artifact.get('from', '')}"
            raise TemplateError(message)
        outputs.setdefault("artifacts", []).append(_renamed(found, artifact))
    return outputs


def _output_parameter(parameter: Object, local: LocalScope) -> Object:
    source = parameter.get("valueFrom") or {}
    reference = source.get("parameter", "").strip().removeprefix("{{").removesuffix("}}").strip()
    value = local.values.get(reference)
    if value is None and source.get("default") is not None:
        value = text(source["default"])
    if value is None:
        message = f"output parameter {parameter['name']}: {reference or 'valueFrom'} has no value"
        raise TemplateError(message)
    return _renamed({"value": value}, parameter)


def _renamed(found: Object, declared: Object) -> Object:
    dropped = {"globalName", "name", "optional", "path"}
    renamed = {"name": declared["name"]} | {k: v for k, v in found.items() if k not in dropped}
    if declared.get("globalName"):
        renamed["globalName"] = declared["globalName"]
    return renamed
