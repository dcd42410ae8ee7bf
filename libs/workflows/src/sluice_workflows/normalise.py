"""Removes Couler's quirks from compiled workflows, so that none appears in a Workflow.

These occur in couler-scanflow 0.1.2 (Couler 0.1.1rc8):

- `OrderedDict` everywhere, a `generateName` from a file's name, empty `affinity` and `steps`;
- references inside literal quotes, `'"{{inputs.parameters.x}}"'`, and `"'1'"` for a number;
- arguments named `para-<template>-<i>`. A list that a builder shares between steps grows with each
  of them, so templates get inputs that no caller supplies and duplicate references;
- steps named after line numbers, `greet-42`;
- emptyDir volumes named `couler-out-dir-<i>`;
- both `dependencies` and `depends`, which Argo refuses in one DAG, some with nested lists;
- `ttlSecondsAfterFinished`, a field that Argo removed in 3.0.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

__all__ = ["normalise"]

Json: TypeAlias = dict[str, Any]

_QUOTED_REFERENCE: Final = re.compile(r'"(\{\{[^{}"]+\}\})"')
_QUOTED_SCALAR: Final = re.compile(r"'(True|False|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)'")
_STEP_REFERENCE: Final = re.compile(r"\{\{steps\.([^.{}]+)\.")
_INPUT_REFERENCE: Final = re.compile(r"\{\{inputs\.parameters\.([^{}]+)\}\}")
_OUTPUT_VOLUME: Final = re.compile(r"\Acouler-out-dir-(\d+)\Z")
_DROPPED: Final = ("affinity", "securityContext", "ttlSecondsAfterFinished", "serviceAccountName")


def normalise(compiled: Mapping[str, Any]) -> Json:
    """Return the `spec` that the builder intended; the input stays unchanged.

    Service account, security context and time to live are dropped, because Sluice sets them.
    """
    spec: Json = _plain(compiled["spec"])
    for field in _DROPPED:
        spec.pop(field, None)
    for template in spec["templates"]:
        _name_steps(template)
        _join_dependencies(template)
    for template in spec["templates"]:
        _settle_arguments(template, callers=_callers(spec, template["name"]))
    return _rename_volumes(spec)


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return a copy of plain dicts, lists and strings, without Couler's quotes."""
    match value:
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case str():
            return _unquoted(value)
        case _:
            return value


def _unquoted(text: str) -> str:
    if reference := _QUOTED_REFERENCE.fullmatch(text):
        return reference[1]
    if scalar := _QUOTED_SCALAR.fullmatch(text):
        return scalar[1].lower()
    return text


def _name_steps(template: Json) -> None:
    """Name steps after their templates, with a number from the second use on."""
    names: dict[str, str] = {}
    uses: Counter[str] = Counter()
    for step in _steps(template):
        base = step["template"]
        if re.fullmatch(rf"{re.escape(base)}(-\d+)+", step["name"]):
            uses[base] += 1
            names[step["name"]] = base if uses[base] == 1 else f"{base}-{uses[base]}"
            step["name"] = names[step["name"]]
    if names:
        template["steps"] = _mapped(
            template["steps"],
            lambda text: _STEP_REFERENCE.sub(
                lambda found: f"{{{{steps.{names.get(found[1], found[1])}.", text
            ),
        )


def _join_dependencies(template: Json) -> None:
    """Merge `dependencies` into `depends`, the newer and more expressive field."""
    for task in template.get("dag", {}).get("tasks", ()):
        terms = list(dict.fromkeys(_flat(task.pop("dependencies", ()))))
        if "depends" in task:
            terms.append(f"({task['depends']})" if terms else task["depends"])
        if terms:
            task["depends"] = " && ".join(terms)


def _settle_arguments(template: Json, *, callers: list[Json]) -> None:
    """Keep the arguments that all callers supply, once each, named `arg-<i>`.

    An argument that is the same constant for all callers becomes a literal in the container's args,
    where it can be read and checked.
    """
    body = template.get("container") or template.get("script") or {}
    prefix = f"para-{template['name']}-"
    args = [(text, _INPUT_REFERENCE.fullmatch(text)) for text in body.get("args", ())]
    piled = [found[1] for _, found in args if found and found[1].startswith(prefix)]
    passed = _passed(piled, callers=callers)
    names = {
        old: new[1] for old, text in passed.items() if (new := _INPUT_REFERENCE.fullmatch(text))
    }
    if piled:
        body["args"] = [
            passed[found[1]] if found else text
            for text, found in args
            if found is None or found[1] in passed
        ]
        _drop_empty(body, "args")
        inputs = template.setdefault("inputs", {})
        inputs["parameters"] = [{"name": name} for name in names.values()]
        _drop_empty(inputs, "parameters")
        _drop_empty(template, "inputs")
    for caller in callers:
        arguments = caller.get("arguments", {})
        arguments["parameters"] = [
            parameter | {"name": names.get(parameter["name"], parameter["name"])}
            for parameter in arguments.get("parameters", ())
            if parameter["name"] in names or not parameter["name"].startswith(prefix)
        ]
        _drop_empty(arguments, "parameters")
        _drop_empty(caller, "arguments")


def _passed(piled: list[str], *, callers: list[Json]) -> dict[str, str]:
    """Return the text in the container's args for each argument to keep."""
    passed: dict[str, str] = {}
    columns: list[list[str | None]] = []
    for name in piled:
        column = [_argument(caller, name) for caller in callers]
        values = {value for value in column if value is not None}
        if len(values) == 1 and not any("{{" in value for value in values):
            passed[name] = values.pop()
        elif None not in column and column not in columns:
            passed[name] = f"{{{{inputs.parameters.arg-{len(columns)}}}}}"
            columns.append(column)
    return passed


def _rename_volumes(spec: Json) -> Json:
    renamed: Json = _mapped(spec, lambda text: _OUTPUT_VOLUME.sub(r"outputs-\1", text))
    return renamed


def _callers(spec: Json, name: str) -> list[Json]:
    return [
        call
        for template in spec["templates"]
        for call in (*_steps(template), *template.get("dag", {}).get("tasks", ()))
        if call["template"] == name
    ]


def _steps(template: Json) -> list[Json]:
    return [step for group in template.get("steps") or () for step in group]


def _argument(caller: Json, name: str) -> str | None:
    for parameter in caller.get("arguments", {}).get("parameters", ()):
        if parameter["name"] == name:
            return str(parameter["value"])
    return None


def _flat(names: Any) -> list[str]:  # noqa: ANN401
    """Return the names without the nesting that Couler's `[dependencies]` bug causes."""
    if isinstance(names, str):
        return [names]
    return [flat for name in names for flat in _flat(name)]


def _mapped(value: Any, change: Callable[[str], str]) -> Any:  # noqa: ANN401
    match value:
        case dict():
            return {key: _mapped(item, change) for key, item in value.items()}
        case list():
            return [_mapped(item, change) for item in value]
        case str():
            return change(value)
        case _:
            return value


def _drop_empty(holder: Json, field: str) -> None:
    if field in holder and not holder[field]:
        del holder[field]
