"""From a run that there was to a request for the same once more; pure."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import JsonValue, ValidationError

from sluice_contracts.problems import FieldError, ProblemType, field_errors
from sluice_contracts.requests import InvalidRequestError, Priority, RunRequest
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.models import RunState

__all__ = ["rerun_request"]


def rerun_request(
    run: RunState,
    *,
    run_id: str | None,
    parameters: Mapping[str, JsonValue],
    labels: Mapping[str, str],
    priority: Priority | None,
    expires_at: datetime | None,
) -> RunRequest:
    """Return a request for the run once more, as its child.

    `parameters` and `labels` replace those of the run that have the same name.

    Raises:
        ProblemError: NOT_APPLICABLE, the run's parameters are not known.
        InvalidRequestError: the result is not a valid request.
    """
    if run.workflow is None or run.parameters is None:
        raise ProblemError.of(
            ProblemType.NOT_APPLICABLE,
            "The parameters of the run are not kept: they are private, or the request was never "
            f"read here. Send a request of your own, with `parent` {run.key.run_id!r}.",
        )
    if run_id == run.key.run_id:
        raise InvalidRequestError(
            (FieldError(pointer="/id", detail="Must differ from that of the run."),)
        )
    try:
        return RunRequest(
            id=run_id,
            tenant=run.key.tenant,
            workflow=run.workflow,
            parameters={**run.parameters, **parameters},
            labels={**run.labels, **labels},
            priority=priority or run.priority,
            parent=run.key.run_id,
            expires_at=expires_at,
        )
    except ValidationError as e:
        raise InvalidRequestError(field_errors(e)) from e
