"""GET /v1/workflows and /v1/workflows/{name}."""

import json

from tests.support.goldens import Golden
from tests.unit.gateway.harness import Gateway


async def test_the_catalogue_lists_every_entry_with_its_schema(
    gateway: Gateway, golden: Golden
) -> None:
    response = await gateway.client.get("/v1/workflows")

    assert response.status == 200
    golden("gateway/workflows.json", json.dumps(await response.json(), indent=2) + "\n")


async def test_an_entry_can_be_read_by_name(gateway: Gateway) -> None:
    listed = (await (await gateway.client.get("/v1/workflows")).json())["workflows"][0]
    response = await gateway.client.get(listed["links"]["self"])

    assert await response.json() == listed


async def test_an_unknown_entry_is_not_found(gateway: Gateway) -> None:
    response = await gateway.client.get("/v1/workflows/nope")

    document = await response.json(content_type="application/problem+json")
    assert (response.status, document["type"]) == (404, "urn:sluice:problem:not-found")
