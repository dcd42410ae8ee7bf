"""Workflows for tests, and how to run one and wait for what becomes of it."""

from collections.abc import Callable
from typing import Any

from tests.behaviour.kubernetes_client import JSON_PATCH, WORKFLOWS, KubernetesClient

Json = Any
TERMINAL = {"Succeeded", "Failed", "Error"}


def workflow(*templates: Json, name: str = "wf", parameters: Json = None, **spec: Json) -> Json:
    """Return a Workflow; the first template is its entrypoint."""
    arguments = [{"name": k, "value": v} for k, v in (parameters or {}).items()]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {
            "entrypoint": templates[0]["name"] if templates else "main",
            "templates": list(templates),
            **({"arguments": {"parameters": arguments}} if arguments else {}),
            **spec,
        },
    }


def python(name: str, source: str, *, inputs: Json = (), **fields: Json) -> Json:
    """Return a template that runs Python; its inputs are named and come as environment."""
    declared = [{"name": i} for i in inputs]
    env = [{"name": i.upper(), "value": f"{{{{inputs.parameters.{i}}}}}"} for i in inputs]
    given = fields.pop("inputs_extra", {})
    return {
        "name": name,
        "inputs": {"parameters": declared, **given},
        "script": {"image": "python", "command": ["python"], "source": source, "env": env},
        **fields,
    }


def arguments(**parameters: Json) -> Json:
    return {"parameters": [{"name": k, "value": v} for k, v in parameters.items()]}


def output(name: str, path: str, **fields: Json) -> Json:
    return {"name": name, "valueFrom": {"path": path}, **fields}


def nodes(obj: Json) -> dict[str, Json]:
    """Return the nodes of a Workflow by display name."""
    return {node["displayName"]: node for node in obj["status"]["nodes"].values()}


def parameters(node: Json) -> dict[str, str]:
    found = (node.get("outputs") or {}).get("parameters") or []
    return {parameter["name"]: parameter["value"] for parameter in found}


class WorkflowClient:
    """Submits Workflows and waits, by watching, for states of theirs."""

    def __init__(self, api: KubernetesClient) -> None:
        self.api = api

    async def submit(self, body: Json) -> Json:
        created = await self.api.create(WORKFLOWS, body)
        assert created.code == 201, created.body
        return created.body

    async def until(self, name: str, condition: Callable[[Json], bool]) -> Json:
        """Wait until a Workflow fulfils a condition, and return it."""
        async with self.api.watch(WORKFLOWS, fieldSelector=f"metadata.name={name}") as watch:
            while True:
                event = await watch.next()
                assert event["type"] != "ERROR", event
                obj: Json = event["object"]
                if condition(obj):
                    return obj

    async def finished(self, name: str = "wf") -> Json:
        return await self.until(name, lambda o: o.get("status", {}).get("phase") in TERMINAL)

    async def run(self, body: Json) -> Json:
        """Submit a Workflow and return it when it is done."""
        created = await self.submit(body)
        return await self.finished(created["metadata"]["name"])

    async def succeed(self, body: Json) -> Json:
        done = await self.run(body)
        assert done["status"]["phase"] == "Succeeded", done["status"]
        return done

    async def waiting(self, display_name: str, name: str = "wf") -> Json:
        """Wait until a node is running."""
        return await self.until(
            name,
            lambda o: "status" in o and nodes(o).get(display_name, {}).get("phase") == "Running",
        )

    async def merge(self, patch: Json, name: str = "wf") -> Json:
        answer = await self.api.patch(WORKFLOWS, name, patch)
        assert answer.code == 200, answer.body
        return answer.body

    async def json_patch(self, *operations: Json, name: str = "wf") -> Json:
        answer = await self.api.patch(WORKFLOWS, name, list(operations), JSON_PATCH)
        assert answer.code == 200, answer.body
        return answer.body
