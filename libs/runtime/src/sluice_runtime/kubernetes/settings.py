"""Settings of the connection to Kubernetes."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sluice_runtime.durations import Duration

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
    namespace: Annotated[str, Field(description="Namespace of the Workflows.")] = "argo"
    request_timeout: Annotated[Duration, Field(description="Time limit of one request.")] = (
        timedelta(seconds=15)
    )
