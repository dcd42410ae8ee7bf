"""The resources that the local engine knows."""

from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = [
    "CLUSTER_WORKFLOW_TEMPLATES",
    "LEASES",
    "RESOURCES",
    "WORKFLOWS",
    "WORKFLOW_TEMPLATES",
    "Key",
    "Resource",
    "resource_of",
]


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the API, as discovery shows it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`group/version`, as objects carry it."""
        return f"{self.group}/{self.version}"

    @property
    def list_kind(self) -> str:
        """Kind of a list of these objects."""
        return f"{self.kind}List"

    @property
    def qualified(self) -> str:
        """`plural.group`, as error messages name the resource."""
        return f"{self.plural}.{self.group}"


class Key(NamedTuple):
    """Identifies an object; `namespace` is empty for cluster-scoped resources."""

    resource: Resource
    namespace: str
    name: str


_ARGO: Final = ("argoproj.io", "v1alpha1")

WORKFLOWS: Final = Resource(*_ARGO, "workflows", "Workflow", short_names=("wf",))
WORKFLOW_TEMPLATES: Final = Resource(
    *_ARGO, "workflowtemplates", "WorkflowTemplate", short_names=("wftmpl",)
)
CLUSTER_WORKFLOW_TEMPLATES: Final = Resource(
    *_ARGO,
    "clusterworkflowtemplates",
    "ClusterWorkflowTemplate",
    namespaced=False,
    short_names=("cwftmpl", "cwft"),
)
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")

RESOURCES: Final = (WORKFLOWS, WORKFLOW_TEMPLATES, CLUSTER_WORKFLOW_TEMPLATES, LEASES)


def resource_of(group: str, version: str, plural: str) -> Resource | None:
    """Return the resource behind a path, or None if the engine does not serve it."""
    wanted = (group, version, plural)
    return next((r for r in RESOURCES if (r.group, r.version, r.plural) == wanted), None)
