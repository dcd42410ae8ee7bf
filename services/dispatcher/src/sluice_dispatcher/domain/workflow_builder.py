"""From a valid request to the Workflow to create."""

import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from sluice_argo import metadata
from sluice_argo.request_facts import RequestFacts, encode_request_facts
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.problems import FieldError, Problem, ProblemType, problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import InvalidRecordError, ReceivedRun
from sluice_contracts.requests import Priority
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.domain.slots import Slot, slot_name
from sluice_runtime.kubernetes.namespaces import Namespaces
from sluice_workflows.catalogue import Catalogue
from sluice_workflows.entries import Entry
from sluice_workflows.errors import InvalidParametersError, UnknownWorkflowError
from sluice_workflows.skeletons import Skeleton, instantiate

__all__ = ["WorkflowBuilder", "controller_of", "invalid_run"]


# Argo starts Workflows of a higher number first; without one, it is 0.
_PRIORITIES: Final[Mapping[Priority, int]] = {"high": 1, "low": -1}


class WorkflowBuilder:
    """Builds Workflows from the compiled skeletons of the catalogue.

    `instance_ids` are those of Argo's controllers that share them; see `controller_of`.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        skeletons: Mapping[str, Skeleton],
        *,
        namespaces: Namespaces,
        instance_ids: Sequence[str] = (),
    ) -> None:
        self._catalogue = catalogue
        self._skeletons = skeletons
        self._namespaces = namespaces
        self._instance_ids = instance_ids

    def build(self, received: ReceivedRun, *, record: IncomingRecord) -> Manifest:
        """Return the Workflow: the entry's skeleton with the request's values and identity.

        Raises:
            InvalidRecordError: the catalogue has no such entry, or the parameters do not fit it.
        """
        request, key = received.request, received.key
        try:
            entry = self._catalogue.get(request.workflow)
            arguments = entry.arguments(request.parameters)
        except UnknownWorkflowError as e:
            at = FieldError(pointer="/workflow", detail=str(e))
            unknown = problem(ProblemType.UNKNOWN_WORKFLOW, str(e), errors=(at,))
            raise invalid_run(received, unknown) from e
        except InvalidParametersError as e:
            detail = f"The parameters do not fit the workflow {request.workflow!r}."
            misfit = problem(ProblemType.INVALID_PARAMETERS, detail, errors=e.errors)
            raise invalid_run(received, misfit) from e
        slot = self._slot(entry, arguments, key=key)
        facts = RequestFacts(
            labels=request.labels,
            priority=request.priority,
            parent=request.parent,
            requested_by=received.requested_by,
            accepted_at=datetime.fromtimestamp(record.timestamp_ms / 1000, tz=UTC),
            has_private_parameters=entry.private_parameters,
        )
        name = workflow_name(key)
        controller = controller_of(name, self._instance_ids)
        manifest = instantiate(
            self._skeletons[request.workflow],
            name=name,
            namespace=self._namespaces.of(key.tenant),
            labels={
                metadata.MANAGED_BY: metadata.MANAGED_BY_VALUE,
                metadata.TENANT: key.tenant,
                metadata.WORKFLOW: request.workflow,
                **({} if controller is None else {metadata.INSTANCE_ID: controller}),
            },
            annotations={
                metadata.RUN_ID: key.run_id,
                metadata.FINGERPRINT: request.fingerprint,
                metadata.REQUEST: str(record.position),
                metadata.TRACEPARENT: received.traceparent,
                **encode_request_facts(facts),
                **({metadata.SLOT: slot.name} if slot else {}),
            },
            finalizers=(metadata.FINALIZER,),
            arguments=arguments,
        )
        if (priority := _PRIORITIES.get(request.priority)) is not None:
            # Argo's Strict and Secure modes allow it beside a workflowTemplateRef.
            manifest["spec"]["priority"] = priority
        return manifest

    @property
    def limits_concurrency(self) -> bool:
        """Whether any workflow limits the runs of one key."""
        return any(entry.concurrency is not None for entry in self._catalogue)

    def slot_of(self, received: ReceivedRun) -> Slot | None:
        """Return the slot that a run of this valid request needs; None if it needs none."""
        entry = self._catalogue.get(received.request.workflow)
        if entry.concurrency is None:
            return None
        arguments = entry.arguments(received.request.parameters)
        return self._slot(entry, arguments, key=received.key)

    def slot_limit(self, workflow: str) -> int | None:
        """Return how many runs of one key that workflow may have now; None: any number."""
        try:
            concurrency = self._catalogue.get(workflow).concurrency
        except UnknownWorkflowError:
            return None
        return None if concurrency is None else concurrency.limit

    @staticmethod
    def _slot(entry: Entry, arguments: Mapping[str, str], *, key: RunKey) -> Slot | None:
        if (concurrency := entry.concurrency) is None:
            return None
        return Slot(
            name=slot_name(
                tenant=key.tenant,
                workflow=entry.name,
                value=arguments[concurrency.parameter],
            ),
            tenant=key.tenant,
            workflow=entry.name,
            limit=concurrency.limit,
            when_full=concurrency.when_full,
        )


def controller_of(name: str, instance_ids: Sequence[str]) -> str | None:
    """Return the instance id of the controller for the Workflow of this name; None for any.

    It depends on the name and the list alone, so that each delivery of a request says the same.
    """
    return instance_ids[zlib.crc32(name.encode()) % len(instance_ids)] if instance_ids else None


def invalid_run(received: ReceivedRun, problem: Problem) -> InvalidRecordError:
    """Return why a request that was decoded cannot become a run after all."""
    return InvalidRecordError(
        problem,
        key=received.key,
        workflow=received.request.workflow,
        fingerprint=received.request.fingerprint,
        request=received.request,
        traceparent=received.traceparent,
        requested_by=received.requested_by,
    )
