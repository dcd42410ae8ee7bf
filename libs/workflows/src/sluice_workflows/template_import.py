"""Turns a manifest of Argo Workflows into an entry of the catalogue file; pure.

What cannot be declared stays as the template has it, and a warning says why.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from sluice_workflows.parameter_import import declare
from sluice_workflows.planned_graph import planned_graph

__all__ = ["ImportedTemplate", "NotImportableError", "import_template"]

Json = dict[str, Any]

_GROUP: Final = "argoproj.io/"
_KINDS: Final = ("WorkflowTemplate", "ClusterWorkflowTemplate", "Workflow")
_TITLE: Final = "workflows.argoproj.io/title"
_DESCRIPTION: Final = "workflows.argoproj.io/description"
_ARGO: Final = "workflows.argoproj.io/"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_NAME_LENGTH: Final = 63
_VALUE: Final = re.compile(r"\{\{=?[^{}]*\b(?:inputs|workflow)\.parameters\b")


class NotImportableError(ValueError):
    """A manifest from which no entry can be made; the message says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class ImportedTemplate:
    """An entry, in the form of the catalogue file.

    `template` is the WorkflowTemplate that a Workflow has to become for the entry to work; None if
    it exists already.
    """

    entry: Json
    template: Json | None = None
    warnings: tuple[str, ...] = ()


def import_template(manifest: Mapping[str, Any], *, name: str | None = None) -> ImportedTemplate:
    """Return the entry for a WorkflowTemplate, ClusterWorkflowTemplate or Workflow.

    `name` is the name for clients; by default it is made from that of the manifest.

    Raises:
        NotImportableError: it is none of these, or runs of it could not start.
    """
    kind = manifest.get("kind")
    if kind not in _KINDS or not str(manifest.get("apiVersion")).startswith(_GROUP):
        raise NotImportableError(f"is not a {', a '.join(_KINDS[:-1])} or a {_KINDS[-1]} of Argo")
    meta, spec = _map(manifest.get("metadata")), _map(manifest.get("spec"))
    written = _written_name(meta)
    ref, template, warnings = _reference(str(kind), meta, spec, name=written)
    parameters: list[Json] = []
    for parameter in _maps(_map(spec.get("arguments")).get("parameters")):
        declared, more = declare(parameter)
        parameters += [declared] if declared is not None else []
        warnings += more
    warnings += _values_in_programs(spec) if parameters else ()
    warnings += _artifacts_without_source(spec)
    entry: Json = {
        "name": name or _entry_name(written, warnings),
        "description": _description(meta, spec) or f"Runs the template `{ref['name']}`.",
        "template": ref,
    }
    if parameters:
        entry["parameters"] = parameters
    if (graph := planned_graph(spec)) is not None:
        entry["graph"] = graph.model_dump(mode="json", exclude_defaults=True)
    return ImportedTemplate(entry=entry, template=template, warnings=tuple(warnings))


def _written_name(meta: Json) -> str:
    name = meta.get("name") or str(meta.get("generateName") or "").rstrip("-")
    if not (isinstance(name, str) and name):
        raise NotImportableError("has no metadata.name")
    return name


def _reference(
    kind: str, meta: Json, spec: Json, *, name: str
) -> tuple[Json, Json | None, list[str]]:
    """Return the reference of the entry, the template that has to be made, and warnings."""
    referenced = _map(spec.get("workflowTemplateRef"))
    if referenced:
        if not isinstance(referenced.get("name"), str):
            raise NotImportableError("has a spec.workflowTemplateRef without a name")
        scope = {"cluster_scope": True} if referenced.get("clusterScope") else {}
        ref = {"name": referenced["name"]} | scope
        return ref, None, list(_left_out(spec, referenced["name"]))
    if not isinstance(spec.get("entrypoint"), str):
        raise NotImportableError(
            "has no spec.entrypoint, so a run of it cannot start; add the name of the template "
            "that runs first"
        )
    if kind == "Workflow":
        warning = (
            f"a Workflow is not kept for others to run: create the WorkflowTemplate `{name}` in "
            "the namespace of the runs (--templates writes it)"
        )
        return {"name": name}, _as_template(meta, spec, name=name), [warning]
    scope = {"cluster_scope": True} if kind == "ClusterWorkflowTemplate" else {}
    return {"name": name} | scope, None, []


def _values_in_programs(spec: Json) -> Iterator[str]:
    """Yield a warning for each template whose program has a value of a parameter in its text."""
    for template in _maps(spec.get("templates")):
        bodies = [_map(template.get("container")), _map(template.get("script"))]
        bodies += _maps(_map(template.get("containerSet")).get("containers"))
        if any(_VALUE.search(text) for body in bodies for text in _programs(body)):
            yield (
                f"template `{template.get('name')}` has the value of a parameter in its program: "
                "a client could change what it does; let it read the value from `env`"
            )


def _programs(container: Json) -> Iterator[str]:
    """Yield a script, and what follows `-c`, which is a program for shells and for Python."""
    yield str(container.get("source", ""))
    arguments = [
        str(text) for text in (*_list(container.get("command")), *_list(container.get("args")))
    ]
    for flag, after in pairwise(arguments):
        if re.fullmatch(r"-[a-z]*c", flag):
            yield after


def _artifacts_without_source(spec: Json) -> Iterator[str]:
    for artifact in _maps(_map(spec.get("arguments")).get("artifacts")):
        if not set(artifact) - {"name", "path", "optional", "mode", "archive", "recurseMode"}:
            yield (
                f"artifact `{artifact.get('name')}` has no source, and clients cannot send one: "
                "give it one in the template"
            )


def _left_out(spec: Json, name: str) -> Iterator[str]:
    others = sorted(set(spec) - {"workflowTemplateRef", "arguments"})
    if others:
        yield f"left out, because Sluice runs `{name}` as it is: spec.{', spec.'.join(others)}"
    yield (
        f"the parameters are those that this Workflow sets; import `{name}` itself to have all of "
        "them"
    )


def _as_template(meta: Json, spec: Json, *, name: str) -> Json:
    """Return the WorkflowTemplate whose runs are the same as this Workflow."""
    kept = {
        field_: values
        for field_ in ("labels", "annotations")
        if (values := {k: v for k, v in _map(meta.get(field_)).items() if k != _LAST_APPLIED})
    }
    # Argo's own are about the Workflow that it was, such as its title.
    of_runs = {
        field_: own
        for field_, values in kept.items()
        if (own := {k: v for k, v in values.items() if not k.startswith(_ARGO)})
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": name, **kept},
        "spec": ({"workflowMetadata": of_runs} if of_runs else {}) | spec,
    }


def _entry_name(written: str, warnings: list[str]) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", written.lower())[:_NAME_LENGTH].strip("-")
    if name != written:
        warnings.append(f"clients know it as `{name}` (--name sets another name)")
    return name


def _description(meta: Json, spec: Json) -> str:
    """Return title and description, as `argo list` shows them.

    https://argo-workflows.readthedocs.io/en/latest/title-and-description/
    """
    of_runs = _map(_map(spec.get("workflowMetadata")).get("annotations"))
    annotations = of_runs | _map(meta.get("annotations"))
    lines = (annotations.get(name) for name in (_TITLE, _DESCRIPTION))
    return "\n".join(line.strip() for line in lines if isinstance(line, str) and line.strip())


def _maps(value: object) -> Iterator[Json]:
    return (item for item in _list(value) if isinstance(item, dict))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _map(value: object) -> Json:
    return value if isinstance(value, dict) else {}
