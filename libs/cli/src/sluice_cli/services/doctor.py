"""Looks at the way from the command to a run and back, part by part."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

from sluice_cli.domain.checks import (
    Check,
    canary_check,
    check_lines,
    endless_logs_check,
    identity_check,
    logs_check,
    refused_logs_check,
    skipped_logs_check,
)
from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.log_sources import StepsOfRun
from sluice_cli.domain.profiles import Connection
from sluice_cli.domain.usage import UsageError
from sluice_cli.ports import Client, Session
from sluice_client import Event, Sluice, SluiceError, TokenFileError
from sluice_contracts.status import StatusEvent

__all__ = ["Brokers", "Canary", "Ways", "examine"]

_HELLO: Final = "hello"
_CHECK_IDENTITY: Final = "Check the token: SLUICE_TOKEN, --token-file, the profile."
_LABELS: Final = {"sluice-doctor": "canary"}
_RUNNING: Final = "sluice.run.running"
_SUBMITTED: Final = "sluice.run.submitted"


class Brokers(Client, Protocol):
    """The client over Kafka."""

    async def partitions(self) -> dict[str, int]:
        """Return how many partitions each of its topics has."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ways:
    """Opens clients; `readiness` returns what a service says at an address of /readyz."""

    gateway: Callable[[Connection], AbstractAsyncContextManager[Sluice]]
    brokers: Callable[[Connection], AbstractAsyncContextManager[Brokers]]
    readiness: Callable[[str], str]
    clock: Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Canary:
    """The run that is started; `timeout` is in seconds."""

    workflow: str
    timeout: float


async def examine(
    session: Session, *, ways: Ways, health: str | None, canary: Canary | None
) -> ExitCode:
    """Make all checks, show them, and say by the exit code whether all is well."""
    connection = session.connection
    checks = [_settings(connection)]
    async with ways.gateway(connection) as sluice:
        gateway = await _gateway(sluice, ways)
        checks.append(gateway)
        if gateway.ok:
            checks.append(await _identity(sluice))
        if health is not None:
            checks.append(await _readiness(health, ways))
        if connection.kafka is not None:
            checks += await _kafka(session, ways, canary=None if gateway.ok else canary)
        if canary is not None and gateway.ok:
            check, seen = await _canary(sluice, session, ways, canary=canary)
            checks.append(check)
            if seen.state is not None:
                checks.append(await _logs(sluice, ways, seen, within=canary.timeout))
    ok = all(each.ok for each in checks)
    documents = [each.document() for each in checks]
    session.screen.result(
        {"ok": ok, "checks": documents}, lines=check_lines(checks), name="ok" if ok else "wrong"
    )
    return ExitCode.SUCCESS if ok else ExitCode.FAILED


def _settings(connection: Connection) -> Check:
    token = "a token of the environment" if connection.token else "no token"
    if connection.token_file is not None:
        token = f"the token in {connection.token_file}"
    tenant = connection.tenant or "none said"
    return Check(name="settings", ok=True, detail=f"{connection.url}, {token}, tenant: {tenant}")


async def _gateway(sluice: Sluice, ways: Ways) -> Check:
    began = ways.clock()
    try:
        entries = await sluice.workflows()
    except TokenFileError as e:
        return _failed("gateway", e, _CHECK_IDENTITY)
    except SluiceError as e:
        return _failed("gateway", e, "Start the gateway, or give its address: --url or SLUICE_URL.")
    spent = (ways.clock() - began) * 1000
    return Check(name="gateway", ok=True, detail=f"{len(entries)} workflows in {spent:.0f} ms")


async def _identity(sluice: Sluice) -> Check:
    try:
        identity = await sluice.identity()
    except SluiceError as e:
        return _failed("identity", e, _CHECK_IDENTITY)
    return identity_check(principal=identity.principal, scopes=identity.scopes)


async def _readiness(address: str, ways: Ways) -> Check:
    try:
        said = await asyncio.to_thread(ways.readiness, address)
    except (OSError, ValueError) as e:
        remedy = "Its log says more; docs/operations.md explains each entry."
        return Check(name="readiness", ok=False, detail=f"{address}: {e}", remedy=remedy)
    return Check(name="readiness", ok=True, detail=said)


async def _kafka(session: Session, ways: Ways, *, canary: Canary | None) -> list[Check]:
    """Look for the topics; the canary is the one that the gateway could not start."""
    try:
        async with ways.brokers(session.connection) as brokers:
            topics = await brokers.partitions()
            shown = ", ".join(f"{topic} ({count} partitions)" for topic, count in topics.items())
            found = [Check(name="kafka", ok=True, detail=shown)]
            if canary is not None:
                check, _ = await _canary(brokers, session, ways, canary=canary)
                found.append(check)
            return found
    except (SluiceError, UsageError) as e:
        remedy = "Check the brokers, the security in the profile, and the names of its topics."
        return [_failed("kafka", e, remedy)]


@dataclass
class _Seen:
    """What was seen of the canary: its newest event, and its steps."""

    state: StatusEvent | None = None
    steps: StepsOfRun = field(default_factory=StepsOfRun)

    def add(self, state: StatusEvent) -> None:
        self.state = state
        self.steps.apply(state)


async def _canary(
    client: Client, session: Session, ways: Ways, *, canary: Canary
) -> tuple[Check, _Seen]:
    """Start a run, and note when it has come how far; also return what was seen of it."""
    hops: dict[str, float] = {}
    seen = _Seen()
    began = ways.clock()

    def note(hop: str) -> None:
        hops.setdefault(hop, ways.clock() - began)

    def passed(event: Event) -> None:
        if event.type in (_SUBMITTED, _RUNNING):
            note("submitted")
        if event.type == _RUNNING:
            note("running")
        if event.state.terminal:
            note("ended")

    try:
        run = await client.start(
            canary.workflow,
            {"name": "doctor"} if canary.workflow == _HELLO else {},
            labels=_LABELS,
            # It must not start once nobody waits for it.
            expires_at=session.screen.now() + timedelta(seconds=canary.timeout),
        )
        note("accepted")
        with suppress(TimeoutError):
            async with asyncio.timeout(canary.timeout), aclosing(run.events()) as events:
                async for event in events:
                    seen.add(event.state)
                    passed(event)
    except SluiceError as e:
        remedy = "Take a workflow that needs no parameters: --workflow NAME."
        return _failed("canary", e, remedy), _Seen()
    return canary_check(hops, state=seen.state), seen


async def _logs(sluice: Sluice, ways: Ways, seen: _Seen, *, within: float) -> Check:
    """Read the log of a step of the canary, as far as that has come, within so many seconds."""
    state = seen.state
    source = next((each for each in seen.steps.sources() if each.has_started), None)
    if state is None or source is None:
        return skipped_logs_check("not looked at: no step of the canary has run a pod")
    began = ways.clock()
    run = sluice.run(state.run_id, tenant=state.tenant)
    try:
        # What it says does not matter.
        async with (
            asyncio.timeout(within),
            aclosing(run.logs(source.step, tail=1)) as lines,
        ):
            async for _ in lines:
                pass
    except TimeoutError:
        return endless_logs_check(step=source.shown, after=within)
    except SluiceError as e:
        return refused_logs_check(e)
    return logs_check(step=source.shown, spent=ways.clock() - began)


def _failed(name: str, error: Exception, remedy: str) -> Check:
    return Check(name=name, ok=False, detail=str(error), remedy=remedy)
