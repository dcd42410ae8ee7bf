"""`approval`: a step, a wait until the run is resumed, another step."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from sluice_workflows.entries import Couler, Entry
from sluice_workflows.extensions import Answer, Extension, run_outputs, suspend
from sluice_workflows.outputs import output_parameter
from sluice_workflows.parameters import Parameters, Text
from sluice_workflows.python_steps import python_step
from sluice_workflows.settings import CompileSettings
from sluice_workflows.steps import carry_out, propose

__all__ = ["APPROVAL"]

_PROPOSAL: Final = "/sluice/out/proposal"
_MESSAGE: Final = "/sluice/out/message"
_ANSWERS: Final = (
    Answer(
        name="decision",
        description="Whether it is carried out.",
        default="approve",
        choices=("approve", "refuse"),
    ),
    Answer(name="comment", description="Why, in your own words.", default=""),
)


class ApprovalParameters(Parameters):
    """The parameters of `approval`."""

    reason: Annotated[
        str, Text(max_bytes=1024), Field(description="What is to be approved, and why.")
    ] = ""


def _build(couler: Couler, settings: CompileSettings) -> Iterable[Extension]:
    python_step(
        couler,
        name="propose",
        image=settings.python_image,
        program=propose,
        env={"REASON": "{{workflow.parameters.reason}}", "PROPOSAL": _PROPOSAL},
        outputs=[output_parameter(couler, "proposal", path=_PROPOSAL)],
    )
    python_step(
        couler,
        name="carry-out",
        image=settings.python_image,
        program=carry_out,
        env={"REASON": "{{workflow.parameters.reason}}", "MESSAGE": _MESSAGE},
        args=["{{tasks.approve.outputs.parameters.decision}}"],
        outputs=[output_parameter(couler, "message", path=_MESSAGE)],
        after="approve",
    )
    return [
        suspend(task="approve", depends="propose", answers=_ANSWERS),
        run_outputs(
            {
                "message": "{{tasks.carry-out.outputs.parameters.message}}",
                "decision": "{{tasks.approve.outputs.parameters.decision}}",
                "comment": "{{tasks.approve.outputs.parameters.comment}}",
            }
        ),
    ]


APPROVAL: Final = Entry(
    name="approval",
    description="Proposes something, waits until the run is resumed, then carries it out. "
    "`resume` may answer with a `decision` (approve or refuse) and a `comment`. "
    "The run's outputs are `message` and the answer.",
    parameters=ApprovalParameters,
    template=_build,
)
"""A Workflow of a few KiB."""
