"""A Lease over HTTP, from the local engine."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from sluice_engine.engine import Engine
from sluice_engine.settings import EngineSettings
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.leases import LeaseApi
from sluice_runtime.kubernetes.settings import KubernetesSettings
from tests.behaviour.lease_port import LeasePortSuite

pytestmark = pytest.mark.integration


class TestLocalEngine(LeasePortSuite):
    @pytest.fixture
    async def lease(self, tmp_path: Path) -> AsyncIterator[LeaseApi]:
        settings = KubernetesSettings(kubeconfig=tmp_path / "kubeconfig")
        async with (
            Engine(EngineSettings(data_dir=tmp_path, port=0)),
            KubernetesClient.connect(settings) as client,
        ):
            yield LeaseApi(
                client, namespace="argo", name="turns", request_timeout=timedelta(seconds=15)
            )
