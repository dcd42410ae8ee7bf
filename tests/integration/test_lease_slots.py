"""Slots as Leases over HTTP, from the local engine."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from sluice_dispatcher.adapters.lease_slots import LeaseSlots
from sluice_engine.engine import Engine
from sluice_engine.settings import EngineSettings
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.settings import KubernetesSettings
from tests.behaviour.slot_store_port import SlotStorePortSuite, Spoil, lease_spoiler

pytestmark = pytest.mark.integration


class TestLocalEngine(SlotStorePortSuite):
    @pytest.fixture
    async def client(self, tmp_path: Path) -> AsyncIterator[KubernetesClient]:
        settings = KubernetesSettings(kubeconfig=tmp_path / "kubeconfig")
        async with (
            Engine(EngineSettings(data_dir=tmp_path, port=0)),
            KubernetesClient.connect(settings) as client,
        ):
            yield client

    @pytest.fixture
    def slots(self, client: KubernetesClient) -> LeaseSlots:
        return LeaseSlots(client, namespace="argo", request_timeout=timedelta(seconds=15))

    @pytest.fixture
    def spoil(self, client: KubernetesClient) -> Spoil:
        return lease_spoiler(client, namespace="argo")
