"""Compiled workflows without values, and the one function that adds a request's values."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Skeleton", "instantiate"]


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """The part that all runs of a workflow have in common.

    `manifest` is JSON text, so that no run can change it for the next one. Its `metadata` is empty,
    and its arguments have names only: those of `parameters`, in order.
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
    """Return the Workflow for the cluster, made of skeleton, identity and values.

    Values go to `spec.arguments.parameters` only. `arguments` comes from `Entry.arguments`.

    Raises:
        ValueError: an argument is missing, unknown, or contains a template expression. No encoding
            of ours produces one.
    """
    if set(arguments) != set(skeleton.parameters):
        raise ValueError(
            f"workflow `{skeleton.workflow}` needs exactly the arguments {skeleton.parameters}"
        )
    if any("{{" in value for value in arguments.values()):
        raise ValueError(f"an argument of workflow `{skeleton.workflow}` contains '{{{{'")
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
