"""Whether a request asks for something that can be run."""

from collections.abc import Callable
from datetime import datetime

from sluice_contracts.problems import FieldError, ProblemType
from sluice_contracts.requests import RunRequest
from sluice_gateway.domain.errors import ProblemError
from sluice_workflows.catalogue import Catalogue
from sluice_workflows.errors import InvalidParametersError, UnknownWorkflowError
from sluice_workflows.near_names import near_names

__all__ = ["did_you_mean", "unknown_workflow", "validate"]


def validate(
    request: RunRequest, *, catalogue: Catalogue, now: datetime, is_shown: Callable[[str], bool]
) -> None:
    """Check the request as the dispatcher will, so that the client hears of mistakes at once.

    Of a workflow that does not exist, the problem names the nearest one for which `is_shown`.

    Raises:
        ProblemError: UNKNOWN_WORKFLOW, INVALID_PARAMETERS or EXPIRED.
    """
    try:
        catalogue.get(request.workflow).arguments(request.parameters)
    except UnknownWorkflowError as e:
        raise ProblemError.of(
            ProblemType.UNKNOWN_WORKFLOW,
            unknown_workflow(request.workflow, catalogue=catalogue, is_shown=is_shown),
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


def unknown_workflow(name: str, *, catalogue: Catalogue, is_shown: Callable[[str], bool]) -> str:
    """Say that there is no such workflow, and which one may have been meant."""
    hint = did_you_mean(name, catalogue=catalogue, is_shown=is_shown)
    return f"The catalogue has no such workflow; GET /v1/workflows lists those it has.{hint}"


def did_you_mean(name: str, *, catalogue: Catalogue, is_shown: Callable[[str], bool]) -> str:
    """Return a sentence with the workflow that is most like the name, or nothing.

    Only names for which `is_shown` are compared, so that nothing is said of the others.
    """
    shown = (entry.name for entry in catalogue if is_shown(entry.name))
    return "".join(f" Did you mean {each!r}?" for each in near_names(name, shown))
