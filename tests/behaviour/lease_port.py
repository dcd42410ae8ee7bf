"""The Lease that leader election needs, for the real one and its fake.

The suite needs a fixture `lease`: a `LeaseApi` or its fake, for a Lease that does not exist yet.
"""

from datetime import UTC, datetime, timedelta

import pytest

from sluice_runtime.kubernetes.errors import AlreadyExistsError, ConflictError, NotFoundError
from sluice_runtime.kubernetes.leases import LeaseApi
from sluice_status_watcher.domain.lease_spec import holder_of, released, renewal_of, renewed

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
LENGTH = timedelta(seconds=15)


class LeasePortSuite:
    async def test_a_missing_lease_is_not_found(self, lease: LeaseApi) -> None:
        with pytest.raises(NotFoundError):
            await lease.read()

    async def test_a_second_creation_fails(self, lease: LeaseApi) -> None:
        spec = renewed("ada", now=NOW, duration=LENGTH)
        await lease.create(spec)
        with pytest.raises(AlreadyExistsError):
            await lease.create(renewed("bob", now=NOW, duration=LENGTH))
        assert (await lease.read())["spec"] == spec

    async def test_a_read_returns_the_last_write(self, lease: LeaseApi) -> None:
        made = await lease.create(renewed("ada", now=NOW, duration=LENGTH))
        spec = renewed("bob", now=NOW + LENGTH, duration=LENGTH, before=made)
        written = await lease.replace({**made, "spec": spec})
        assert await lease.read() == written
        assert written["spec"] == {
            "holderIdentity": "bob",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-01-02T03:04:20.678901Z",
            "renewTime": "2026-01-02T03:04:20.678901Z",
            "leaseTransitions": 1,
        }

    async def test_a_renewal_changes_the_renewal_time(self, lease: LeaseApi) -> None:
        made = await lease.create(renewed("ada", now=NOW, duration=LENGTH))
        later = renewed("ada", now=NOW + LENGTH, duration=LENGTH, before=made)
        written = await lease.replace({**made, "spec": later})
        assert renewal_of(written) != renewal_of(made)

    async def test_a_stale_replacement_is_a_conflict(self, lease: LeaseApi) -> None:
        made = await lease.create(renewed("ada", now=NOW, duration=LENGTH))
        spec = renewed("ada", now=NOW + LENGTH, duration=LENGTH, before=made)
        await lease.replace({**made, "spec": spec})
        with pytest.raises(ConflictError):
            await lease.replace({**made, "spec": released(made)})
        assert holder_of(await lease.read()) == "ada"

    async def test_a_released_lease_has_no_holder(self, lease: LeaseApi) -> None:
        made = await lease.create(renewed("ada", now=NOW, duration=LENGTH))
        await lease.replace({**made, "spec": released(made)})
        assert holder_of(await lease.read()) is None
