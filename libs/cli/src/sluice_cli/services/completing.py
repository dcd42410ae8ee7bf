"""Names of the catalogue, for the completion of a shell."""

from sluice_client import Sluice

__all__ = ["catalogue_names", "parameters_of"]


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
