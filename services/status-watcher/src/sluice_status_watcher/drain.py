"""`python -m sluice_status_watcher.drain`: the chart's Job that runs after an uninstallation."""

import asyncio

import structlog

from sluice_argo.workflows_api import WorkflowsApi
from sluice_runtime.backoff import Backoff
from sluice_runtime.kubernetes.client import ClusterConfigurationError, KubernetesClient
from sluice_runtime.kubernetes.errors import ApiError
from sluice_runtime.kubernetes.shallow_json import parse_shallow
from sluice_runtime.service import StartupError, run_service
from sluice_status_watcher.services.finalizer_drain import drain_finalizers
from sluice_status_watcher.settings import Settings

__all__ = ["main"]

_log = structlog.get_logger(__name__)


async def _serve(settings: Settings, stop: asyncio.Event) -> None:
    draining = asyncio.create_task(_drain(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({draining, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not draining.done():
        draining.cancel()
        await asyncio.wait({draining})
        # The pod may have been evicted, so the Job has to try again.
        raise StartupError("Stopped before all finalizers were removed.")
    _log.info("no Workflow has the finalizer any more", removed=draining.result())


async def _drain(settings: Settings) -> int:
    kubernetes = settings.kubernetes
    try:
        async with KubernetesClient.connect(kubernetes) as cluster:
            # Side by side: one that is refused does not keep the others from being drained.
            removed = await asyncio.gather(
                *(
                    drain_finalizers(
                        WorkflowsApi(
                            cluster,
                            namespace=namespace,
                            request_timeout=kubernetes.request_timeout,
                            parse=parse_shallow,
                        ),
                        page_size=settings.watch.page_size,
                        backoff=Backoff(),
                    )
                    for namespace in kubernetes.namespaces.all
                ),
                return_exceptions=True,
            )
            return sum(_counted(each) for each in removed)
    except ClusterConfigurationError as e:
        raise StartupError(str(e)) from e
    except ApiError as e:
        raise StartupError(f"The finalizers cannot be removed: {e}") from e


def _counted(result: int | BaseException) -> int:
    if isinstance(result, BaseException):
        raise result
    return result


def main() -> None:
    """Remove all finalizers, and end."""
    run_service(
        name="sluice-drain",
        summary="Removes Sluice's finalizer from all Workflows, so that none hangs in deletion "
        "once Sluice is uninstalled.",
        settings_type=Settings,
        serve=_serve,
    )


if __name__ == "__main__":
    main()
