"""A real API server passes the suites that the local engine was built to."""

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from sluice_argo.workflows_api import WorkflowsApi
from sluice_dispatcher.adapters.lease_slots import LeaseSlots
from sluice_runtime.kubernetes.client import KubernetesClient as Client
from sluice_runtime.kubernetes.leases import LeaseApi
from sluice_runtime.kubernetes.settings import KubernetesSettings
from testbed.errors import TestbedError
from testbed.testbed import Testbed
from testbed.waiting import wait_until
from tests.behaviour.kubernetes_client import WORKFLOWS, KubernetesClient
from tests.behaviour.kubernetes_lists import KubernetesListsSuite
from tests.behaviour.kubernetes_objects import KubernetesObjectsSuite
from tests.behaviour.lease_port import LeasePortSuite
from tests.behaviour.slot_store_port import SlotStorePortSuite, Spoil, lease_spoiler
from tests.behaviour.workflows_port import WorkflowsPortSuite, manifest

pytestmark = pytest.mark.cluster


class TestRealObjects(KubernetesObjectsSuite):
    pass


class TestRealLists(KubernetesListsSuite):
    pass


class TestRealLease(LeasePortSuite):
    @pytest.fixture
    async def lease(self, testbed: Testbed, api: KubernetesClient) -> AsyncIterator[LeaseApi]:
        async with Client.connect(KubernetesSettings(kubeconfig=testbed.kubeconfig())) as client:
            yield LeaseApi(
                client,
                namespace=api.namespace,
                name="turns",
                request_timeout=timedelta(seconds=15),
            )


class TestRealSlots(SlotStorePortSuite):
    @pytest.fixture
    async def client(self, testbed: Testbed) -> AsyncIterator[Client]:
        async with Client.connect(KubernetesSettings(kubeconfig=testbed.kubeconfig())) as client:
            yield client

    @pytest.fixture
    def slots(self, client: Client, api: KubernetesClient) -> LeaseSlots:
        return LeaseSlots(client, namespace=api.namespace, request_timeout=timedelta(seconds=15))

    @pytest.fixture
    def spoil(self, client: Client, api: KubernetesClient) -> Spoil:
        return lease_spoiler(client, namespace=api.namespace)


class TestRealWorkflows(WorkflowsPortSuite):
    @pytest.fixture
    async def workflows(
        self, testbed: Testbed, api: KubernetesClient
    ) -> AsyncIterator[WorkflowsApi]:
        self.testbed, self.api = testbed, api
        async with Client.connect(KubernetesSettings(kubeconfig=testbed.kubeconfig())) as client:
            yield WorkflowsApi(
                client, namespace=api.namespace, request_timeout=timedelta(seconds=15)
            )

    async def test_metadata_alone_is_listed_and_watched(
        self, workflows: WorkflowsApi, testbed: Testbed, api: KubernetesClient
    ) -> None:
        async with Client.connect(KubernetesSettings(kubeconfig=testbed.kubeconfig())) as client:
            only = WorkflowsApi(
                client,
                namespace=api.namespace,
                request_timeout=timedelta(seconds=15),
                listed="metadata",
            )
            before = await only.list_page(limit=10, continue_token=None)
            created = await workflows.create(manifest("run-metadata"))
            page = await only.list_page(limit=10, continue_token=None)
            [found] = [each for each in page.items if each["metadata"]["name"] == "run-metadata"]
            assert found.keys() <= {"kind", "apiVersion", "metadata"}
            # Argo may have added some meanwhile.
            assert found["metadata"]["labels"].items() >= created["metadata"]["labels"].items()
            async with only.watch(
                resource_version=before.resource_version, timeout_seconds=30
            ) as chunks:
                event = json.loads((await anext(chunks)).partition(b"\n")[0])
            assert event["type"] == "ADDED"
            assert "spec" not in event["object"]
            assert event["object"]["metadata"]["uid"] == created["metadata"]["uid"]

    @pytest.mark.upheaval
    async def test_a_watch_from_an_expired_version_is_an_error(
        self, workflows: WorkflowsApi
    ) -> None:
        await super().test_a_watch_from_an_expired_version_is_an_error(workflows)

    async def delete(self, workflows: WorkflowsApi, name: str) -> None:
        assert (await self.api.delete(WORKFLOWS, name)).code == 200

    async def expire_history(self, workflows: WorkflowsApi) -> None:
        # Its memory of changes, from which watches are served, begins when it does.
        [server] = [p for p in self.testbed.programs.control_plane() if p.name == "kube-apiserver"]
        self.testbed.processes().kill(server.name)
        self.testbed.start(server)
        self.testbed.await_api()
        wait_until(self.watches_are_served, what="Watches to be served again", seconds=120)

    def watches_are_served(self) -> bool:
        """Whether the memory of this kind of object is there: the server is ready before it."""
        watch = "/apis/argoproj.io/v1alpha1/workflows?watch=1&timeoutSeconds=1"
        with contextlib.suppress(TestbedError):
            self.testbed.kubectl()("get", "--raw", watch)
            return True
        return False
