"""`diamond`: A, then B and C at the same time, then D; each passes its result on."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from sluice_workflows.entries import Couler, Entry
from sluice_workflows.extensions import Extension, run_outputs
from sluice_workflows.parameters import Parameters
from sluice_workflows.python_steps import python_step
from sluice_workflows.settings import CompileSettings
from sluice_workflows.steps import calculate

__all__ = ["DIAMOND"]


class DiamondParameters(Parameters):
    """The parameters of `diamond`."""

    number: Annotated[int, Field(ge=0, le=1_000_000, description="The number n.")] = 3


def _build(couler: Couler, settings: CompileSettings) -> Iterable[Extension]:
    def task(name: str, operation: str, *args: str, after: str | None = None) -> None:
        python_step(
            couler,
            name=name,
            image=settings.python_image,
            program=calculate,
            env={"OPERATION": operation},
            args=args,
            after=after,
        )

    task("a", "start", "{{workflow.parameters.number}}")
    task("b", "double", "{{tasks.a.outputs.result}}", after="a")
    task("c", "square", "{{tasks.a.outputs.result}}", after="a")
    task("d", "add", "{{tasks.b.outputs.result}}", "{{tasks.c.outputs.result}}", after="b && c")
    return [run_outputs({"result": "{{tasks.d.outputs.result}}"})]


DIAMOND: Final = Entry(
    name="diamond",
    description="Calculates 2n + n² in four steps, of which the two in the middle run at the same "
    "time. The run's output is `result`.",
    parameters=DiamondParameters,
    template=_build,
)
"""A Workflow of about 10 KiB."""
