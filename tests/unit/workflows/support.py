"""Small entries and builders for the tests of the workflow library."""

from collections.abc import Iterable
from typing import Annotated, Literal

from sluice_workflows.entries import Builder, Couler, Entry, TemplateRef
from sluice_workflows.extensions import Extension
from sluice_workflows.parameters import Parameters, PlainText, Text
from sluice_workflows.settings import CompileSettings

SETTINGS = CompileSettings()


class Nothing(Parameters):
    """No parameters."""


class Everything(Parameters):
    """One parameter of each kind."""

    text: Annotated[str, Text(max_bytes=16)]
    plain: Annotated[str, PlainText(max_bytes=16)] = "x"
    number: int = 3
    flag: bool = True
    choice: Literal["red", "green"] = "red"


def entry_of(
    template: Builder | TemplateRef, *, parameters: type[Parameters] = Nothing, name: str = "tried"
) -> Entry:
    return Entry(name=name, description="A test.", parameters=parameters, template=template)


def one_step(couler: Couler, settings: CompileSettings) -> Iterable[Extension]:
    couler.run_container(image=settings.python_image, command=["true"], step_name="only")
    return []
