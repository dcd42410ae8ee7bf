"""What a turn expects of its Lease, from whoever offers one.

Needs a fixture `lease`: a `LeaseApi`, or what stands in for it, of a Lease that is not there yet.
"""

from datetime import UTC, datetime, timedelta

import pytest

from sluice_runtime.kubernetes.errors import AlreadyExistsError, ConflictError, NotFoundError
from sluice_runtime.kubernetes.leases import LeaseApi
from sluice_status_watcher.leases import given_up, held_by, holder_of, renewal_of

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
LENGTH = timedelta(seconds=15)


class LeasePortSuite:
    async def test_none_is_not_found(self, lease: LeaseApi) -> None:
        with pytest.raises(NotFoundError):
            await lease.read()

    async def test_it_is_made_once(self, lease: LeaseApi) -> None:
        spec = held_by("ada", now=NOW, duration=LENGTH)
        await lease.create(spec)
        with pytest.raises(AlreadyExistsError):
            await lease.create(held_by("bob", now=NOW, duration=LENGTH))
        assert (await lease.read())["spec"] == spec

    async def test_it_says_what_was_written(self, lease: LeaseApi) -> None:
        made = await lease.create(held_by("ada", now=NOW, duration=LENGTH))
        spec = held_by("bob", now=NOW + LENGTH, duration=LENGTH, before=made)
        written = await lease.replace({**made, "spec": spec})
        assert await lease.read() == written
        assert written["spec"] == {
            "holderIdentity": "bob",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-01-02T03:04:20.678901Z",
            "renewTime": "2026-01-02T03:04:20.678901Z",
            "leaseTransitions": 1,
        }

    async def test_a_renewal_is_seen(self, lease: LeaseApi) -> None:
        made = await lease.create(held_by("ada", now=NOW, duration=LENGTH))
        later = held_by("ada", now=NOW + LENGTH, duration=LENGTH, before=made)
        written = await lease.replace({**made, "spec": later})
        assert renewal_of(written) != renewal_of(made)

    async def test_of_two_who_have_read_the_same_one_writes(self, lease: LeaseApi) -> None:
        made = await lease.create(held_by("ada", now=NOW, duration=LENGTH))
        spec = held_by("ada", now=NOW + LENGTH, duration=LENGTH, before=made)
        await lease.replace({**made, "spec": spec})
        with pytest.raises(ConflictError):
            await lease.replace({**made, "spec": given_up(made)})
        assert holder_of(await lease.read()) == "ada"

    async def test_it_can_be_held_by_nobody(self, lease: LeaseApi) -> None:
        made = await lease.create(held_by("ada", now=NOW, duration=LENGTH))
        await lease.replace({**made, "spec": given_up(made)})
        assert holder_of(await lease.read()) is None
