"""Whether a request asks for something that can be run."""

from datetime import datetime

from sluice_contracts.problems import FieldError, ProblemType
from sluice_contracts.requests import RunRequest
from sluice_gateway.domain.errors import ProblemError
from sluice_workflows.catalogue import Catalogue
from sluice_workflows.errors import InvalidParametersError, UnknownWorkflowError

__all__ = ["validate"]


def validate(request: RunRequest, *, catalogue: Catalogue, now: datetime) -> None:
    """Check the request as the dispatcher will, so that the client hears of mistakes at once.

    Raises:
        ProblemError: UNKNOWN_WORKFLOW, INVALID_PARAMETERS or EXPIRED.
    """
    try:
        catalogue.get(request.workflow).arguments(request.parameters)
    except UnknownWorkflowError as e:
        raise ProblemError.of(
            ProblemType.UNKNOWN_WORKFLOW,
            "The catalogue has no such workflow; GET /v1/workflows lists those it has.",
            errors=(FieldError(pointer="/workflow", detail="No such workflow."),),
        ) from e
    except InvalidParametersError as e:
        raise ProblemError.of(
            ProblemType.INVALID_PARAMETERS,
            f"The parameters are not those of the workflow; GET /v1/workflows/{request.workflow} "
            "gives their schema.",
            errors=e.errors,
        ) from e
    if request.expires_at is not None and request.expires_at <= now:
        raise ProblemError.of(
            ProblemType.EXPIRED,
            "The request had expired when it came. Nothing was started.",
            errors=(FieldError(pointer="/expires_at", detail="Lies in the past."),),
        )
