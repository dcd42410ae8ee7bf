"""GET /v1/workflows and /v1/workflows/{name}."""

import json
from pathlib import Path

from aiohttp import ClientResponse

from sluice_gateway.domain.identity import Scope
from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.catalogue import Catalogue
from tests.support.goldens import Golden
from tests.unit.gateway.harness import Gateway, running_gateway
from tests.unit.gateway.identities import as_, grant, granting_gateway


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


async def detail_of(response: ClientResponse) -> str:
    document = await response.json(content_type="application/problem+json")
    assert document["type"].rpartition(":")[2] in ("not-found", "unknown-workflow")
    return str(document["detail"])


async def test_a_name_that_is_misspelt_is_answered_with_the_nearest_one(gateway: Gateway) -> None:
    hint = " Did you mean 'greet'?"
    assert (await detail_of(await gateway.client.get("/v1/workflows/gret"))).endswith(hint)
    assert (await detail_of(await gateway.post({"workflow": "gret"}))).endswith(hint)
    assert "Did you mean" not in await detail_of(await gateway.client.get("/v1/workflows/nope"))


async def test_no_name_is_given_to_those_who_may_not_see_it(tmp_path: Path) -> None:
    grants = (
        grant("counter", Scope.READ, Scope.START, workflows=("count", "gret")),
        # Read, but not started: a start names what can be started.
        grant("reader", Scope.READ),
        grant("reader", Scope.START, workflows=("gret",)),
    )
    async with granting_gateway(tmp_path, *grants) as gateway:
        for name in ("counter", "reader"):
            refused = await gateway.post({"workflow": "gret"}, **as_(name))
            assert "greet" not in await detail_of(refused)
        path, hint = "/v1/workflows/gret", "Did you mean 'greet'?"
        hidden = await detail_of(await gateway.client.get(path, headers=as_("counter")))
        assert "greet" not in hidden
        # An entry that is hidden is answered as one that does not exist.
        there = await gateway.client.get("/v1/workflows/greet", headers=as_("counter"))
        assert await detail_of(there) == hidden
        assert hint in await detail_of(await gateway.client.get(path, headers=as_("reader")))


async def test_a_parameter_that_is_misspelt_is_answered_with_the_nearest_one(
    gateway: Gateway,
) -> None:
    response = await gateway.post({"workflow": "greet", "parameters": {"nmae": "Ada"}})

    document = await response.json(content_type="application/problem+json")
    details = {each["pointer"]: each["detail"] for each in document["errors"]}
    assert details["/parameters/nmae"].endswith("; did you mean `name`?")
