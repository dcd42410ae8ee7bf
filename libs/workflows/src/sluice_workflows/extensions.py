"""Features of Argo that Couler cannot describe; the one place that adds to a compiled workflow.

Couler describes containers, environment, outputs, artifacts and the order of tasks. A builder
returns these functions for the rest; each is applied to the normalised `spec`, in order.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = [
    "Answer",
    "Extension",
    "fan_out",
    "keep_unarchived",
    "raw_input",
    "run_outputs",
    "suspend",
]

Spec: TypeAlias = dict[str, Any]
Extension: TypeAlias = Callable[[Spec], None]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A value that `resume` may supply; without it, a suspended step has the default."""

    name: str
    description: str
    default: str
    choices: tuple[str, ...] = ()


def run_outputs(outputs: Mapping[str, str]) -> Extension:
    """Set the run's outputs: name to reference, `{{tasks.sum.outputs.parameters.total}}`.

    They are output parameters of the entrypoint, so the Workflow's root node has them. Argo copies
    the values unchanged and evaluates nothing in them.
    """

    def extend(spec: Spec) -> None:
        _entrypoint(spec)["outputs"] = {
            "parameters": [
                {"name": name, "valueFrom": {"parameter": reference}}
                for name, reference in outputs.items()
            ]
        }

    return extend


def raw_input(*, template: str, name: str, path: str, data: str) -> Extension:
    """Pass `data` to the step as a file, for values that are too large for the environment."""

    def extend(spec: Spec) -> None:
        inputs = _template(spec, template).setdefault("inputs", {})
        inputs.setdefault("artifacts", []).append(
            {"name": name, "path": path, "raw": {"data": data}}
        )

    return extend


def fan_out(
    *, task: str, over: str, parameters: Mapping[str, str], artifacts: Mapping[str, str]
) -> Extension:
    """Run the task once per item of the JSON list `over` (`withParam`).

    `parameters` maps names to values and `artifacts` names to S3 keys; both may use `{{item}}`.
    The parameters become inputs of the task's template.
    """

    def extend(spec: Spec) -> None:
        call = _task(spec, task)
        arguments = call.setdefault("arguments", {})
        arguments.setdefault("parameters", []).extend(
            {"name": name, "value": value} for name, value in parameters.items()
        )
        arguments.setdefault("artifacts", []).extend(
            {"name": name, "s3": {"key": key}} for name, key in artifacts.items()
        )
        call["withParam"] = over
        inputs = _template(spec, call["template"]).setdefault("inputs", {})
        inputs.setdefault("parameters", []).extend({"name": name} for name in parameters)

    return extend


def keep_unarchived() -> Extension:
    """Store all output artifacts with a key as plain files, so that other steps can read them.

    By default Argo packs artifacts into a tar file.
    """

    def extend(spec: Spec) -> None:
        for template in spec["templates"]:
            for artifact in template.get("outputs", {}).get("artifacts", []):
                if "s3" in artifact:
                    artifact["archive"] = {"none": {}}

    return extend


def suspend(*, task: str, depends: str, answers: Iterable[Answer] = ()) -> Extension:
    """Add a task that, after `depends`, waits until the Workflow is resumed.

    The answers are its outputs, `{{tasks.approve.outputs.parameters.decision}}`. Argo describes
    them by the inputs of the same names.
    """

    def extend(spec: Spec) -> None:
        template: dict[str, Any] = {"name": task, "suspend": {}}
        if described := [_described(answer) for answer in answers]:
            template["inputs"] = {"parameters": described}
            template["outputs"] = {"parameters": [_supplied(answer) for answer in answers]}
        spec["templates"].append(template)
        _tasks(spec).append({"name": task, "template": task, "depends": depends})

    return extend


def _described(answer: Answer) -> dict[str, Any]:
    choices = {"enum": list(answer.choices)} if answer.choices else {}
    described = {"name": answer.name, "description": answer.description}
    return {**described, "default": answer.default, **choices}


def _supplied(answer: Answer) -> dict[str, Any]:
    return {"name": answer.name, "valueFrom": {"supplied": {}, "default": answer.default}}


def _entrypoint(spec: Spec) -> dict[str, Any]:
    return _template(spec, spec["entrypoint"])


def _template(spec: Spec, name: str) -> dict[str, Any]:
    return _named(spec["templates"], name)


def _tasks(spec: Spec) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = _entrypoint(spec)["dag"]["tasks"]
    return tasks


def _task(spec: Spec, name: str) -> dict[str, Any]:
    return _named(_tasks(spec), name)


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for item in items:
        if item["name"] == name:
            return item
    raise LookupError(f"the builder created nothing named `{name}`")
