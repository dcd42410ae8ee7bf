"""Settings of the connection to Kubernetes."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sluice_contracts.ids import Tenant
from sluice_runtime.durations import Duration
from sluice_runtime.kubernetes.namespaces import Namespace, Namespaces, TenantNamespace

__all__ = ["KubernetesSettings"]


class KubernetesSettings(BaseModel):
    """The connection to the cluster that runs the Workflows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kubeconfig: Annotated[
        Path | None,
        Field(
            description="Path of a kubeconfig; None: the pod's ServiceAccount, else ~/.kube/config."
        ),
    ] = None
    context: Annotated[str | None, Field(description="Context of the kubeconfig.")] = None
    namespace: Annotated[
        Namespace,
        Field(description="Namespace of the Workflows of every tenant without one of its own."),
    ] = "argo"
    tenants: Annotated[
        Mapping[Tenant, TenantNamespace],
        Field(
            description="Namespaces of tenants, as in `{acme: {namespace: acme-runs}}`. Dispatcher "
            "and status-watcher need the same."
        ),
    ] = {}
    request_timeout: Annotated[Duration, Field(description="Time limit of one request.")] = (
        timedelta(seconds=15)
    )

    @property
    def namespaces(self) -> Namespaces:
        """Which namespace the Workflows of a tenant are in."""
        return Namespaces(self.namespace, self.tenants)
