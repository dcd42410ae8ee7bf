"""The example files of Argo Workflows, from its module, which the testbed builds Argo from.

They are Argo's own (Apache-2.0) and are not copied into this repository.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sluice_workflows.importer import read_manifests
from testbed.building.commands import run
from testbed.building.golang import locks_dir
from testbed.versions import load_versions

__all__ = ["IMAGES", "Example", "examples", "examples_folder"]

Json = dict[str, Any]

_PYTHON: Final = load_versions().debian.python_image
IMAGES: Final = {
    "busybox": "docker.io/library/busybox:latest",
    "alpine:3.23": "docker.io/library/busybox:latest",
    "python:alpine3.23": _PYTHON,
    "alpine:latest": "docker.io/library/busybox:latest",
    "python:alpine3.6": _PYTHON,
    "alpine:3.6": "docker.io/library/busybox:latest",
}
"""The images that examples may need, and the testbed's image that stands in for each."""

_NO_TEST: Final = "workflows.argoproj.io/no-test"
# What Argo's authors do not run in their own tests either; `expected-failure` they do.
_NOT_TESTED: Final = frozenset({"environment", "duration", "flaky"})
# What the testbed lacks: volumes, kubectl in the executor's image, stores under these names,
# plugins, and templates that are not in the same file.
_LACKING: Final = (
    "volumeClaimTemplates",
    "persistentVolumeClaim",
    "resource",
    "http",
    "plugin",
    "s3",
    "artifactRepositoryRef",
    "templateRef",
    "workflowTemplateRef",
)
# Two runs may take different steps. With a limit of attempts, they may also end differently.
_RANDOM: Final = re.compile(r"\b(?:import random|\$RANDOM)\b")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A Workflow that the testbed can run; `is_random` says that its steps depend on chance."""

    file: str
    name: str
    manifest: Json
    is_random: bool


def examples_folder(line: str) -> Path:
    """Return the folder of the examples of a line of Argo; fetches its module if necessary."""
    module = load_versions().go[f"argo-{line}"]
    with tempfile.TemporaryDirectory() as folder:
        # With these two, Go checks the module's digest.
        for locked in ("go.mod", "go.sum"):
            shutil.copy(locks_dir() / module.name / locked, folder)
        wanted = f"{module.module}@{module.version}"
        found = json.loads(run(["go", "mod", "download", "-json", wanted], cwd=Path(folder)))
    return Path(found["Dir"]) / "examples"


def examples(folder: Path) -> Iterator[Example]:
    """Yield the examples that the testbed can run, with its images, by file."""
    for file in sorted(folder.rglob("*.yaml")):
        content = file.read_bytes()
        manifests = read_manifests(content)
        is_random = _RANDOM.search(content.decode()) is not None
        if len(manifests) == 1 and _can_run(manifests[0], is_random=is_random):
            path = str(file.relative_to(folder))
            yield Example(
                file=path,
                name=_name(path),
                manifest=_adapted(manifests[0]),
                is_random=is_random,
            )


def _name(path: str) -> str:
    # Some are named as a built-in workflow is. A DNS label has at most 63 characters.
    name = "argo-" + re.sub(r"[^a-z0-9]+", "-", path.removesuffix(".yaml").lower())
    return name[:63].rstrip("-")


def _can_run(manifest: Json, *, is_random: bool) -> bool:
    if manifest["kind"] != "Workflow":
        return False
    labels = manifest["metadata"].get("labels") or {}
    fields = dict(_fields(manifest["spec"]))
    images = {value.strip() for key, value in _fields(manifest["spec"]) if key == "image"}
    return (
        labels.get(_NO_TEST) not in _NOT_TESTED
        and images <= set(IMAGES)
        and not (is_random and "retryStrategy" in fields and "limit" in fields)
        and not any(lacking in fields for lacking in _LACKING)
    )


def _adapted(manifest: Json) -> Json:
    """Return the manifest with images that are not pulled, which stays until it is looked at."""
    adapted: Json = json.loads(json.dumps(manifest))
    adapted["spec"].pop("ttlStrategy", None)
    for container in _containers(adapted["spec"]):
        container["imagePullPolicy"] = "IfNotPresent"
    return adapted


def _containers(value: object) -> Iterator[Json]:
    if isinstance(value, dict):
        if isinstance(value.get("image"), str):
            yield value
        for inner in value.values():
            yield from _containers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _containers(inner)


def _fields(value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner)
