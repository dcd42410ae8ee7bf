"""The whole engine: store, API and controller in one process."""

import asyncio
from types import TracebackType
from typing import Final, Self

import structlog
from aiohttp import web

from sluice_engine.api.handlers import Handlers
from sluice_engine.api.local import add_local_routes
from sluice_engine.api.pods import Pods
from sluice_engine.api.routes import (
    MAX_BODY_BYTES,
    add_routes,
    error_middleware,
    name_server,
)
from sluice_engine.api.watches import Watches
from sluice_engine.controller.controller import Controller
from sluice_engine.kubeconfig import write_kubeconfig
from sluice_engine.settings import ENGINE_VERSION, EngineSettings
from sluice_engine.store.store import Store

__all__ = ["Engine"]

_SHUTDOWN_SECONDS: Final = 5.0

_log = structlog.get_logger()


class Engine:
    """A running local engine, as an async context manager.

    Args:
        settings: where and how.

    Raises:
        DataFolderError: on start, the data folder cannot be used.
        OSError: on start, the port cannot be opened.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._url = ""

    @property
    def url(self) -> str:
        """Its base URL, once started."""
        return self._url

    async def start(self) -> None:
        """Open the data folder, serve the API, and resume the Workflows."""
        settings = self._settings
        self._store = Store(
            settings.data_dir,
            max_changes=settings.history_changes,
            max_bytes=settings.history_bytes,
        )
        try:
            await self._serve()
        except BaseException:
            self._store.close()
            raise

    async def _serve(self) -> None:
        settings, store = self._settings, self._store
        self._watches = Watches(store, bookmark_seconds=settings.bookmark_seconds)
        controller = Controller(store, settings)
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[error_middleware])
        app.on_response_prepare.append(name_server)
        add_routes(app, Handlers(store, self._watches), Pods(store, controller.runner))
        add_local_routes(app, store, controller)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, settings.host, settings.port)
            await site.start()
        except BaseException:
            await self._runner.cleanup()
            raise
        host, port = self._runner.addresses[0][:2]
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        write_kubeconfig(settings.data_dir, self._url)
        self._controller = asyncio.create_task(controller.run(), name="controller")
        _log.info(
            f"local engine ready at {self._url}",
            version=ENGINE_VERSION,
            kubernetes=False,
            data_dir=str(settings.data_dir),
            parallel_steps=settings.parallel_steps,
        )

    async def wait(self) -> None:
        """Wait until the controller ends, which only a defect makes it do.

        Raises:
            Exception: the defect.
        """
        await asyncio.shield(self._controller)

    async def stop(self) -> None:
        """End watches, kill steps, close the store. The next start runs those steps again."""
        self._watches.stop()
        self._controller.cancel()
        # If it failed, wait() has raised that; here it only has to end.
        await asyncio.wait({self._controller})
        await self._runner.cleanup()
        self._store.close()
        _log.info("local engine stopped")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
