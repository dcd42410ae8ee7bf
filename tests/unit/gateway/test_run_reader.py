"""GET /v1/runs/{id}."""

import json

import pytest

from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.status import Phase
from tests.support.goldens import Golden
from tests.unit.gateway.harness import GREET, Gateway, published, status_record, step


async def test_an_accepted_run_looks_like_any_other(gateway: Gateway, golden: Golden) -> None:
    await gateway.post({"id": "order-1", **GREET})
    await gateway.project_requests()

    response = await gateway.client.get("/v1/runs/order-1")
    golden("gateway/run-accepted.json", json.dumps(await response.json(), indent=2) + "\n")


async def test_the_latest_state_is_shown_with_all_steps(gateway: Gateway, golden: Golden) -> None:
    await gateway.post({"id": "order-1", **GREET})
    await gateway.project_requests()
    await gateway.publish(
        published(3, Phase.RUNNING, steps=(step("split"), step("count"))),
        published(5, Phase.RUNNING, progress="1/3", steps=(step("split", "Succeeded"),)),
    )

    response = await gateway.client.get("/v1/runs/order-1")
    golden("gateway/run-running.json", json.dumps(await response.json(), indent=2) + "\n")


async def test_the_terminal_event_has_the_last_word_on_steps(gateway: Gateway) -> None:
    await gateway.publish(
        published(3, steps=(step("split", "Failed"), step("count"))),
        published(5, Phase.SUCCEEDED, steps=(step("count", "Succeeded"),)),
    )

    document = await (await gateway.client.get("/v1/runs/order-1")).json()
    assert [(s["name"], s["phase"]) for s in document["steps"]] == [("count", "Succeeded")]


async def test_a_terminal_event_too_large_for_its_steps_takes_none_away(gateway: Gateway) -> None:
    await gateway.publish(
        published(3, steps=(step("split", "Succeeded"),)),
        published(5, Phase.SUCCEEDED, truncated=True),
    )

    document = await (await gateway.client.get("/v1/runs/order-1")).json()
    assert (document["truncated"], len(document["steps"])) == (True, 1)


async def test_late_and_repeated_events_change_nothing(gateway: Gateway) -> None:
    newer = published(7, Phase.SUCCEEDED, steps=(step("count", "Succeeded"),))
    await gateway.publish(published(3), newer)
    before = await (await gateway.client.get("/v1/runs/order-1")).text()
    await gateway.publish(newer, published(5, steps=(step("count"),)), published(3))

    assert await (await gateway.client.get("/v1/runs/order-1")).text() == before


async def test_a_later_attempt_reopens_the_run(gateway: Gateway) -> None:
    await gateway.publish(
        published(3, Phase.FAILED, steps=(step("count", "Failed"),)),
        published(8, Phase.RUNNING, attempt=2, steps=(step("count"),)),
    )

    response = await gateway.client.get("/v1/runs/order-1")
    document = await response.json()
    assert (document["attempt"], document["phase"], document["terminal"]) == (2, "Running", False)
    assert response.headers["Retry-After"] == "1"


async def test_a_rejected_run_says_why(gateway: Gateway) -> None:
    why = problem(ProblemType.UNKNOWN_WORKFLOW, "There is no such workflow.")
    await gateway.publish(published(0, Phase.REJECTED, problem=why))

    document = await (await gateway.client.get("/v1/runs/order-1")).json()
    assert document["problem"]["type"] == "urn:sluice:problem:unknown-workflow"
    assert document["accepted_at"] is None


class TestETag:
    async def test_a_state_that_the_client_has_is_not_sent_again(self, gateway: Gateway) -> None:
        await gateway.publish(published(3))
        first = await gateway.client.get("/v1/runs/order-1")
        etag = first.headers["ETag"]

        for known in (etag, f'"other", {etag}', "*"):
            response = await gateway.client.get(
                "/v1/runs/order-1", headers={"If-None-Match": known}
            )
            assert (response.status, await response.read()) == (304, b"")
            assert response.headers["ETag"] == etag
            assert response.headers["Retry-After"] == "1"

    async def test_every_change_changes_it(self, gateway: Gateway) -> None:
        etags: list[str] = []
        for change in ("accepted", "running", "done"):
            match change:
                case "accepted":
                    await gateway.post({"id": "order-1", **GREET})
                case "running":
                    await gateway.publish(published(3))
                case "done":
                    await gateway.publish(published(4, Phase.SUCCEEDED))
            response = await gateway.client.get(
                "/v1/runs/order-1", headers={"If-None-Match": ", ".join(etags)} if etags else {}
            )
            assert response.status == 200
            etags.append(response.headers["ETag"])
        assert len(set(etags)) == 3

    async def test_the_record_of_an_accepted_run_changes_nothing(self, gateway: Gateway) -> None:
        await gateway.post({"id": "order-1", **GREET})
        before = await (await gateway.client.get("/v1/runs/order-1")).json()
        await gateway.project_requests()
        assert await (await gateway.client.get("/v1/runs/order-1")).json() == before


class TestUnknown:
    async def test_a_run_never_heard_of_is_not_found(self, gateway: Gateway) -> None:
        response = await gateway.client.get("/v1/runs/order-1")

        document = await response.json(content_type="application/problem+json")
        assert (response.status, document["type"]) == (404, "urn:sluice:problem:unknown-run")

    async def test_it_is_not_denied_while_the_view_is_behind(self, gateway: Gateway) -> None:
        gateway.behind.append("the topics are still being read")

        response = await gateway.client.get("/v1/runs/order-1")
        document = await response.json(content_type="application/problem+json")
        assert (response.status, document["type"]) == (503, "urn:sluice:problem:unavailable")
        assert response.headers["Retry-After"] == "2"
        assert "still being read" in document["detail"]

    async def test_a_run_just_accepted_by_another_replica_is_found(self, gateway: Gateway) -> None:
        gateway.coming.append(status_record(published(3), offset=0))

        response = await gateway.client.get("/v1/runs/order-1")
        assert (response.status, (await response.json())["phase"]) == (200, "Running")

    async def test_a_known_run_is_returned_while_the_view_is_behind(self, gateway: Gateway) -> None:
        gateway.behind.append("the topics are still being read")
        await gateway.publish(published(3))

        assert (await gateway.client.get("/v1/runs/order-1")).status == 200

    @pytest.mark.parametrize("run_id", ["-a", "a%20b", "x" * 129, "a%00b"])
    async def test_an_invalid_id_is_not_found(self, gateway: Gateway, run_id: str) -> None:
        response = await gateway.client.get(f"/v1/runs/{run_id}")

        assert response.status == 404

    @pytest.mark.parametrize("query", ["tenant=A_B", "tenant=a&tenant=b", "tenants=a"])
    async def test_a_wrong_query_is_refused(self, gateway: Gateway, query: str) -> None:
        response = await gateway.client.get(f"/v1/runs/order-1?{query}")

        document = await response.json(content_type="application/problem+json")
        assert (response.status, document["type"]) == (422, "urn:sluice:problem:invalid-request")


async def test_tenants_do_not_see_each_other(gateway: Gateway) -> None:
    await gateway.publish(published(3, tenant="acme"))

    assert (await gateway.client.get("/v1/runs/order-1")).status == 404
    assert (await gateway.client.get("/v1/runs/order-1?tenant=acme")).status == 200


async def test_head_is_get_without_a_body(gateway: Gateway) -> None:
    await gateway.publish(published(3))
    response = await gateway.client.head("/v1/runs/order-1")

    assert (response.status, await response.read()) == (200, b"")
    assert "ETag" in response.headers
