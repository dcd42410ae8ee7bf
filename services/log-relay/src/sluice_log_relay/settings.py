"""The settings of the log-relay."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sluice_runtime.durations import Duration
from sluice_runtime.kubernetes.settings import KubernetesSettings
from sluice_runtime.settings import ServiceSettings

__all__ = ["HttpSettings", "Settings"]


class HttpSettings(BaseModel):
    """Where the gateway finds the log-relay; nobody else should reach it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0: any.")] = 8094


class Settings(ServiceSettings):
    """All settings of the log-relay."""

    http: HttpSettings = HttpSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    secret_file: Annotated[
        Path,
        Field(
            description="File with the secret that the gateway sends, 32 characters or more; of "
            "several lines each is good. It is read again when it has changed."
        ),
    ]
    max_streams: Annotated[
        int,
        Field(
            ge=1,
            description="Logs read at a time, each with a connection to the API server and at most "
            "128 KiB of memory. One more is answered with 503.",
        ),
    ] = 250
    keepalive: Annotated[
        Duration, Field(description="Silence after which the gateway hears that a log goes on.")
    ] = timedelta(seconds=10)
    patience: Annotated[
        Duration,
        Field(
            description="How long to wait for the pod of a step that starts, and for a pod to "
            "say that its container has ended. Then the gateway asks again."
        ),
    ] = timedelta(seconds=30)
    write_timeout: Annotated[
        Duration, Field(description="For the gateway to take what was written.")
    ] = timedelta(seconds=60)
