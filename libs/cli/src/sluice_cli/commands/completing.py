"""Names for the completion of a shell: within a second, or none at all."""

from functools import partial
from typing import Any

import typer

__all__ = ["parameter_names", "step_names", "workflow_names"]


def workflow_names(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the workflows whose names begin so, with what they do."""
    from sluice_cli.services.completing import catalogue_names
    from sluice_cli.session import completed

    return _beginning(completed(_given(context), catalogue_names, tools=context.obj), incomplete)


def parameter_names(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the parameters of the workflow that stands before, as `name=`, with what they mean."""
    from sluice_cli.services.completing import parameters_of
    from sluice_cli.session import completed

    workflow = context.params.get("workflow")
    if not isinstance(workflow, str):
        return []
    names = partial(parameters_of, workflow=workflow)
    return _beginning(completed(_given(context), names, tools=context.obj), incomplete)


def step_names(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the steps of the run that stands before which run pods, with their phases."""
    from sluice_cli.services.completing import steps_of
    from sluice_cli.session import completed

    run_id = context.params.get("run_id")
    if not isinstance(run_id, str):
        return []
    names = partial(steps_of, run_id=run_id)
    return _beginning(completed(_given(context), names, tools=context.obj), incomplete)


def _given(context: typer.Context) -> dict[str, Any]:
    names = ("profile", "url", "tenant", "token_file")
    return {name: context.params.get(name) for name in names}


def _beginning(found: list[tuple[str, str]], text: str) -> list[tuple[str, str]]:
    return [each for each in found if each[0].startswith(text)]
