"""The lines of a step's log, as the HTTP API shows them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LogLine"]


class LogLine(BaseModel):
    """A line that a step has written to its standard output or error."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    time: Annotated[
        str | None, Field(description="When it was written, as the cluster says it (RFC 3339).")
    ]
    text: Annotated[str, Field(description="The line; what is not UTF-8 is replaced by U+FFFD.")]
    truncated: Annotated[bool, Field(description="Whether its end was left out.")] = False
