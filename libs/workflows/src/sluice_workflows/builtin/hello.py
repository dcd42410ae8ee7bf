"""`hello`: one step, one parameter, one output."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from sluice_workflows.entries import Couler, Entry
from sluice_workflows.extensions import Extension, run_outputs
from sluice_workflows.outputs import output_parameter
from sluice_workflows.parameters import Parameters, Text
from sluice_workflows.python_steps import python_step
from sluice_workflows.settings import CompileSettings
from sluice_workflows.steps import greet

__all__ = ["HELLO"]

_GREETING: Final = "/sluice/out/greeting"


class HelloParameters(Parameters):
    """The parameters of `hello`."""

    name: Annotated[str, Text(max_bytes=1024), Field(description="Who is greeted.")] = "World"


def _build(couler: Couler, settings: CompileSettings) -> Iterable[Extension]:
    python_step(
        couler,
        name="greet",
        image=settings.python_image,
        program=greet,
        env={"NAME": "{{workflow.parameters.name}}", "GREETING": _GREETING},
        outputs=[output_parameter(couler, "greeting", path=_GREETING)],
    )
    return [run_outputs({"greeting": "{{tasks.greet.outputs.parameters.greeting}}"})]


HELLO: Final = Entry(
    name="hello",
    description="Greets. The run's output `greeting` is `Hello, <name>!`.",
    parameters=HelloParameters,
    template=_build,
)
"""A Workflow of a few KiB."""
