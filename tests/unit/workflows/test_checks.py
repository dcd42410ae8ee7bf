"""What no builder may send to the cluster."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest

from sluice_workflows.compiler import compile_entry
from sluice_workflows.entries import Couler
from sluice_workflows.errors import CompileError
from sluice_workflows.parameters import Parameters, Text
from tests.unit.workflows.support import SETTINGS, entry_of

# 128 KiB less `TEXT=` and the NUL byte, as base64.
FITS = (128 * 1024 - len("TEXT=\0")) // 4 * 3


class Large(Parameters):
    text: Annotated[str, Text(max_bytes=FITS)] = ""


class TooLarge(Parameters):
    text: Annotated[str, Text(max_bytes=FITS + 1)] = ""


def compile_(build: Callable[[Couler], object], parameters: type[Parameters] = Large) -> str:
    def builder(couler: Couler, _: object) -> tuple[()]:
        build(couler)
        return ()

    return compile_entry(entry_of(builder, parameters=parameters), settings=SETTINGS).manifest


def container(**fields: Any) -> Callable[[Couler], object]:
    fields = {"image": "i", "command": ["c"], "step_name": "s"} | fields
    return lambda couler: couler.run_container(**fields)


def script(**fields: Any) -> Callable[[Couler], object]:
    return lambda couler: couler.run_script(image="i", step_name="s", **fields)


VALUE = "{{workflow.parameters.text}}"


@pytest.mark.parametrize(
    "build",
    [
        container(command=["sh", "-c", f"echo {VALUE}"]),
        container(command=[VALUE]),
        container(command=["sh"], args=["-c", "echo {{workflow.name}}"]),
        script(command="sh", source=f"echo {VALUE}"),
        script(command="python", source="print('{{inputs.parameters.x}}')"),
    ],
)
def test_code_holds_no_reference(build: Callable[[Couler], object]) -> None:
    with pytest.raises(CompileError, match=r"code of step `s` holds '\{\{'"):
        compile_(build)


@pytest.mark.parametrize(
    "build",
    [
        container(env={"TEXT": VALUE}),
        container(command=["python3", "-c", "import sys"], args=[VALUE]),
        script(command="python", source="print('}}')", env={"TEXT": VALUE}),
    ],
)
def test_data_may(build: Callable[[Couler], object]) -> None:
    assert VALUE in compile_(build)


def test_arguments_that_become_code_are_seen_through_couler() -> None:
    """Couler turns args into inputs; what follows `-c` then stands in the task's arguments."""
    with pytest.raises(CompileError, match=r"code of step `s` holds"):
        compile_(container(command=["sh", "-c"], args=[VALUE]))


def test_an_expression_is_refused() -> None:
    with pytest.raises(CompileError, match="calculate in a step"):
        compile_(container(env={"TEXT": "{{=sprig.b64dec(workflow.parameters.text)}}"}))


def test_a_parameter_has_to_be_declared() -> None:
    with pytest.raises(CompileError, match="refers to parameter `test`"):
        compile_(container(env={"TEXT": "{{workflow.parameters.test}}"}))


def test_a_text_has_to_fit_into_the_environment() -> None:
    build = container(env={"TEXT": VALUE})

    assert compile_(build, Large)
    with pytest.raises(CompileError, match=r"TEXT of step `s` may take 131074 bytes.*raw_input"):
        compile_(build, TooLarge)


def test_a_builder_has_to_build() -> None:
    with pytest.raises(CompileError, match="made no step"):
        compile_(lambda _: None)


def test_template_names_are_unique() -> None:
    with pytest.raises(CompileError, match="2 templates called `main`"):
        compile_(container(step_name="main"))


def test_outputs_need_names_of_their_own() -> None:
    def build(couler: Couler) -> object:
        output = couler.create_parameter_artifact(path="/sluice/out/x")
        return container(output=output)(couler)

    with pytest.raises(CompileError, match="name that Couler made up"):
        compile_(build)
