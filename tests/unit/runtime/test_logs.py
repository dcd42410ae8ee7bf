"""Logs: one JSON object per line, and each event once, for all loggers."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from sluice_runtime.logs import LogSettings, configure_logs

SECRET = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.err == ""
    return [json.loads(line) for line in captured.out.splitlines()]


def test_an_event_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings(), service="gateway")
    structlog.get_logger().info("run accepted", run_id="order-4711", text="a\nb")
    (event,) = lines(capsys)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "run accepted",
        "level": "info",
        "service": "gateway",
        "run_id": "order-4711",
        "text": "a\nb",
    }


def test_foreign_loggers_log_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings(), service="gateway")
    structlog.contextvars.bind_contextvars(trace_id="4bf9")
    logging.getLogger("some.library").warning("lost %s", "peer", extra={"peer": "b-1"})
    (event,) = lines(capsys)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "lost peer",
        "level": "warning",
        "logger": "some.library",
        "service": "gateway",
        "trace_id": "4bf9",
        "peer": "b-1",
    }


def test_repeated_configuration_logs_once(capsys: pytest.CaptureFixture[str]) -> None:
    logger = structlog.get_logger()
    configure_logs(LogSettings(), service="gateway")
    configure_logs(LogSettings(), service="gateway")
    logger.info("once")
    logging.getLogger("library").info("once")
    assert [event["event"] for event in lines(capsys)] == ["once", "once"]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_events_below_the_level_are_not_written(
    level: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(LogSettings(level=level), service="gateway")
    levels = ["debug", "info", "warning", "error"]
    for each in levels:
        getattr(structlog.get_logger(), each)("ours")
        getattr(logging.getLogger("library"), each)("theirs")
    expected = levels[levels.index(level) :]
    assert [event["level"] for event in lines(capsys) if event["event"] == "ours"] == expected


def test_clients_do_not_log_values_of_records(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings(level="debug"), service="gateway")
    chatties = (
        *("aiokafka.consumer.fetcher", "aiosqlite", "asyncio", "aiohttp.access"),
        *("botocore.auth", "urllib3.connectionpool"),
    )
    for chatty in chatties:
        logging.getLogger(chatty).debug(SECRET)
        logging.getLogger(chatty).info(SECRET)
        logging.getLogger(chatty).warning("logged")
    assert [event["event"] for event in lines(capsys)] == ["logged"] * len(chatties)


def _fail(password: str) -> None:
    raise ValueError(f"wrong length: {len(password)}")


@pytest.mark.parametrize("who", ["ours", "theirs"])
def test_errors_come_with_their_traceback(who: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings(), service="gateway")
    logger = structlog.get_logger() if who == "ours" else logging.getLogger("library")
    try:
        _fail(SECRET)
    except ValueError:
        logger.exception("failed")
    (event,) = lines(capsys)
    assert event["event"] == "failed"
    assert event["exception"].endswith("ValueError: wrong length: 28")
    assert "exc_info" not in event


def test_values_that_are_not_json_are_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings(), service="gateway")
    structlog.get_logger().info("odd", value={1, 2}, data=b"\xff", error=ValueError("x"))
    (event,) = lines(capsys)
    assert event["error"] == "ValueError('x')"


def test_the_console_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings(format="console"), service="gateway")
    structlog.get_logger().info("run accepted", run_id="order-4711")
    out = capsys.readouterr().out
    assert "run accepted" in out
    assert "order-4711" in out
    assert not out.startswith("{")


@pytest.mark.parametrize("style", ["json", "console"])
def test_tracebacks_do_not_show_local_variables(
    style: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(LogSettings(format=style), service="gateway")
    try:
        _fail(SECRET)
    except ValueError:
        structlog.get_logger().exception("failed")
    out = capsys.readouterr().out
    assert "wrong length: 28" in out
    assert SECRET not in out


def test_retried_errors_of_the_kafka_client_are_warnings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(LogSettings(), service="gateway")
    logging.getLogger("aiokafka.consumer.fetcher").error("not the leader")
    logging.getLogger("aiokafka.producer").critical("gone")
    logging.getLogger("library").error("broken")
    assert [event["level"] for event in lines(capsys)] == ["warning", "critical", "error"]
