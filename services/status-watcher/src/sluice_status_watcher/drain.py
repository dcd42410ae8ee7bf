"""`python -m sluice_status_watcher.drain`: what the chart's Job runs when a release was removed."""

import asyncio

import structlog

from sluice_argo.workflows_api import WorkflowsApi
from sluice_runtime.backoff import Backoff
from sluice_runtime.kubernetes.client import ClusterConfigurationError, KubernetesClient
from sluice_runtime.kubernetes.errors import ApiError
from sluice_runtime.service import StartupError, run_service
from sluice_status_watcher.services.finalizer_drain import drain
from sluice_status_watcher.settings import Settings

__all__ = ["main"]

_log = structlog.get_logger(__name__)


async def _drain(settings: Settings, stop: asyncio.Event) -> None:
    letting_go = asyncio.create_task(_let_all_go(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({letting_go, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not letting_go.done():
        letting_go.cancel()
        await asyncio.wait({letting_go})
        # The Job has to try again: its pod may be asked to go elsewhere.
        raise StartupError("PublishedState to stop before all Workflows were let go.")
    _log.info("no Workflow is held any more", finalizer_removal_patch=letting_go.result())


async def _let_all_go(settings: Settings) -> int:
    kubernetes = settings.kubernetes
    try:
        async with KubernetesClient.connect(kubernetes) as cluster:
            workflows = WorkflowsApi(
                cluster,
                namespace=kubernetes.namespace,
                request_timeout=kubernetes.request_timeout,
            )
            return await drain(workflows, page_size=settings.watch.page_size, backoff=Backoff())
    except ClusterConfigurationError as e:
        raise StartupError(str(e)) from e
    except ApiError as e:
        raise StartupError(f"The Workflows cannot be let go: {e}") from e


def main() -> None:
    """Drain, and end."""
    run_service(
        name="sluice-drain",
        summary="Lets all of Sluice's Workflows go, so that nothing hangs once Sluice is gone.",
        settings_type=Settings,
        serve=_drain,
    )


if __name__ == "__main__":
    main()
