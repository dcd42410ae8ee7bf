"""The API of one Lease: https://kubernetes.io/docs/concepts/architecture/leases/."""

from datetime import timedelta

from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes.client import Json, KubernetesClient

__all__ = ["LeaseApi"]


class LeaseApi:
    """Reads, creates and replaces one Lease; each request has its own timeout."""

    def __init__(
        self, client: KubernetesClient, *, namespace: str, name: str, request_timeout: timedelta
    ) -> None:
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._timeout = request_timeout

    async def read(self) -> Json:
        """Return the Lease.

        Raises:
            NotFoundError: the Lease does not exist.
            ApiError: the request was refused for another reason.
            ApiUnavailableError: there was no definite answer.
        """
        return await self._client.call("GET", self._path, deadline=self._deadline("read the Lease"))

    async def create(self, spec: Json) -> Json:
        """Create the Lease, and return it.

        Raises:
            AlreadyExistsError: another process created it first.
            ApiError: the request was refused for another reason.
            ApiUnavailableError: the Lease may have been created or not.
        """
        manifest = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": spec,
        }
        return await self._client.call(
            "POST", self._collection, body=manifest, deadline=self._deadline("create the Lease")
        )

    async def replace(self, lease: Json) -> Json:
        """Replace a Lease that was read before, and return the new one.

        Raises:
            ConflictError: another process has written it since.
            ApiError: the request was refused for another reason, such as NotFoundError.
            ApiUnavailableError: the Lease may have been written or not.
        """
        return await self._client.call(
            "PUT", self._path, body=lease, deadline=self._deadline("replace the Lease")
        )

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._name}"

    def _deadline(self, what: str) -> Deadline:
        return Deadline(what, self._timeout)
