"""The planned graph of a workflow: what its runs are made of, known before one starts."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["PlannedGraph", "PlannedStep", "StepKind"]

StepKind: TypeAlias = Literal["Pod", "Steps", "DAG", "Suspend", "HTTP", "Plugin"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlannedStep(_Model):
    """A step that a run may have.

    A step of a run is one of this if its `boundary` is one of this `boundary`, and its `name` is
    this name, alone or before a `(`: `count(0)` is one of several copies or attempts of `count`.
    At the top, `name` may also follow the Workflow's name and a dot, as in `run-….onExit`. A
    workflow of one step has its run's step named after the Workflow.
    """

    id: Annotated[str, Field(description="Unique in the graph: names from the top, with `/`.")]
    name: Annotated[str, Field(description="The name of the step, e.g. `count`.")]
    template: Annotated[
        str | None, Field(description="The template it runs; null if it is written inline.")
    ] = None
    kind: Annotated[
        StepKind | None,
        Field(description="Argo's node type; null if the template is kept elsewhere."),
    ] = None
    depends_on: Annotated[
        tuple[str, ...], Field(description="Ids of the steps that it waits for.")
    ] = ()
    boundary: Annotated[
        str | None,
        Field(description="Id of the step whose template contains this one; null at the top."),
    ] = None
    repeated: Annotated[
        bool, Field(description="Whether it runs once for each item of a list or sequence.")
    ] = False
    conditional: Annotated[bool, Field(description="Whether it may be skipped.")] = False
    exit_handler: Annotated[
        bool, Field(description="Whether it runs however those before it end.")
    ] = False


class PlannedGraph(_Model):
    """The steps that a run of a workflow may have; those within others come later."""

    steps: tuple[PlannedStep, ...]
    truncated: Annotated[
        bool,
        Field(description="Whether steps were left out: recursive, too deep, or too many."),
    ] = False
