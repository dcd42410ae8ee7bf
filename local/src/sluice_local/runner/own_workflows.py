"""Workflows of the user's own: a folder with their catalogue and their WorkflowTemplates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import yaml

from sluice_local.errors import LocalModeError
from sluice_local.runner.plan import CATALOGUE, NAMESPACE
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.errors import AlreadyExistsError, ApiError, ApiUnavailableError
from sluice_runtime.kubernetes.settings import KubernetesSettings

__all__ = ["WorkflowTemplate", "apply_templates", "read_templates"]

_PATHS: Final = {
    "WorkflowTemplate": f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/workflowtemplates",
    "ClusterWorkflowTemplate": "/apis/argoproj.io/v1alpha1/clusterworkflowtemplates",
}
_TIMEOUT: Final = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True)
class WorkflowTemplate:
    """A WorkflowTemplate or ClusterWorkflowTemplate, and the file that it is from."""

    file: Path
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.document["metadata"]["name"])

    @property
    def path(self) -> str:
        """The path of its kind at the API server."""
        return _PATHS[self.document["kind"]]


def read_templates(folder: Path) -> list[WorkflowTemplate]:
    """Return the templates of a folder, in the order of its files' names.

    Raises:
        LocalModeError: there is no catalogue, or a file has something else than templates.
    """
    if not (folder / CATALOGUE).is_file():
        raise LocalModeError(
            f"{folder} has no {CATALOGUE}.",
            remedy="Name a folder with a catalogue and WorkflowTemplates; docs/tutorial.md makes "
            "one.",
        )
    files = [each for each in sorted(folder.glob("*.y*ml")) if each.name != CATALOGUE]
    return [template for file in files for template in _templates_of(file)]


def _templates_of(file: Path) -> list[WorkflowTemplate]:
    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        mark = getattr(e, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise LocalModeError(f"{file}{where}: not valid YAML.", remedy="Correct it.") from e
    found = []
    for document in documents:
        match document:
            case None:
                continue
            case {"kind": "WorkflowTemplate" | "ClusterWorkflowTemplate", "metadata": {"name": _}}:
                found.append(WorkflowTemplate(file=file, document=document))
            case _:
                raise LocalModeError(
                    f"{file}: not a WorkflowTemplate with a name.",
                    remedy=f"Leave WorkflowTemplates and {CATALOGUE} in the folder, and move other "
                    "YAML elsewhere.",
                )
    return found


async def apply_templates(templates: Sequence[WorkflowTemplate], *, kubeconfig: Path) -> None:
    """Create the templates, or replace those that are there.

    Raises:
        LocalModeError: the API server does not take one.
    """
    settings = KubernetesSettings(kubeconfig=kubeconfig, namespace=NAMESPACE)
    async with KubernetesClient.connect(settings) as client:
        for template in templates:
            try:
                await _apply(client, template)
            except (ApiError, ApiUnavailableError) as e:
                raise LocalModeError(
                    f"{template.file}: {template.name} was not taken: {e}",
                    remedy="Correct it, and start again.",
                ) from e


async def _apply(client: KubernetesClient, template: WorkflowTemplate) -> None:
    deadline = Deadline(f"applying {template.name}", _TIMEOUT)
    try:
        await client.call("POST", template.path, body=template.document, deadline=deadline)
    except AlreadyExistsError:
        path = f"{template.path}/{template.name}"
        there = await client.call("GET", path, deadline=deadline)
        version = {"resourceVersion": there["metadata"]["resourceVersion"]}
        body = template.document | {"metadata": template.document["metadata"] | version}
        await client.call("PUT", path, body=body, deadline=deadline)
