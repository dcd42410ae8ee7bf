"""A compiled workflow without values, and the one function that joins it to a request."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Skeleton", "instantiate"]


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """What every run of a workflow has in common.

    `manifest` is JSON text, so that nothing can be changed by one run under the feet of the next;
    its `metadata` is empty and its arguments have names alone, those of `parameters`, in order.
    """

    workflow: str
    parameters: tuple[str, ...]
    manifest: str


def instantiate(
    skeleton: Skeleton,
    *,
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    finalizers: Iterable[str],
    arguments: Mapping[str, str],
) -> dict[str, Any]:
    """Join skeleton, identity and values to the Workflow that is sent to the cluster.

    Values go to `spec.arguments.parameters` and nowhere else. `arguments` comes from
    `Entry.arguments`; raises `ValueError` if it is not complete or holds a template expression,
    which no encoding of ours can produce.
    """
    if set(arguments) != set(skeleton.parameters):
        raise ValueError(
            f"workflow `{skeleton.workflow}` takes exactly the arguments {skeleton.parameters}"
        )
    if any("{{" in value for value in arguments.values()):
        raise ValueError(f"an argument of workflow `{skeleton.workflow}` holds '{{{{'")
    manifest: dict[str, Any] = json.loads(skeleton.manifest)
    manifest["metadata"] = {
        "name": name,
        "namespace": namespace,
        "labels": dict(labels),
        "annotations": dict(annotations),
        "finalizers": list(finalizers),
    }
    for parameter in manifest["spec"]["arguments"]["parameters"]:
        parameter["value"] = arguments[parameter["name"]]
    return manifest
