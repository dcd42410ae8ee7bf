"""Pausing, draining and resuming workflows and tenants over HTTP."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from sluice_contracts.controls import Control, ControlTarget
from sluice_contracts.records import Appended, Position
from sluice_gateway.domain.identity import Scope
from sluice_gateway.ports import RequestNotAcknowledgedError
from sluice_gateway.services.controls import Controls
from tests.unit.gateway.harness import NOW, Gateway
from tests.unit.gateway.identities import as_, grant, granting_gateway

Json = dict[str, Any]


class FakeControls:
    """A controls topic in memory, which is read at once."""

    def __init__(self) -> None:
        self.states: dict[ControlTarget, Control] = {}
        self.is_away = False
        self.unread: str | None = None

    async def append_control(self, target: ControlTarget, control: Control) -> Appended:
        if self.is_away:
            raise RequestNotAcknowledgedError("away")
        self.states[target] = control
        position = Position("sluice.controls", 0, len(self.states))
        return Appended(position=position, timestamp_ms=0)

    def service(self) -> Controls:
        return Controls(
            producer=self,
            states=lambda: self.states,
            unread=lambda: self.unread,
            now=lambda: NOW,
        )


@pytest.fixture
def topic() -> FakeControls:
    return FakeControls()


def running(folder: Path, topic: FakeControls) -> AbstractAsyncContextManager[Gateway]:
    grants = [
        grant("admin", Scope.ADMIN),
        grant("acme-admin", Scope.ADMIN, tenants=("acme",)),
        grant("greet-admin", Scope.ADMIN, workflows=("greet",)),
        grant("acme", Scope.START, tenants=("acme",), workflows=("other",)),
    ]
    return granting_gateway(folder, *grants, controls=topic.service())


async def post(
    gateway: Gateway, name: str, path: str, body: object = None
) -> tuple[int, Mapping[str, Any]]:
    response = await gateway.client.post(f"/v1/{path}", json=body, headers=as_(name))
    return response.status, await response.json(content_type=None)


async def listed(gateway: Gateway, name: str) -> list[Json]:
    response = await gateway.client.get("/v1/controls", headers=as_(name))
    assert response.status == 200
    found: list[Json] = (await response.json())["controls"]
    return found


async def test_a_workflow_is_paused_and_resumed(tmp_path: Path, topic: FakeControls) -> None:
    async with running(tmp_path, topic) as gateway:
        paused = await post(gateway, "admin", "workflows/greet/pause", {"reason": "a move"})
        control = {
            "kind": "workflow",
            "name": "greet",
            "state": "paused",
            "reason": "a move",
            "by": "api_key:admin",
            "at": NOW.isoformat().replace("+00:00", "Z"),
        }
        assert paused == (202, control | {"request": "sluice.controls/0@1"})
        assert await listed(gateway, "admin") == [control]
        status, resumed = await post(gateway, "admin", "workflows/greet/resume")
        assert (status, resumed["state"], resumed["reason"]) == (202, "running", None)
        assert await listed(gateway, "admin") == []


async def test_a_tenant_is_drained(tmp_path: Path, topic: FakeControls) -> None:
    async with running(tmp_path, topic) as gateway:
        assert (await post(gateway, "acme-admin", "tenants/acme/drain"))[0] == 202
    [(target, control)] = topic.states.items()
    assert (target, control.state) == (ControlTarget("tenant", "acme"), "draining")


@pytest.mark.parametrize(
    ("name", "path", "is_allowed"),
    [
        ("acme-admin", "tenants/acme/pause", True),
        ("acme-admin", "tenants/globex/pause", False),
        # It would pause the workflow of all tenants, or all workflows of the tenant.
        ("acme-admin", "workflows/greet/pause", False),
        ("greet-admin", "tenants/acme/pause", False),
        ("greet-admin", "workflows/greet/pause", True),
        ("acme", "tenants/acme/pause", False),
    ],
)
async def test_admin_is_needed_for_all_that_a_control_concerns(
    tmp_path: Path, topic: FakeControls, name: str, path: str, is_allowed: bool
) -> None:
    async with running(tmp_path, topic) as gateway:
        status, body = await post(gateway, name, path)
    assert (status, bool(topic.states)) == ((202, True) if is_allowed else (403, False))
    assert is_allowed or body["type"].endswith(":forbidden")


async def test_controls_are_shown_to_those_whom_they_concern(
    tmp_path: Path, topic: FakeControls
) -> None:
    paused = Control(state="paused", reason="x", by="user:a", at=NOW)
    for target in (
        ControlTarget("tenant", "acme"),
        ControlTarget("tenant", "globex"),
        ControlTarget("workflow", "greet"),
        ControlTarget("workflow", "other"),
    ):
        topic.states[target] = paused
    async with running(tmp_path, topic) as gateway:
        seen = {
            name: [f"{each['kind']}/{each['name']}" for each in await listed(gateway, name)]
            for name in ("admin", "acme", "greet-admin")
        }
    assert seen == {
        "admin": ["tenant/acme", "tenant/globex", "workflow/greet", "workflow/other"],
        "acme": ["tenant/acme", "workflow/other"],
        "greet-admin": ["tenant/acme", "tenant/globex", "workflow/greet"],
    }


@pytest.mark.parametrize("path", ["workflows/nope/pause", "tenants/-x/pause"])
async def test_what_cannot_exist_cannot_be_paused(
    tmp_path: Path, topic: FakeControls, path: str
) -> None:
    async with running(tmp_path, topic) as gateway:
        assert (await post(gateway, "admin", path))[0] == 404
    assert topic.states == {}


async def test_a_reason_has_to_be_one(tmp_path: Path, topic: FakeControls) -> None:
    async with running(tmp_path, topic) as gateway:
        status, body = await post(gateway, "admin", "workflows/greet/pause", {"reason": ""})
    assert (status, body["errors"][0]["pointer"]) == (422, "/reason")
    assert topic.states == {}


async def test_without_a_topic_nothing_is_paused(tmp_path: Path) -> None:
    async with granting_gateway(tmp_path, grant("admin", Scope.ADMIN)) as gateway:
        status, body = await post(gateway, "admin", "workflows/greet/pause")
        assert (status, "kafka.controls_topic" in body["detail"]) == (409, True)
        assert await listed(gateway, "admin") == []


async def test_what_kafka_does_not_acknowledge_is_not_known(
    tmp_path: Path, topic: FakeControls
) -> None:
    topic.is_away, topic.unread = True, "the topics are still being read"
    async with running(tmp_path, topic) as gateway:
        status, body = await post(gateway, "admin", "workflows/greet/pause")
        assert (status, body["type"].rpartition(":")[2]) == (503, "outcome-unknown")
        response = await gateway.client.get("/v1/controls", headers=as_("admin"))
        assert response.status == 503
