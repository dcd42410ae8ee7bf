"""`{{…}}` tags: single-pass replacement of text.

Argo replaces twice, over the JSON of the whole template, so that tags inside of values are
evaluated as well. Here a value is text and stays what it is; see docs/local-engine.md.
"""

import re
from collections.abc import Mapping
from typing import Final

from sluice_engine.controller.errors import TemplateError
from sluice_engine.documents import Json

__all__ = ["Scope", "absent_reference", "has_expression", "substitute"]

Scope = Mapping[str, str | None]
"""Values by tag; None is the missing output of a skipped node."""

_TAG: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_ONE_TAG: Final = re.compile(r"\{\{([^{}]*)\}\}\Z")
_OURS: Final = ("item.", "steps.", "inputs.", "outputs.", "pod.", "workflow.", "tasks.")


def substitute(value: Json, scope: Scope) -> Json:
    """Return a JSON value with the tags in all its strings replaced; keys stay.

    A tag of a name space that is not Argo's is left as it is.

    Raises:
        TemplateError: a tag of Argo's name spaces has no value, or is an expression.
    """
    if isinstance(value, str):
        return _TAG.sub(lambda found: _replacement(found, scope), value) if "{{" in value else value
    if isinstance(value, dict):
        return {name: substitute(item, scope) for name, item in value.items()}
    if isinstance(value, list):
        return [substitute(item, scope) for item in value]
    return value


def _replacement(found: re.Match[str], scope: Scope) -> str:
    tag = found[1].strip()
    if tag in scope:
        value = scope[tag]
        if value is None:
            message = f"unable to substitute {{{{{tag}}}}}: the node was skipped and has no default"
            raise TemplateError(message)
        return value
    if tag.startswith("="):
        message = f"the expression {found[0]} is not supported by the local engine"
        raise TemplateError(message)
    if tag.startswith(_OURS):
        message = f"failed to resolve {found[0]}"
        raise TemplateError(message)
    return found[0]


def absent_reference(value: Json, scope: Scope) -> bool:
    """Return whether a value is only the missing output of a skipped node."""
    found = _ONE_TAG.match(value) if isinstance(value, str) else None
    if found is None:
        return False
    tag = found[1].strip()
    return tag in scope and scope[tag] is None


def has_expression(value: Json) -> bool:
    """Return whether any string of a JSON value holds a `{{=…}}` tag."""
    if isinstance(value, str):
        return any(found[1].lstrip().startswith("=") for found in _TAG.finditer(value))
    if isinstance(value, dict):
        return any(map(has_expression, value.values()))
    return isinstance(value, list) and any(map(has_expression, value))
