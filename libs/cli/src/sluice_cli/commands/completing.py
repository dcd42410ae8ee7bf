"""Names for the completion of a shell: within a second, or none at all."""

from typing import Any

import typer

__all__ = ["parameter_names", "workflow_names"]


def workflow_names(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the workflows whose names begin so, with what they do."""
    from sluice_cli.session import completed

    return _beginning(completed(_given(context), workflow=None, tools=context.obj), incomplete)


def parameter_names(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the parameters of the workflow that stands before, as `name=`, with what they mean."""
    from sluice_cli.session import completed

    workflow = context.params.get("workflow")
    if not isinstance(workflow, str):
        return []
    return _beginning(completed(_given(context), workflow=workflow, tools=context.obj), incomplete)


def _given(context: typer.Context) -> dict[str, Any]:
    names = ("profile", "url", "tenant", "token_file")
    return {name: context.params.get(name) for name in names}


def _beginning(found: list[tuple[str, str]], text: str) -> list[tuple[str, str]]:
    return [each for each in found if each[0].startswith(text)]
