"""Whether a chart renders the same twice.

Argo CD renders again at every commit, and corrects what differs from the cluster. A chart that
generates a password or a certificate would replace it each time.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.gitops.projects import group_and_kind
from tests.platform.objects import Delivered, Json, name_of

_PATH = re.compile(r"(?:\.[A-Za-z]+(?:\[\]\??)?)+")
"""The part of jq that is understood: fields, and all elements of a list."""


def unstable(part: Delivered) -> list[str]:
    """Return where two renders differ, apart from what the Application ignores; never a value."""
    rules = part.application["spec"].get("ignoreDifferences", [])
    one, other = (_by_name(objects, rules) for objects in (part.first, part.second))
    return [
        f"{part.name}: {name} differs from render to render at {place or '/'}"
        for name in sorted(one.keys() | other.keys())
        for place in _differences(one.get(name), other.get(name))
    ]


def _by_name(objects: list[Json], rules: list[Json]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for each in objects:
        thing = copy.deepcopy(each)
        for rule in rules:
            if _is_for(rule, thing):
                _ignore(rule, thing)
        namespace = thing["metadata"].get("namespace", "")
        found[f"{name_of(thing)}{namespace and f' in {namespace}'}"] = thing
    return found


def _is_for(rule: Json, thing: Json) -> bool:
    group, kind = group_and_kind(thing)
    metadata = thing["metadata"]
    return bool(
        rule.get("group", "") == group
        and rule["kind"] == kind
        and rule.get("name", metadata["name"]) == metadata["name"]
        and rule.get("namespace", metadata.get("namespace")) == metadata.get("namespace")
    )


def _ignore(rule: Json, thing: Json) -> None:
    for pointer in rule.get("jsonPointers", []):
        steps = [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]
        _drop(thing, steps)
    for path in rule.get("jqPathExpressions", []):
        if not _PATH.fullmatch(path):
            raise ValueError(f"{path}: only .field and .field[]? are understood here")
        _drop(thing, re.findall(r"[A-Za-z]+|\[\]", path))


def _drop(node: Any, steps: list[str]) -> None:
    step, *rest = steps
    if step == "[]":
        for each in node if isinstance(node, list) else []:
            _drop(each, rest)
    elif isinstance(node, dict) and step in node:
        if rest:
            _drop(node[step], rest)
        else:
            del node[step]


def _differences(one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in sorted(one.keys() | other.keys()):
            for place in _differences(one.get(name), other.get(name)):
                yield f"/{name.replace('~', '~0').replace('/', '~1')}{place}"
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            for place in _differences(mine, theirs):
                yield f"/{index}{place}"
    elif one != other:
        yield ""
