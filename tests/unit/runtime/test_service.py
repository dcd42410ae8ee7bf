"""Start and end of a service's process."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Annotated, Any

import pytest
import structlog
from pydantic import Field, SecretStr

from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import ensure_topics
from sluice_runtime.service import StartupError, StoppedError, run_service, wait_for_kafka
from sluice_runtime.settings import ServiceSettings
from sluice_runtime.supervision import TaskEndedError, run_tasks
from tests.unit.runtime.clock import now

Serve = Callable[["Settings", asyncio.Event], Awaitable[None]]


class Settings(ServiceSettings):
    """A service's settings."""

    kafka: KafkaSettings = KafkaSettings(bootstrap_servers="kafka:9092")
    speed: Annotated[int, Field(description="Runs a second.")] = 7
    key: Annotated[SecretStr, Field(description="Opens the door.")] = SecretStr("hidden")


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sys.argv", ["sluice-test"])
    monkeypatch.delenv("SLUICE_CONFIG", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def run(serve: Serve) -> None:
    run_service(name="test", summary="A service.", settings_type=Settings, serve=serve)


def code_of(serve: Serve) -> Any:
    with pytest.raises(SystemExit) as caught:
        run(serve)
    return caught.value.code


async def _never(_: Settings, __: asyncio.Event) -> None:
    raise AssertionError("not to be started")


async def _serve_eternally(settings: Settings, stop: asyncio.Event) -> None:
    async def eternal() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    await run_tasks({"eternal": eternal()}, stop=stop, grace=settings.shutdown_grace)


def test_a_signal_ends_the_service_with_0() -> None:
    run(_serve_eternally)


def test_settings_reach_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_SPEED", "9")
    seen: list[Settings] = []

    async def serve(settings: Settings, _: asyncio.Event) -> None:
        seen.append(settings)

    run(serve)
    assert seen[0].speed == 9


def test_invalid_settings_are_printed_and_prevent_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_SPEED", "fast")
    assert code_of(_never) == 2
    err = capsys.readouterr().err
    assert err.startswith("test: These settings are invalid:\n  speed (SLUICE_SPEED): ")
    assert "Traceback" not in err


def test_startup_errors_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    async def serve(_: Settings, __: asyncio.Event) -> None:
        raise StartupError("The port is in use.")

    assert code_of(serve) == 2
    assert capsys.readouterr().err == "test: The port is in use.\n"


def test_unusable_certificates_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_KAFKA__SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("SLUICE_KAFKA__CA_FILE", "nowhere/ca.crt")

    async def serve(settings: Settings, stop: asyncio.Event) -> None:
        deadline = Deadline("verify topics", timedelta(seconds=10))
        await wait_for_kafka(
            lambda: ensure_topics(settings.kafka, client_id="test", deadline=deadline),
            backoff=Backoff(),
            stop=stop,
        )

    assert code_of(serve) == 2
    assert capsys.readouterr().err == (
        "test: kafka.ca_file: nowhere/ca.crt cannot be used: No such file or directory.\n"
    )


def test_a_task_that_ends_by_itself_ends_the_process_with_1() -> None:
    async def serve(settings: Settings, stop: asyncio.Event) -> None:
        async def fails() -> None:
            raise ValueError("broken")

        await run_tasks({"consumer": fails()}, stop=stop, grace=settings.shutdown_grace)

    assert code_of(serve) == 1


def test_a_service_that_ignores_stop_is_cancelled_after_the_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLUICE_SHUTDOWN_GRACE", "10ms")
    cleaned_up = []

    async def serve(_: Settings, __: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.append(True)

    run(serve)
    assert cleaned_up == [True]


def test_an_error_after_stop_is_still_an_error() -> None:
    async def serve(_: Settings, stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        raise TaskEndedError("late")

    assert code_of(serve) == 1


def test_help_lists_every_variable_with_its_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["sluice-test", "--help"])
    assert code_of(_never) == 0
    text = capsys.readouterr().out
    assert "A service." in text
    assert "  SLUICE_SPEED\n      Runs a second. [7]\n" in text
    assert "  SLUICE_SHUTDOWN_GRACE\n" in text
    assert "[20s]" in text
    assert "  SLUICE_LOG__LEVEL\n" in text
    # The group's own default, not its type's.
    assert "SLUICE_KAFKA__BOOTSTRAP_SERVERS\n" in text
    assert "[kafka:9092]" in text
    assert "  SLUICE_KAFKA__TOPICS__REQUESTS\n" in text
    assert "hidden" not in text


@pytest.mark.looptime
async def test_the_start_waits_for_kafka() -> None:
    tries = []

    async def step() -> str:
        tries.append(now())
        if len(tries) < 4:
            raise KafkaUnavailableError("not yet")
        return "there"

    backoff = Backoff(first=timedelta(seconds=1), uniform=lambda _, high: high)
    assert await wait_for_kafka(step, backoff=backoff, stop=asyncio.Event()) == "there"
    assert tries == [0, 1, 3, 7]


async def test_other_errors_of_the_start_are_not_retried() -> None:
    async def step() -> None:
        raise StartupError("wrong")

    with pytest.raises(StartupError):
        await wait_for_kafka(step, backoff=Backoff(), stop=asyncio.Event())


@pytest.mark.looptime
async def test_a_stop_ends_the_wait_for_kafka() -> None:
    stop = asyncio.Event()

    async def step() -> None:
        stop.set()
        raise KafkaUnavailableError("not yet")

    with pytest.raises(StoppedError):
        await wait_for_kafka(step, backoff=Backoff(first=timedelta(hours=1)), stop=stop)
    assert now() == 0
