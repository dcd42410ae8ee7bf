"""The fake Lease faces the same suite as that of an API server."""

from typing import cast

import pytest

from sluice_runtime.kubernetes.leases import LeaseApi
from tests.behaviour.lease_port import LeasePortSuite
from tests.support.fake_lease import FakeLease

pytestmark = pytest.mark.looptime


class TestFakeLease(LeasePortSuite):
    @pytest.fixture
    def lease(self) -> LeaseApi:
        return cast("LeaseApi", FakeLease())
