"""Workflows over HTTP, from the local engine."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from sluice_argo.workflows_api import WorkflowsApi
from sluice_engine.engine import Engine
from sluice_engine.settings import EngineSettings
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.settings import KubernetesSettings
from tests.behaviour.workflows_port import WorkflowsPortSuite

pytestmark = pytest.mark.integration


class TestLocalEngine(WorkflowsPortSuite):
    @pytest.fixture
    async def workflows(self, tmp_path: Path) -> AsyncIterator[WorkflowsApi]:
        async with Engine(EngineSettings(data_dir=tmp_path, port=0)) as engine:
            self.url = engine.url
            settings = KubernetesSettings(kubeconfig=tmp_path / "kubeconfig")
            async with KubernetesClient.connect(settings) as client:
                yield WorkflowsApi(client, namespace="argo", request_timeout=timedelta(seconds=15))

    async def delete(self, workflows: WorkflowsApi, name: str) -> None:
        path = f"{self.url}/apis/argoproj.io/v1alpha1/namespaces/argo/workflows/{name}"
        async with aiohttp.ClientSession() as http, http.delete(path) as response:
            assert response.status == 200

    async def expire_history(self, workflows: WorkflowsApi) -> None:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/local/compact") as response,
        ):
            assert response.status == 200
