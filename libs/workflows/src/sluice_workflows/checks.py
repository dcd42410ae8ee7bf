"""What a compiled workflow must not do, whoever wrote its builder.

Argo splices `{{…}}` into the JSON of a template before a pod starts, so a reference inside code is
code that the sender of a value writes (Argo Workflows issues #12534, #5061, #5114).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from pydantic.fields import FieldInfo

from sluice_workflows.parameters import encoded_length

__all__ = ["check"]

# Linux, MAX_ARG_STRLEN: `NAME=value` and its NUL byte, the limit for one environment string.
_MAX_ENVIRONMENT_STRING: Final = 128 * 1024
_PARAMETER: Final = re.compile(r"\{\{\s*workflow\.parameters\.([A-Za-z0-9_-]+)\s*\}\}")
_COULER_NAME: Final = re.compile(r"output-(id-\d+|(local|s3|oss)-[0-9a-f]{8})")


def check(spec: Mapping[str, Any], *, parameters: Mapping[str, FieldInfo]) -> None:
    """Raise `ValueError` with the place and the way out."""
    templates = spec["templates"]
    _check_names(templates)
    for template in templates:
        container = template.get("container") or template.get("script") or {}
        _check_code(template["name"], container)
        _check_environment(template["name"], container, parameters=parameters)
    for text in _strings(spec):
        if "{{=" in text:
            raise ValueError(
                "it holds an expression, '{{=', which could decode a text into something that "
                "Argo evaluates; calculate in a step instead"
            )
        for name in _PARAMETER.findall(text):
            if name not in parameters:
                raise ValueError(f"it refers to parameter `{name}`, which its model does not have")


def _check_names(templates: list[dict[str, Any]]) -> None:
    if len(templates) == 1:
        raise ValueError("its builder made no step")
    uses = Counter(template["name"] for template in templates)
    for name, count in uses.items():
        if count > 1:
            raise ValueError(f"it has {count} templates called `{name}`")
    for template in templates:
        outputs = template.get("outputs", {})
        for output in (*outputs.get("parameters", ()), *outputs.get("artifacts", ())):
            if _COULER_NAME.fullmatch(output["name"]):
                raise ValueError(
                    f"an output of step `{template['name']}` has the name that Couler made up; "
                    "create it with sluice_workflows.outputs"
                )


def _check_code(template: str, container: Mapping[str, Any]) -> None:
    arguments = [*container.get("command", ()), *container.get("args", ())]
    code = [*container.get("command", ()), container.get("source", "")]
    # What follows `-c` is a program, for a shell and for Python alike.
    code += [after for flag, after in pairwise(arguments) if flag == "-c"]
    if any("{{" in text for text in code):
        raise ValueError(
            f"the code of step `{template}` holds '{{{{', where Argo would write a value into it; "
            "hand the value over in env"
        )


def _check_environment(
    template: str, container: Mapping[str, Any], *, parameters: Mapping[str, FieldInfo]
) -> None:
    for variable in container.get("env", ()):
        value = variable.get("value", "")
        size = len(f"{variable['name']}={_PARAMETER.sub('', value)}\0".encode())
        for name in _PARAMETER.findall(value):
            if name in parameters:
                size += encoded_length(parameters[name])
        if size > _MAX_ENVIRONMENT_STRING:
            raise ValueError(
                f"the environment variable {variable['name']} of step `{template}` may take "
                f"{size} bytes, and Linux allows {_MAX_ENVIRONMENT_STRING}; hand the parameter "
                "over with sluice_workflows.extensions.raw_input"
            )


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401
    match value:
        case Mapping():
            for item in value.values():
                yield from _strings(item)
        case list():
            for item in value:
                yield from _strings(item)
        case str():
            yield value
