"""How to reach Kubernetes."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sluice_runtime.durations import Duration

__all__ = ["KubernetesSettings"]


class KubernetesSettings(BaseModel):
    """How to reach the cluster that runs the Workflows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kubeconfig: Annotated[
        Path | None,
        Field(
            description="File to connect with; None: the pod's own account, else ~/.kube/config."
        ),
    ] = None
    context: Annotated[str | None, Field(description="Context of the kubeconfig.")] = None
    namespace: Annotated[str, Field(description="Where the Workflows live.")] = "argo"
    request_timeout: Annotated[
        Duration, Field(description="For one request, before it counts as failed.")
    ] = timedelta(seconds=15)
