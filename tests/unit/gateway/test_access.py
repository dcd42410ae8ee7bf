"""What a principal sees of others: nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from hypothesis import given
from hypothesis import strategies as st

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import FieldError, ProblemType, problem
from sluice_contracts.records import header
from sluice_contracts.requests import RunRequest, SimpleCommand
from sluice_contracts.status import AppliedCommand, Phase
from sluice_contracts.steps import Step, WaitingStep
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Access, Identity, Principal, PrincipalKind, Scope
from sluice_gateway.domain.redaction import redacted
from sluice_gateway.ports import ViewUnavailableError
from sluice_gateway.services.commands import Commands
from sluice_gateway.services.request_quotas import RequestQuotas
from tests.support.fake_producer import FakeProducer
from tests.unit.gateway.harness import (
    NOW,
    TOPICS,
    TRACEPARENT,
    Gateway,
    published,
    request_producer_of,
)
from tests.unit.gateway.identities import as_, grant, granting_gateway
from tests.unit.gateway.test_all_events import event
from tests.unit.gateway.test_events import Frame, frame

SECRET = "s3cret"
RUN = {"id": "order-1", "workflow": "greet", "parameters": {"name": SECRET}}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with granting_gateway(
        tmp_path,
        grant("seed", *Scope),
        grant("reader", Scope.READ, Scope.PAYLOADS),
        grant("blind", Scope.READ),
        # Payloads of another tenant, and of another workflow, are not those of the run.
        grant("elsewhere", Scope.READ),
        grant("elsewhere", Scope.PAYLOADS, tenants=("acme",)),
        grant("elsewhere", Scope.PAYLOADS, workflows=("count",)),
        grant("greeter", Scope.READ, Scope.PAYLOADS, workflows=("greet",)),
        grant("stranger", Scope.READ, Scope.COMMAND, Scope.START, tenants=("acme",)),
        grant("counter", Scope.READ, Scope.COMMAND, Scope.START, workflows=("count",)),
        grant("starter", Scope.START),
        # It may read everything, and act in one tenant.
        grant("visitor", Scope.READ),
        grant("visitor", Scope.START, Scope.COMMAND, tenants=("acme",)),
    ) as running:
        yield running


async def start(gateway: Gateway, name: str = "seed", **headers: str) -> ClientResponse:
    return await gateway.client.post("/v1/runs", json=RUN, headers={**as_(name), **headers})


async def fill(gateway: Gateway) -> None:
    """Give the run one event that has a secret in every place that can have one."""
    await start(gateway)
    step = Step(
        id="a",
        name="a",
        phase="Running",
        message=SECRET,
        inputs={"x": SECRET},
        outputs={"y": SECRET},
    )
    await gateway.publish(
        published(
            1,
            steps=(step,),
            outputs={"z": SECRET},
            message=SECRET,
            waiting_for=(WaitingStep(step="a", name="a", message=SECRET),),
            problem=problem(
                ProblemType.REFUSED_BY_CLUSTER,
                SECRET,
                errors=(FieldError(pointer=f"/{SECRET}", detail=SECRET),),
            ),
            last_command=AppliedCommand(type="stop", reason=SECRET, applied_at=NOW),
        )
    )


RUN_CALLS = [
    ("GET", "/v1/runs/{id}"),
    ("GET", "/v1/runs/{id}/outcome"),
    ("GET", "/v1/runs/{id}/outcome?wait=50"),
    ("GET", "/v1/runs/{id}/events"),
    ("POST", "/v1/runs/{id}/rerun"),
    ("POST", "/v1/runs/{id}/stop"),
    ("POST", "/v1/runs/{id}/retry"),
]


@pytest.mark.parametrize("name", ["stranger", "counter"])
@pytest.mark.parametrize(("method", "path"), RUN_CALLS)
class TestHiddenRun:
    async def answer(
        self, gateway: Gateway, method: str, path: str, *, run: str, name: str
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        headers = {**as_(name), "If-None-Match": "*"}
        path = path.replace("{id}", run)
        response = await gateway.client.request(method, path, headers=headers)
        document = await response.json(content_type=None)
        shown = {
            key: value
            for key, value in response.headers.items()
            if key.lower() not in ("date", "traceparent")
        }
        return response.status, shown, {**document, "trace_id": None, "instance": None}

    async def test_is_answered_as_one_that_does_not_exist(
        self, gateway: Gateway, name: str, method: str, path: str
    ) -> None:
        await fill(gateway)
        hidden = await self.answer(gateway, method, path, run="order-1", name=name)
        unknown = await self.answer(gateway, method, path, run="order-2", name=name)

        assert hidden == unknown
        assert hidden[0] == 404

    async def test_is_not_known_to_be_missing_either_while_the_view_is_behind(
        self, gateway: Gateway, name: str, method: str, path: str
    ) -> None:
        await fill(gateway)
        gateway.behind.append("the view is behind")
        hidden = await self.answer(gateway, method, path, run="order-1", name=name)
        unknown = await self.answer(gateway, method, path, run="order-2", name=name)

        assert hidden == unknown
        # Of a tenant that it has no part in, nothing has to be looked up.
        assert hidden[0] == (404 if name == "stranger" else 503)


@pytest.mark.parametrize(
    ("name", "sees"), [("reader", True), ("greeter", True), ("blind", False), ("elsewhere", False)]
)
class TestPayloads:
    async def test_of_a_state(self, gateway: Gateway, name: str, sees: bool) -> None:
        await fill(gateway)
        for path in ("/v1/runs/order-1", "/v1/runs/order-1/outcome"):
            response = await gateway.client.get(path, headers=as_(name))

            text = await response.text()
            assert response.ok
            assert text.count(SECRET) == (11 if sees else 0), text
            assert json.loads(text)["steps"][0]["name"] == "a"

    async def test_of_the_events_of_a_run(self, gateway: Gateway, name: str, sees: bool) -> None:
        await fill(gateway)
        # Another principal has just followed it: its frames are kept.
        for each in ("reader", "blind", name):
            async with gateway.client.get("/v1/runs/order-1/events", headers=as_(each)) as stream:
                shown = await event(stream)
        assert (SECRET in shown.data) == sees
        assert json.loads(shown.data)["phase"] == "Running"

    async def test_of_the_events_of_all_runs(self, gateway: Gateway, name: str, sees: bool) -> None:
        place = str(await gateway.view.stream_end()) or "1:0"
        await fill(gateway)
        for each in ("reader", "blind", name):
            async with gateway.client.get(
                "/v1/events", headers={**as_(each), "Last-Event-ID": place}
            ) as stream:
                shown = await event(stream)
        assert (SECRET in shown.data) == sees
        assert json.loads(shown.data)["run_id"] == "order-1"

    async def test_of_the_place_in_the_queue(self, gateway: Gateway, name: str, sees: bool) -> None:
        await start(gateway)
        response = await gateway.client.get("/v1/runs/order-1", headers=as_(name))
        assert (SECRET in await response.text()) == sees
        async with gateway.client.get("/v1/runs/order-1/events", headers=as_(name)) as stream:
            while not isinstance(shown := await frame(stream), Frame):
                pass
        assert shown.event == "sluice.request.queued"
        assert SECRET not in shown.data


async def test_versions_of_a_state_differ_by_what_is_shown(gateway: Gateway) -> None:
    await fill(gateway)
    versions = {}
    for name in ("reader", "blind"):
        response = await gateway.client.get("/v1/runs/order-1", headers=as_(name))
        versions[name] = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert "Authorization" in response.headers["Vary"]
    assert len(set(versions.values())) == 2
    for name in versions:
        for whose, version in versions.items():
            response = await gateway.client.get(
                "/v1/runs/order-1", headers={**as_(name), "If-None-Match": version}
            )
            assert response.status == (304 if name == whose else 200)


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs:counts", "/v1/workflows"])
async def test_answers_to_some_are_not_kept_for_all(gateway: Gateway, path: str) -> None:
    response = await gateway.client.get(path, headers=as_("reader"))
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers["Vary"] == "Authorization, Cookie"


async def test_a_start_that_is_repeated_shows_no_state_to_those_who_may_not_read(
    gateway: Gateway,
) -> None:
    await fill(gateway)
    for headers in ({}, {"Prefer": "wait=50"}):
        response = await start(gateway, "starter", **headers)

        assert response.status == 202
        assert response.headers["Idempotency-Replayed"] == "true"
        assert SECRET not in await response.text()
    assert (await start(gateway, "reader")).status == 403


async def test_a_preview_says_nothing_of_a_run_that_may_not_be_read(gateway: Gateway) -> None:
    await fill(gateway)
    for name, phase in (("starter", None), ("seed", "Running")):
        response = await gateway.client.post(
            "/v1/runs?validate_only=true", json=RUN, headers=as_(name)
        )
        assert (await response.json())["phase"] == phase


async def test_a_refused_start_says_nothing_of_the_catalogue_or_the_id(gateway: Gateway) -> None:
    await fill(gateway)
    answers = []
    for workflow in ("greet", "no-such"):
        for run_id in ("order-1", "order-9"):
            document = {**RUN, "id": run_id, "workflow": workflow}
            response = await gateway.client.post("/v1/runs", json=document, headers=as_("counter"))
            answer = await response.json(content_type=None)
            answers.append((response.status, {**answer, "trace_id": None}))
    assert answers == [answers[0]] * 4
    assert answers[0][0] == 403


async def test_nothing_is_written_for_a_command_that_is_refused(gateway: Gateway) -> None:
    await fill(gateway)
    written = len(gateway.requests())
    for name, status in (("stranger", 404), ("counter", 404), ("reader", 403), ("starter", 403)):
        response = await gateway.client.post("/v1/runs/order-1/stop", headers=as_(name))
        assert response.status == status
    assert len(gateway.producer.records_for_test("sluice.requests")) == written


async def test_a_scope_for_one_tenant_is_none_for_another(gateway: Gateway) -> None:
    await fill(gateway)
    headers, statuses = as_("visitor"), []
    for path in ("/order-1/stop", "/order-1/retry", "/order-1/rerun", ":stop?expect=1"):
        response = await gateway.client.post(f"/v1/runs{path}", headers=headers)
        statuses.append(response.status)
    assert statuses == [403, 403, 403, 412]
    assert (await gateway.client.get("/v1/runs/order-1", headers=headers)).status == 200
    assert (await gateway.client.post("/v1/runs:stop?expect=0", headers=headers)).status == 202
    assert len(gateway.producer.records_for_test("sluice.requests")) == 1


class NoView:
    """A view that cannot be used."""

    async def find(self, _: RunKey) -> None:
        raise ViewUnavailableError("the file is damaged")


@pytest.mark.parametrize(("workflows", "is_sent"), [(("*",), True), (("greet",), False)])
async def test_without_a_view_only_those_who_may_command_any_workflow_do(
    workflows: tuple[str, ...], is_sent: bool
) -> None:
    producer = FakeProducer()
    commands = Commands(
        producer=request_producer_of(producer),
        view=NoView(),  # type: ignore[arg-type]
        quotas=RequestQuotas(),
    )
    access = Access(grants=frozenset({grant("ops", Scope.COMMAND, workflows=workflows)}))
    identity = Identity(principal=Principal(kind=PrincipalKind.API_KEY, id="ops"), access=access)
    sending = commands.send(
        SimpleCommand(type="stop", id="order-1"), identity=identity, traceparent=TRACEPARENT
    )
    if is_sent:
        await sending
    else:
        with pytest.raises(ProblemError) as raised:
            await sending
        assert raised.value.problem.type is ProblemType.UNAVAILABLE
    assert len(producer.records_for_test(TOPICS.requests)) == is_sent


async def test_credentials_are_in_no_log(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "reader-with-a-token-that-would-be-found"
    for headers in (as_(token), {"Authorization": f"Basic {token}"}):
        for path in ("/v1/runs", "/v1/runs/order-1"):
            await gateway.client.get(path, headers=headers)
    logs = capsys.readouterr()
    assert "unauthenticated" in logs.out
    assert f"Basic {token}" not in logs.out + logs.err


JSON = st.recursive(
    st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(st.dictionaries(st.sampled_from(("message", "outputs", "steps", "problem", "phase")), JSON))
def test_anything_can_be_redacted_and_twice_changes_nothing(event: dict[str, Any]) -> None:
    once = redacted(event)
    assert redacted(once) == once
    assert set(once) == set(event)
    assert once.get("message") is None
    assert not once.get("outputs")


async def test_many_at_once_see_only_their_own(gateway: Gateway) -> None:
    """Readers of shared pages, side by side, each get what is theirs."""
    place = str(await gateway.view.stream_end()) or "1:0"
    await fill(gateway)

    async def read(name: str) -> bool:
        headers = {**as_(name), "Last-Event-ID": place}
        async with gateway.client.get("/v1/events", headers=headers) as stream:
            return SECRET in (await event(stream)).data

    names = ["reader", "blind", "greeter", "elsewhere"] * 10
    assert await asyncio.gather(*map(read, names)) == [
        name in ("reader", "greeter") for name in names
    ]


@pytest.mark.parametrize("trusts", [True, False])
async def test_who_asked_is_shown_where_records_are_believed(tmp_path: Path, trusts: bool) -> None:
    async with granting_gateway(
        tmp_path, grant("seed", *Scope), grant("reader", Scope.READ), trusts_authors=trusts
    ) as gateway:
        await start(gateway)
        [request] = gateway.producer.records_for_test("sluice.requests")
        assert header(request.headers, "ce_authid") == "api_key:seed"

        async def requested_by() -> object:
            response = await gateway.client.get("/v1/runs/order-1", headers=as_("reader"))
            return (await response.json())["requested_by"]

        # What is noted at once is what the record says.
        assert await requested_by() == ("api_key:seed" if trusts else None)
        await gateway.project_requests()
        assert await requested_by() == ("api_key:seed" if trusts else None)
        await gateway.publish(published(1, requested_by="user:ada"))
        assert await requested_by() == "user:ada"


def test_values_in_names_of_steps_and_in_questions_are_left_out() -> None:
    name = "send(0:ada@example.com)(1:x)"
    shown = redacted(
        {
            "steps": [{"name": name}, {"name": "send(2)"}],
            "groups": [{"name": "send(3:{a: b})"}],
            "waiting_for": [{"name": "ask(0:ada)", "answer": {"default": "ada"}}],
        }
    )
    assert shown["steps"] == [{"name": "send(0)"}, {"name": "send(2)"}]
    assert shown["groups"] == [{"name": "send(3)"}]
    assert shown["waiting_for"] == [{"name": "ask(0)", "answer": None}]


async def test_a_batch_says_no_more_than_a_single_start(tmp_path: Path) -> None:
    grants = [grant("starter", Scope.START), grant("reader", Scope.START, Scope.READ)]
    async with granting_gateway(tmp_path, *grants) as gateway:
        request = json.dumps(RUN)
        assert (await gateway.client.post("/v1/runs", json=RUN, headers=as_("starter"))).ok
        await gateway.project_requests()
        failed = published(1, Phase.FAILED)
        content = RunRequest.model_validate(RUN).content()
        await gateway.publish(replace(failed, fingerprint=content.fingerprint))
        for name, expected in (("starter", (202, "Accepted")), ("reader", (200, "Failed"))):
            answer = await gateway.client.post(
                "/v1/runs:batch",
                data=request,
                headers={"Content-Type": "application/x-ndjson", **as_(name)},
            )
            [item] = (await answer.json())["items"]
            assert (item["status"], item["phase"]) == expected
