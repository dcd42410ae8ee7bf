"""The Workflows of runs, each in a namespace of its tenant."""

from collections.abc import Mapping, Sequence

from sluice_contracts.ids import RunKey, workflow_name
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.ports import Workflows
from sluice_runtime.kubernetes.errors import NotFoundError
from sluice_runtime.kubernetes.namespaces import Namespaces

__all__ = ["RunWorkflows"]


class RunWorkflows:
    """Finds and changes the Workflow of a run, whichever namespace it is in.

    Errors are those of `Workflows`. `within` has the Workflows of each namespace.
    """

    def __init__(self, namespaces: Namespaces, within: Mapping[str, Workflows]) -> None:
        self._namespaces = namespaces
        self._within = within

    async def create(self, manifest: Manifest) -> Manifest:
        """Create a Workflow in the namespace that it names."""
        return await self._of(manifest).create(manifest)

    async def get(self, key: RunKey) -> Manifest:
        """Return the Workflow of the run's name; NotFoundError if no namespace has it."""
        try:
            return await self._within[self._namespaces.of(key.tenant)].get(workflow_name(key))
        except NotFoundError:
            former = await self.get_former(key)
            if former is None:
                raise
            return former

    async def get_former(self, key: RunKey) -> Manifest | None:
        """Return the Workflow of the run's name where its tenant has moved from; None if none is.

        Makes no request for a tenant that has not moved.
        """
        for namespace in self._namespaces.before(key.tenant):
            try:
                return await self._within[namespace].get(workflow_name(key))
            except NotFoundError:
                continue
        return None

    async def patch(self, workflow: Manifest, operations: Sequence[Manifest]) -> Manifest:
        """Change a Workflow that was read."""
        return await self._of(workflow).patch(workflow["metadata"]["name"], operations)

    async def delete_pod(self, name: str, *, of: Manifest) -> bool:
        """Delete a pod of a Workflow that was read; return whether there was one."""
        return await self._of(of).delete_pod(name)

    def _of(self, workflow: Manifest) -> Workflows:
        return self._within[workflow["metadata"]["namespace"]]
