"""A local engine in the test's own process, on a free port."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from engine.tests.workflows import WorkflowClient
from sluice_engine.engine import Engine
from sluice_engine.settings import EngineSettings
from tests.behaviour.kubernetes_client import KubernetesClient


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    return EngineSettings(data_dir=tmp_path / "engine", port=0)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(read_bufsize=2**22) as session:
        yield session


@pytest.fixture
async def engine(settings: EngineSettings) -> AsyncIterator[Engine]:
    async with Engine(settings) as engine:
        yield engine


@pytest.fixture
async def api(engine: Engine, session: aiohttp.ClientSession) -> KubernetesClient:
    return KubernetesClient(session, engine.url, "argo")


@pytest.fixture
async def workflows(engine: Engine, session: aiohttp.ClientSession) -> WorkflowClient:
    return WorkflowClient(KubernetesClient(session, engine.url, "argo"))
