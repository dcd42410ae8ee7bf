"""`/local`: endpoints that Kubernetes does not have, for tests."""

from aiohttp import web

from sluice_engine.api.responses import document
from sluice_engine.controller.controller import Controller
from sluice_engine.store.store import Store

__all__ = ["add_local_routes"]


def add_local_routes(app: web.Application, store: Store, controller: Controller) -> None:
    """Add `GET /local/quiet` and `POST /local/compact`."""

    async def quiet(_request: web.Request) -> web.Response:
        """Answer once no step runs and no Workflow is queued."""
        await controller.wait_until_quiet()
        return document({"quiet": True, "resourceVersion": str(store.version)})

    async def compact(_request: web.Request) -> web.Response:
        """Compact the history, as etcd does: watches from an older version get 410."""
        store.history.compact()
        return document({"compactedUpTo": str(store.history.oldest)})

    app.router.add_get("/local/quiet", quiet)
    app.router.add_post("/local/compact", compact)
