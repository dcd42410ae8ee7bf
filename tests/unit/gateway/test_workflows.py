"""GET /v1/workflows and /v1/workflows/{name}."""

import json
from pathlib import Path

from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.catalogue import Catalogue
from tests.support.goldens import Golden
from tests.unit.gateway.harness import Gateway, running_gateway


async def test_the_catalogue_lists_every_entry_with_its_schema(
    gateway: Gateway, golden: Golden
) -> None:
    response = await gateway.client.get("/v1/workflows")

    assert response.status == 200
    golden("gateway/workflows.json", json.dumps(await response.json(), indent=2) + "\n")


async def test_an_entry_can_be_read_by_name(gateway: Gateway) -> None:
    listed = (await (await gateway.client.get("/v1/workflows")).json())["workflows"][0]
    response = await gateway.client.get(listed["links"]["self"])

    assert await response.json() == listed | {"graph": None}


async def test_the_graph_of_a_built_in_entry_is_known(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, catalogue=Catalogue(BUILT_IN)) as gateway:
        response = await gateway.client.get("/v1/workflows/map-reduce")
        graph = (await response.json())["graph"]

    assert [(step["name"], step["repeated"], step["depends_on"]) for step in graph["steps"]] == [
        ("split", False, []),
        ("count", True, ["split"]),
        ("sum", False, ["count"]),
    ]
    assert graph["truncated"] is False


async def test_an_unknown_entry_is_not_found(gateway: Gateway) -> None:
    response = await gateway.client.get("/v1/workflows/nope")

    document = await response.json(content_type="application/problem+json")
    assert (response.status, document["type"]) == (404, "urn:sluice:problem:not-found")
