"""An example of workflows from a package of one's own."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from sluice_shouting import shout
from sluice_workflows.entries import Couler, Entry
from sluice_workflows.extensions import Extension, run_outputs
from sluice_workflows.outputs import output_parameter
from sluice_workflows.parameters import Parameters, Text
from sluice_workflows.python_steps import python_step
from sluice_workflows.settings import CompileSettings

__all__ = ["entries"]


class ShoutParameters(Parameters):
    """What `shout` takes."""

    message: Annotated[str, Text(max_bytes=1024), Field(description="What is shouted.")]
    mood: Annotated[Literal["cheerful", "stern"], Field(description="How.")] = "cheerful"


def _build(couler: Couler, settings: CompileSettings) -> Iterable[Extension]:
    python_step(
        couler,
        name="shout",
        image=settings.python_image,
        program=shout,
        env={
            "MESSAGE": "{{workflow.parameters.message}}",
            "MOOD": "{{workflow.parameters.mood}}",
            "SHOUT": "/sluice/out/shout",
        },
        outputs=[output_parameter(couler, "shout", path="/sluice/out/shout")],
    )
    return [run_outputs({"shout": "{{tasks.shout.outputs.parameters.shout}}"})]


def entries() -> Iterable[Entry]:
    """Give the entries that this package adds to the catalogue."""
    yield Entry(
        name="shout",
        description="Says it louder. The run's output is `shout`.",
        parameters=ShoutParameters,
        template=_build,
    )
