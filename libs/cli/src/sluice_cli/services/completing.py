"""Names of the catalogue and of steps, for the completion of a shell."""

from sluice_cli.domain.log_sources import StepsOfRun
from sluice_client import Sluice

__all__ = ["catalogue_names", "parameters_of", "steps_of"]


async def catalogue_names(sluice: Sluice) -> list[tuple[str, str]]:
    """Return the workflows, with what they do."""
    return [(each.name, each.description) for each in await sluice.workflows()]


async def parameters_of(sluice: Sluice, workflow: str) -> list[tuple[str, str]]:
    """Return the parameters of a workflow as `name=`, with what they mean."""
    properties = (await sluice.workflow(workflow)).parameters.get("properties")
    if not isinstance(properties, dict):
        return []
    return [
        (f"{name}=", str(schema.get("description", "")) if isinstance(schema, dict) else "")
        for name, schema in properties.items()
    ]


async def steps_of(sluice: Sluice, run_id: str) -> list[tuple[str, str]]:
    """Return the steps of a run that run pods, by names that a shell takes or else by ids."""
    sources = StepsOfRun().apply(await sluice.run(run_id).state())
    return [
        (each.argument, each.phase or "")
        if each.argument == each.shown
        else (each.argument, f"{each.shown} {each.phase or ''}")
        for each in sources
    ]
