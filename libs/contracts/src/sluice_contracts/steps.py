"""The steps of a run, as its events show them."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

__all__ = ["Step", "StepGroup", "WaitingStep"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Step(_Model):
    """A step of the run: a node of the Workflow's status."""

    id: Annotated[str, Field(description="Argo's node id.")]
    name: Annotated[str, Field(description="The name to show, e.g. `count(0)`.")]
    template: Annotated[str | None, Field(description="The template it runs, if it has one.")] = (
        None
    )
    type: Annotated[str | None, Field(description="Argo's node type, e.g. Pod or DAG.")] = None
    phase: Annotated[str, Field(description="Argo's node phase; may also be Skipped or Omitted.")]
    message: Annotated[str | None, Field(description="Argo's message about the step.")] = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    boundary: Annotated[
        str | None,
        Field(description="Id of the step whose template contains this one; null at the top."),
    ] = None
    children: Annotated[
        tuple[str, ...],
        Field(description="Ids of the steps and groups that follow it, or that it contains."),
    ] = ()
    inputs: Annotated[
        dict[str, JsonValue],
        Field(
            description="Input parameters by name, as Argo has them: a `text` is base64url. Only "
            "those of at most 256 characters."
        ),
    ] = {}
    outputs: Annotated[
        dict[str, JsonValue], Field(description="Output parameters by name; `result` if captured.")
    ] = {}
    logs: Annotated[
        dict[str, str],
        Field(
            description="Where the archived log of each container is, as in "
            '`{"main": "s3://bucket/key"}`; empty if logs are not archived.'
        ),
    ] = {}


class StepGroup(_Model):
    """Steps that start together: one line of `steps`, or the copies of a step with `withItems`.

    It runs nothing itself. A graph of the run needs it, because each of a thousand steps can be
    followed by the same thousand.
    """

    id: Annotated[str, Field(description="Argo's node id.")]
    name: Annotated[str, Field(description="The name to show, e.g. `[0]` or `count`.")]
    phase: Annotated[str, Field(description="Argo's node phase.")]
    boundary: Annotated[
        str | None,
        Field(description="Id of the step whose template contains it; null at the top."),
    ] = None
    children: Annotated[
        tuple[str, ...], Field(description="Ids of the steps in it, or that follow it if empty.")
    ] = ()


class WaitingStep(_Model):
    """A suspended step, and the answer that it waits for."""

    step: Annotated[str, Field(description="Id of the step; `resume` takes it.")]
    name: Annotated[str, Field(description="The name to show, e.g. `approve`.")]
    message: Annotated[str | None, Field(description="What the step says to who answers.")] = None
    since: Annotated[AwareDatetime | None, Field(description="When it began to wait.")] = None
    answer: Annotated[
        dict[str, JsonValue] | None,
        Field(description="JSON Schema of the `values` of `resume`; null if it takes none."),
    ] = None
