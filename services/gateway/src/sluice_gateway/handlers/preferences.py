"""The header Prefer (RFC 7240): how long a client wants to wait for an outcome."""

import re
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from sluice_gateway.handlers.operations import Parameter, QueryParameter
from sluice_gateway.services.waiting import MAX_WAIT_S

__all__ = ["PREFER", "PREFERENCE_APPLIED", "WAIT", "preferred_wait"]

_WAIT: Final = re.compile(r'wait\s*=\s*"?([0-9]{1,9})"?', re.IGNORECASE)

WAIT: Final[QueryParameter[int]] = QueryParameter(
    name="wait",
    type=Annotated[int, Field(ge=0, le=MAX_WAIT_S)],
    description="Seconds to wait for the outcome.",
    default=0,
)
PREFER: Final = Parameter(
    name="Prefer",
    type=str,
    description=f"`wait=N`: wait for the outcome for N seconds, {MAX_WAIT_S} at most (RFC 7240).",
)
PREFERENCE_APPLIED: Final = Parameter(
    name="Preference-Applied", type=str, description="The wait that was preferred, as `wait=N`."
)


def preferred_wait(request: web.Request) -> int | None:
    """Return for how many seconds the client prefers to wait, None if it does not say.

    What cannot be read is ignored, as RFC 7240 section 2 asks for; the first `wait` counts.
    """
    preferences = ",".join(request.headers.getall("Prefer", [])).split(",")
    for preference in preferences:
        wait = _WAIT.fullmatch(preference.partition(";")[0].strip())
        if wait is not None:
            return min(int(wait[1]), MAX_WAIT_S)
    return None
