"""The fake Workflows face the same suite as those of an API server."""

from typing import cast

import pytest

from sluice_argo.workflows_api import WorkflowsApi
from tests.behaviour.workflows_port import WorkflowsPortSuite
from tests.support.fake_workflows import FakeWorkflows

pytestmark = pytest.mark.looptime


class TestFakeWorkflows(WorkflowsPortSuite):
    @pytest.fixture
    def workflows(self) -> WorkflowsApi:
        return cast("WorkflowsApi", FakeWorkflows())

    async def delete(self, workflows: WorkflowsApi, name: str) -> None:
        await cast("FakeWorkflows", workflows).delete_for_test(name)

    async def expire_history(self, workflows: WorkflowsApi) -> None:
        cast("FakeWorkflows", workflows).expire_history_for_test()
