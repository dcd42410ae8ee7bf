"""GET /v1/limits."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sluice_contracts.status import Phase
from sluice_gateway.adapters.limits_reading import limits_reading
from sluice_gateway.services.shown_limits import ShownLimits
from sluice_runtime.live_limits import Limits, TenantLimits, WorkflowLimits
from sluice_workflows.catalogue import Catalogue
from sluice_workflows.entries import Concurrency, Entry, TemplateRef
from tests.unit.gateway.harness import GREET, GreetParameters, published, running_gateway
from tests.unit.runtime.clock import pause, until

CATALOGUE = Catalogue(
    [
        Entry(
            name="greet",
            description="Says hello.",
            parameters=GreetParameters,
            template=TemplateRef(name="greet"),
            concurrency=Concurrency(key="/parameters/name", limit=2, when_full="reject"),
        )
    ]
)


async def test_what_is_live_and_waits_is_shown_against_what_may_be_live(tmp_path: Path) -> None:
    limits = Limits(
        live=9,
        tenants={"default": TenantLimits(weight=2, live=5)},
        workflows={"greet": WorkflowLimits(paused="moved")},
    )
    shown = ShownLimits(current=lambda: limits)
    async with running_gateway(tmp_path, catalogue=CATALOGUE, shown_limits=shown) as gateway:
        for run_id in ("a", "b", "c"):
            assert (await gateway.post({"id": run_id, **GREET})).status == 202
        await gateway.project_requests()
        await gateway.publish(published(5, Phase.RUNNING, run_id="b"))
        await gateway.publish(published(6, Phase.SUCCEEDED, run_id="c"))
        response = await gateway.client.get("/v1/limits")
        assert response.status == 200
        assert await response.json() == {
            "total": {"live": 1, "waiting": 1, "limit": 9},
            "tenants": [
                {
                    "live": 1,
                    "waiting": 1,
                    "limit": 5,
                    "name": "default",
                    "weight": 2,
                    "paused": None,
                }
            ],
            "more_tenants": 0,
            "workflows": [
                {
                    "live": 1,
                    "waiting": 1,
                    "limit": None,
                    "name": "greet",
                    "paused": "moved",
                    "concurrency": {
                        "key": "/parameters/name",
                        "limit": 2,
                        "when_full": "reject",
                    },
                }
            ],
        }
        known = {"If-None-Match": response.headers["ETag"]}
        assert (await gateway.client.get("/v1/limits", headers=known)).status == 304


def test_the_file_of_the_dispatcher_is_read(tmp_path: Path) -> None:
    assert limits_reading(None).limits.current() is None
    file = tmp_path / "limits.yaml"
    file.write_text("live: 3\n")
    reading = limits_reading(file)
    assert reading.limits.current() == Limits(live=3)
    assert list(reading.tasks) == ["limits file"]


@pytest.mark.looptime
async def test_a_file_that_cannot_be_used_is_shown_once_it_can(tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text("lives: 3\n")
    with capture_logs() as logs:
        reading = limits_reading(file)
    [said] = logs
    assert said["log_level"] == "error"
    assert "lives: is not a known" in said["error"]
    assert reading.limits.current() is None

    async def is_shown() -> bool:
        return reading.limits.current() == Limits(live=3)

    [run] = reading.tasks.values()
    looking = asyncio.create_task(run())
    await pause(60)
    assert reading.limits.current() is None
    file.write_text("live: 3\n")
    await until(is_shown)
    looking.cancel()
