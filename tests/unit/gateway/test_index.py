"""GET /."""

from tests.unit.gateway.harness import GREETING, Gateway


async def test_the_front_greets_and_its_links_lead_somewhere(gateway: Gateway) -> None:
    response = await gateway.client.get("/")

    document = await response.json()
    assert response.status == 200
    assert document["message"] == GREETING
    listed = await gateway.client.get(document["links"]["workflows"])
    assert (await listed.json())["workflows"]


async def test_it_takes_no_parameters(gateway: Gateway) -> None:
    assert (await gateway.client.get("/", params={"name": "Ada"})).status == 422
