"""What Argo refuses before it starts anything."""

from collections.abc import Iterator
from typing import Final

from sluice_engine.controller.depends import Dag
from sluice_engine.controller.errors import TemplateError
from sluice_engine.controller.scope import text
from sluice_engine.controller.supported import TEMPLATE_TYPES
from sluice_engine.documents import Object

__all__ = ["validate"]

_MAX_NAME: Final = 63
"""A Workflow's name becomes the value of a label."""


def validate(name: str, spec: Object) -> None:
    """Check what Argo checks before the start.

    Raises:
        TemplateError: says what is wrong, and in which template.
    """
    if len(name) > _MAX_NAME:
        message = (
            f'workflow name "{name}" must not be more than {_MAX_NAME} characters long '
            f"(currently {len(name)})"
        )
        raise TemplateError(message)
    if not spec.get("entrypoint"):
        message = "spec.entrypoint is required"
        raise TemplateError(message)
    _validate_arguments(spec.get("arguments") or {})
    templates = _by_name(spec)
    for reference in filter(None, (spec["entrypoint"], spec.get("onExit"))):
        if reference not in templates:
            message = f"template name '{reference}' undefined"
            raise TemplateError(message)
    for template in templates.values():
        _validate_template(template, templates)


def _validate_arguments(arguments: Object) -> None:
    for parameter in arguments.get("parameters") or ():
        place = f"spec.arguments.{parameter['name']}"
        value, values = parameter.get("value"), parameter.get("enum")
        if value is None:
            message = f"{place}.value or {place}.valueFrom is required"
            raise TemplateError(message)
        if values and text(value) not in map(text, values):
            message = f"{place}.value should be present in {place}.enum list"
            raise TemplateError(message)


def _by_name(spec: Object) -> dict[str, Object]:
    templates: dict[str, Object] = {}
    for index, template in enumerate(spec.get("templates") or ()):
        name = template.get("name")
        if not name:
            message = f"spec.templates[{index}].name is required"
            raise TemplateError(message)
        if name in templates:
            message = f"template name '{name}' is not unique"
            raise TemplateError(message)
        templates[name] = template
    return templates


def _steps(template: Object) -> Iterator[Object]:
    for group in template.get("steps") or ():
        yield from group
    yield from (template.get("dag") or {}).get("tasks") or ()


def _validate_template(template: Object, templates: Object) -> None:
    where = f"templates.{template['name']}"
    if len([kind for kind in TEMPLATE_TYPES if kind in template]) != 1:
        message = f"{where} must have exactly one of {', '.join(TEMPLATE_TYPES)}"
        raise TemplateError(message)
    names: set[str] = set()
    for step in _steps(template):
        name = step.get("name")
        if not name or name in names:
            message = f"{where}: every step needs a name of its own, found {name!r}"
            raise TemplateError(message)
        names.add(name)
        if step.get("templateRef"):
            continue
        called = step.get("template")
        if not called or ("{{" not in called and called not in templates):
            message = f"{where}.{name}: template name '{called or ''}' undefined"
            raise TemplateError(message)
    if "dag" in template:
        try:
            Dag(template["dag"].get("tasks") or ())
        except TemplateError as e:
            message = f"{where}: {e}"
            raise TemplateError(message) from e
