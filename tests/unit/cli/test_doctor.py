"""`sluice doctor` says what is so, and what to do."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from unittest.mock import patch

import pytest
from typer.testing import CliRunner, Result

from sluice_cli.adapters.readiness import readiness_at
from sluice_cli.app import app
from sluice_cli.session import Tools
from sluice_client import Phase, ProblemType, Run, RunHandle, UnreachableError
from sluice_client.fake import FakeSluice
from sluice_client.fake_documents import RefusedError
from sluice_contracts.steps import Step
from tests.unit.cli.conftest import greet
from tests.unit.cli.test_logs import step


@dataclass
class FakeBrokers:
    """A client over Kafka whose runs are those of the fake."""

    sluice: FakeSluice
    failure: Exception | None = None
    started: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        if self.failure is not None:
            raise self.failure
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def partitions(self) -> dict[str, int]:
        return {"sluice.requests": 6, "sluice.status": 6}

    async def start(
        self, workflow: str, parameters: Mapping[str, Any] | None = None, **options: Any
    ) -> RunHandle:
        self.started.append(workflow)
        return await self.sluice.start(workflow, parameters, **options)

    def run(self, id: str, *, tenant: str | None = None) -> RunHandle:  # noqa: A002
        return self.sluice.run(id, tenant=tenant)

    def events(self, **_: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def sluice() -> FakeSluice:
    return FakeSluice({"hello": greet, "approval": None, "broken": lambda _: {"ratio": 1 / 0}})


def with_brokers(brokers: FakeBrokers, *words: str) -> Result:
    """Type a command where both the gateway and Kafka are."""
    tools = Tools(gateway=lambda _: brokers.sluice, brokers=lambda _: brokers)
    environment = {"NO_COLOR": "1", "XDG_CONFIG_HOME": "/nowhere"}
    return CliRunner().invoke(app, words, env=environment, obj=tools)


def examine(sluice: FakeSluice, *words: str, brokers: FakeBrokers | None = None) -> Result:
    return with_brokers(brokers or FakeBrokers(sluice), "doctor", *words)


def test_all_is_well(sluice: FakeSluice) -> None:
    result = examine(sluice, "--kafka", "k:9092")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    found = [line.split()[:2] for line in lines]
    assert found == [
        *(["ok", each] for each in ("settings", "gateway", "identity", "kafka", "canary")),
        ["skip", "logs"],
    ]
    assert "http://localhost:8080, no token, tenant: none said" in lines[0]
    assert "3 workflows in" in lines[1]
    assert "anonymous:fake with runs:start" in lines[2]
    assert "sluice.requests (6 partitions), sluice.status (6 partitions)" in lines[3]
    assert all(hop in lines[4] for hop in ("accepted", "submitted", "running", "ended"))
    [request] = sluice.requests
    assert request.labels == {"sluice-doctor": "canary"}
    assert request.expires_at is not None


class SteppedSluice(FakeSluice):
    """A Sluice whose runs end with these steps."""

    def __init__(self, *steps: Step, phase: Phase = Phase.SUCCEEDED) -> None:
        super().__init__({"hello": None})
        self._steps = steps
        self._phase = phase

    async def start(self, *args: Any, **options: Any) -> Run:
        run = await super().start(*args, **options)
        self.publish(run.id, self._phase, steps=self._steps)
        return run


class TestLogs:
    """The log of the canary's step says whether the log-relay works."""

    @pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
    def test_a_log_that_can_be_read_is_well(self, phase: Phase) -> None:
        sluice = SteppedSluice(step("all", kind="DAG"), step("greet"), phase=phase)
        result = examine(sluice)
        assert "ok     logs      the log-relay answers: log of step greet in " in result.stdout
        assert result.exit_code == (0 if phase is Phase.SUCCEEDED else 1)

    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            (ProblemType.LOGS_DISABLED, "not set up: the gateway has no log-relay"),
            (ProblemType.FORBIDDEN, "not looked at: 403 Forbidden: Why."),
            (ProblemType.NOT_FOUND, "not looked at: 404 Not found: Why."),
        ],
    )
    def test_what_is_not_set_up_or_not_allowed_is_not_wrong(
        self, kind: ProblemType, said: str
    ) -> None:
        result = examine_logs(RefusedError(kind, "Why."))
        assert result.exit_code == 0
        assert f"skip   logs      {said}" in result.stdout
        assert "->" not in result.stdout
        shown = json.loads(examine_logs(RefusedError(kind, "Why."), "-o", "json").stdout)
        [*others, logs] = shown["checks"]
        assert (logs["name"], logs["ok"], logs["skipped"]) == ("logs", True, True)
        assert not any(each["skipped"] for each in others)

    @pytest.mark.parametrize(
        ("kind", "remedy"),
        [
            (ProblemType.UNAVAILABLE, "If it refuses the gateway, give both the same secret"),
            (ProblemType.LOG_GONE, "Give the log-relay the same namespaces as the dispatcher"),
        ],
    )
    def test_a_log_that_cannot_be_read_is_wrong(self, kind: ProblemType, remedy: str) -> None:
        result = examine_logs(RefusedError(kind, "Why."))
        assert result.exit_code == 1
        assert "WRONG  logs" in result.stdout
        assert ": Why." in result.stdout
        assert remedy in result.stdout

    @pytest.mark.parametrize(
        "only", [step("greet", phase="Pending"), step("ask", kind="Suspend")], ids=str
    )
    def test_without_a_pod_there_is_none_to_read(self, only: Step) -> None:
        result = examine(SteppedSluice(only))
        assert result.exit_code == 0
        assert "skip   logs      not looked at: no step of the canary" in result.stdout

    def test_a_log_that_does_not_end_is_wrong(self) -> None:
        sluice = SteppedSluice(step("greet"))

        async def endless(*_: object, **__: object) -> AsyncGenerator[bytes]:
            await asyncio.Event().wait()
            yield b""

        with patch.object(sluice._gateway, "_log", endless):
            result = examine(sluice, "--timeout", "0.5")
        assert result.exit_code == 1
        assert "WRONG  logs      the log of step greet did not end in" in result.stdout
        assert "-> " in result.stdout

    def test_a_pod_that_an_earlier_event_has_shown_is_known(self) -> None:
        class Running(FakeSluice):
            async def start(self, *args: Any, **options: Any) -> Run:
                run = await super().start(*args, **options)
                self.publish(run.id, Phase.RUNNING, steps=(step("greet"),))
                self.publish(run.id, Phase.RUNNING)
                return run

        result = examine(Running({"hello": None}), "--timeout", "0.5")
        assert "WRONG  canary" in result.stdout
        assert "log of step greet" in result.stdout

    def test_a_canary_that_was_not_started_has_no_logs(self) -> None:
        assert "logs" not in examine(SteppedSluice(), "--workflow", "nope").stdout


def examine_logs(refusal: Exception, *words: str) -> Result:
    """Examine a Sluice that does not give the log of a step."""
    sluice = SteppedSluice(step("greet"))
    with patch.object(sluice._gateway, "_opened", side_effect=refusal):
        return examine(sluice, *words)


def test_without_a_canary_nothing_is_started(sluice: FakeSluice) -> None:
    shown = json.loads(examine(sluice, "--no-canary", "-o", "json").stdout)
    assert shown["ok"] is True
    assert [each["name"] for each in shown["checks"]] == ["settings", "gateway", "identity"]
    assert sluice.requests == []


def test_a_canary_that_does_not_start_names_the_next_part(sluice: FakeSluice) -> None:
    result = examine(sluice, "--workflow", "approval", "--timeout", "0.05")
    assert result.exit_code == 1
    assert "WRONG  canary" in result.stdout
    assert "Look at the dispatcher's /readyz" in result.stdout


def test_a_canary_that_fails_says_why(sluice: FakeSluice) -> None:
    result = examine(sluice, "--workflow", "broken")
    assert result.exit_code == 1
    assert "as Failed: division by zero" in result.stdout
    assert "-> Look at it: sluice status" in result.stdout


def test_a_workflow_that_is_not_there_is_named(sluice: FakeSluice) -> None:
    result = examine(sluice, "--workflow", "nope")
    assert result.exit_code == 1
    assert "Unknown workflow" in result.stdout


def test_without_a_gateway_the_canary_goes_over_kafka(sluice: FakeSluice) -> None:
    sluice.fail_next(ProblemType.FORBIDDEN)
    brokers = FakeBrokers(sluice)
    result = examine(sluice, "--kafka", "k:9092", brokers=brokers)
    assert result.exit_code == 1
    assert "-> Start the gateway, or give its address" in result.stdout
    assert "ok     canary" in result.stdout
    assert brokers.started == ["hello"]


def test_brokers_that_are_not_there_are_wrong(sluice: FakeSluice) -> None:
    brokers = FakeBrokers(sluice, failure=UnreachableError("No broker answered."))
    result = examine(sluice, "--kafka", "k:9092", brokers=brokers)
    assert result.exit_code == 1
    assert "WRONG  kafka     No broker answered." in result.stdout
    assert "ok     canary" in result.stdout


def test_a_service_that_is_not_there_is_not_ready(sluice: FakeSluice) -> None:
    result = examine(sluice, "--no-canary", "--health", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "WRONG  readiness http://127.0.0.1:9: " in result.stdout
    with pytest.raises(ValueError, match="must be like"):
        readiness_at("file:///etc/passwd")
