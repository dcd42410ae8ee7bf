"""`artifact-passing`: one step writes an artifact, the next reads it."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from sluice_workflows.entries import Couler, Entry
from sluice_workflows.extensions import Extension, run_outputs
from sluice_workflows.outputs import artifact, output_parameter
from sluice_workflows.parameters import Parameters, Text
from sluice_workflows.python_steps import python_step
from sluice_workflows.settings import CompileSettings
from sluice_workflows.steps import read_message, write_message

__all__ = ["ARTIFACT_PASSING"]

_WRITTEN: Final = "/sluice/out/message"
_RECEIVED: Final = "/sluice/in/message"
_MESSAGE: Final = "/sluice/out/text"


class ArtifactPassingParameters(Parameters):
    """The parameters of `artifact-passing`."""

    message: Annotated[
        str, Text(max_bytes=64 * 1024), Field(description="The text that is handed on.")
    ] = "Hello from the first step"


def _build(couler: Couler, settings: CompileSettings) -> Iterable[Extension]:
    written = python_step(
        couler,
        name="write",
        image=settings.python_image,
        program=write_message,
        env={"MESSAGE": "{{workflow.parameters.message}}", "ARTIFACT": _WRITTEN},
        outputs=[artifact(couler, "message", path=_WRITTEN)],
    )
    python_step(
        couler,
        name="read",
        image=settings.python_image,
        program=read_message,
        env={"ARTIFACT": _RECEIVED, "MESSAGE": _MESSAGE},
        args=written,
        inputs=[artifact(couler, "message", path=_RECEIVED)],
        outputs=[output_parameter(couler, "message", path=_MESSAGE)],
        after="write",
    )
    return [run_outputs({"message": "{{tasks.read.outputs.parameters.message}}"})]


ARTIFACT_PASSING: Final = Entry(
    name="artifact-passing",
    description="One step writes the message as an artifact, the next reads it. "
    "The run's output `message` is what arrived.",
    parameters=ArtifactPassingParameters,
    template=_build,
)
"""Up to 88 KiB of argument and 2 x 64 KiB of output (step and run): a Workflow of about 230 KiB."""
