"""The drain succeeds only if all finalizers are removed."""

import asyncio
import os
import sys
from pathlib import Path

from aiohttp import web

from tests.unit.runtime.kubernetes.api_server import ApiServer, api_server, kubeconfig


async def drain(server: ApiServer, folder: Path) -> asyncio.subprocess.Process:
    """Start the drain on a cluster."""
    file = folder / "kubeconfig"
    file.write_text(kubeconfig(server.url), "utf-8")
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sluice_status_watcher.drain"),
        env={**os.environ, "SLUICE_KUBERNETES__KUBECONFIG": str(file)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_drain_without_workflows_succeeds(tmp_path: Path) -> None:
    async with api_server() as server:
        server.answers({"metadata": {"resourceVersion": "1"}, "items": []})
        process = await drain(server, tmp_path)
        assert await process.wait() == 0


async def test_drain_reads_deeply_nested_workflows(tmp_path: Path) -> None:
    deep = b"[" * 2_000 + b"]" * 2_000
    items = b'[{"metadata": {"name": "a", "uid": "u"}, "spec": ' + deep + b"}]"
    async with api_server() as server:

        async def answer(_: web.Request) -> web.StreamResponse:
            # A second list is refused: that ends a drain that could not read the first.
            server.refuses(422, "Invalid")
            return web.Response(
                body=b'{"metadata": {"resourceVersion": "1"}, "items": ' + items + b"}"
            )

        server.handler = answer
        process = await drain(server, tmp_path)
        assert await process.wait() == 0


async def test_stopped_drain_fails_so_that_the_job_retries(
    tmp_path: Path,
) -> None:
    asked, hold = asyncio.Event(), asyncio.Event()

    async def deaf(_: web.Request) -> web.StreamResponse:
        asked.set()
        await hold.wait()
        return web.Response()

    async with api_server() as server:
        server.handler = deaf
        process = await drain(server, tmp_path)
        await asked.wait()
        process.terminate()
        _, said = await process.communicate()
        hold.set()
        assert process.returncode == 2
        assert b"before all finalizers were removed" in said


async def test_refused_drain_fails(tmp_path: Path) -> None:
    async with api_server() as server:
        server.refuses(422, "Invalid")
        process = await drain(server, tmp_path)
        _, said = await process.communicate()
        assert process.returncode == 2
        assert b"cannot be removed" in said
