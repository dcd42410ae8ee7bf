"""What can be configured of a list and watch of Workflows."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sluice_runtime.durations import Duration

__all__ = ["WatchSettings"]


class WatchSettings(BaseModel):
    """How Workflows are listed and watched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    page_size: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Workflows per page of a list. A Workflow may have 1.5 MB, which takes "
            "several times that in memory; a page must stay under 64 MiB.",
        ),
    ] = 10
    silence: Annotated[
        Duration,
        Field(
            description="A watch without a byte for so long is given up. Bookmarks come every 60 s."
        ),
    ] = timedelta(seconds=75)
    relist_every: Annotated[
        Duration, Field(description="Interval of new lists, even if the watch works.")
    ] = timedelta(minutes=15)
