"""One Lease, as the API server offers it: https://kubernetes.io/docs/concepts/architecture/leases/."""

from datetime import timedelta

from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes.client import Json, KubernetesClient

__all__ = ["LeaseApi"]


class LeaseApi:
    """Read, create and replace one Lease; each request has its own timeout."""

    def __init__(
        self, client: KubernetesClient, *, namespace: str, name: str, request_timeout: timedelta
    ) -> None:
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._timeout = request_timeout

    async def read(self) -> Json:
        """Give the Lease.

        Raises:
            NotFoundError: there is none.
            ApiError: another clear no.
            ApiUnavailableError: no clear answer.
        """
        return await self._client.call("GET", self._path, deadline=self._deadline("read the Lease"))

    async def create(self, spec: Json) -> Json:
        """Make the Lease.

        Raises:
            AlreadyExistsError: somebody else was quicker.
            ApiError: another clear no.
            ApiUnavailableError: it may have been made or not.
        """
        manifest = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": spec,
        }
        return await self._client.call(
            "POST", self._collection, body=manifest, deadline=self._deadline("make the Lease")
        )

    async def replace(self, lease: Json) -> Json:
        """Write a Lease that was read before.

        Raises:
            ConflictError: somebody else has written it since.
            ApiError: another clear no, NotFoundError among them.
            ApiUnavailableError: it may have been written or not.
        """
        return await self._client.call(
            "PUT", self._path, body=lease, deadline=self._deadline("write the Lease")
        )

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._name}"

    def _deadline(self, what: str) -> Deadline:
        return Deadline(what, self._timeout)
