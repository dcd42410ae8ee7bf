"""Three Workflows, everything that can happen to them, and the promises that must hold."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any, Final

from sluice_argo import metadata
from sluice_contracts.status import Phase, StatusEvent
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import (
    ApiUnavailableError,
    ConflictError,
    GoneError,
    RefusedError,
)
from tests.support.fake_workflows import Operation
from tests.unit.status_watcher.manifests import Json, manifest, name_of
from tests.unit.status_watcher.world import TOPICS, Connection, World, later

TWO = 2

RUNS = ("a", "b", "c")
ENDS = ("Succeeded", "Failed", "Error")
OPERATIONS: Final[tuple[Operation, ...]] = ("list_page", "watch", "patch", "get")


class Simulation:
    """A world whose controller runs three Workflows."""

    def __init__(self, *, watchers: int) -> None:
        self.world = World()
        self.watchers = watchers
        self._clock = 0
        self._running: list[AsyncExitStack] = []
        self.connections = [self.world.connection() for _ in range(max(1, watchers))]
        self._joined = itertools.count()
        api = self.world.workflows
        self.faults: dict[str, Callable[[], object]] = {
            "drop": api.drop_streams_for_test,
            "close": api.close_streams_for_test,
            "silence": api.go_silent_for_test,
            "speech": api.speak_again_for_test,
            "expire": api.expire_history_for_test,
            "api error": self._api_error,
            "conflict": lambda: api.fail_for_test(
                "patch", ConflictError("422", status=422, reason="Invalid")
            ),
            "too large": lambda: api.fail_for_test(
                "patch", RefusedError("413", status=413, reason="RequestEntityTooLarge")
            ),
            "lost get": lambda: api.lose_answers_for_test("get"),
            "lost patch": lambda: api.lose_answers_for_test("patch"),
            "410": lambda: api.fail_for_test(
                "watch", GoneError("410", status=410, reason="Expired")
            ),
            "garbage": lambda: api.send_raw_for_test(b'{"type": "MODIFIED", "obj\n'),
        }
        for number, connection in enumerate(self.connections):
            faults = _faults_of(connection, alone=watchers < TWO)
            self.faults |= {f"{name} {number}": fault for name, fault in faults.items()}
        self.lives: dict[str, Callable[[str, Json], Awaitable[None]]] = {
            "pend": self._pend,
            "run": self._run,
            "progress": self._progress,
            "finish": self._finish,
            "retry": self._retry,
            "delete": self._delete,
            "touch": self._touch,
        }

    async def start(self) -> None:
        """Submit the runs and start the watchers."""
        for run_id in RUNS:
            await self.world.workflows.create(manifest(run_id))
        await self.restart()

    async def restart(self) -> None:
        """Kill all watchers at once, and start as many as there should be."""
        await self.stop()
        for _ in range(self.watchers):
            await self.join()

    async def join(self) -> None:
        """Start one more."""
        if len(self._running) <= self.watchers:
            connection = self.connections[next(self._joined) % len(self.connections)]
            self._running.append(AsyncExitStack())
            await self._running[-1].enter_async_context(
                self.world.starting(workflows=connection.api, kafka=connection.kafka)
            )

    async def leave(self) -> None:
        """Kill the watcher that has run for longest."""
        if self._running:
            await self._running.pop(0).aclose()

    async def stop(self) -> None:
        """Kill all watchers."""
        while self._running:
            await self.leave()

    async def live(self, what: str, run_id: str) -> None:
        """Let something happen to a Workflow, if its state allows it."""
        name = name_of(run_id)
        if name in self.world.workflows.names_for_test():
            await self.lives[what](name, self.world.workflows.object_for_test(name))

    async def heal(self) -> None:
        """Let everything work again with all watchers, and then nothing happen for hours.

        But for one thing: what the brokers have not appended yet, they append when all is done.
        """
        while len(self._running) < self.watchers:
            await self.join()
        for connection in self.connections:
            connection.kafka.heal_for_test()
            connection.api.cut = False
        self.world.workflows.heal_for_test()
        await later(3600)
        for connection in self.connections:
            await connection.kafka.land_for_test(all_of_them=True)
        await later(3600)

    def _api_error(self) -> None:
        for operation in OPERATIONS:
            self.world.workflows.fail_for_test(operation, ApiUnavailableError("503"))

    async def _pend(self, name: str, obj: Json) -> None:
        if "status" not in obj:
            await self.world.workflows.set_status_for_test(name, phase="Pending")

    async def _run(self, name: str, obj: Json) -> None:
        if not ended(obj):
            await self.world.workflows.set_status_for_test(name, phase="Running")

    async def _progress(self, name: str, obj: Json) -> None:
        if not ended(obj):
            await self.world.workflows.set_status_for_test(name, progress=str(self._tick()))

    async def _finish(self, name: str, obj: Json) -> None:
        if not ended(obj):
            minute = self._tick()
            finished = f"2026-01-{1 + minute // 60:02}T00:{minute % 60:02}:00Z"
            await self.world.workflows.set_status_for_test(
                name, phase=ENDS[minute % len(ENDS)], finishedAt=finished
            )

    async def _retry(self, name: str, obj: Json) -> None:
        if ended(obj) and "deletionTimestamp" not in obj["metadata"]:
            await self.world.workflows.set_status_for_test(name, phase="Running", finishedAt=None)

    async def _delete(self, name: str, obj: Json) -> None:
        if "deletionTimestamp" not in obj["metadata"]:
            await self.world.workflows.delete_for_test(name)

    async def _touch(self, name: str, _: Json) -> None:
        label = str(self._tick())
        await self.world.workflows.change_for_test(
            name, lambda obj: obj["metadata"]["labels"].update(touched=label)
        )

    def _tick(self) -> int:
        self._clock += 1
        return self._clock


def _faults_of(connection: Connection, *, alone: bool) -> dict[str, Callable[[], object]]:
    kafka, api = connection.kafka, connection.api
    faults: dict[str, Callable[[], object]] = {
        "kafka away": kafka.go_away_for_test,
        "kafka back": kafka.come_back_for_test,
        "kafka error": lambda: kafka.fail_for_test(KafkaUnavailableError("no leader")),
    }
    if alone:
        # A single watcher must not repeat an outcome, so nothing happens that excuses that.
        return faults
    return faults | {
        "kafka stuck": kafka.get_stuck_for_test,
        "kafka healed": kafka.heal_for_test,
        "kafka lands": kafka.land_for_test,
        "kafka lands all": lambda: kafka.land_for_test(all_of_them=True),
        "lost ack": lambda: kafka.lose_acknowledgements_for_test(times=1),
        "api cut": lambda: setattr(api, "cut", True),
        "api joined": lambda: setattr(api, "cut", False),
    }


def ended(obj: Json) -> bool:
    """Return whether a Workflow has ended."""
    return obj.get("status", {}).get("phase") in ENDS


def check(simulation: Simulation) -> None:
    """Check the promises on the topics and on the API server."""
    kafka, api = simulation.world.kafka, simulation.world.workflows
    by_run: dict[str, list[StatusEvent]] = defaultdict(list)
    for event in kafka.events_for_test():
        by_run[event.run_id].append(event)
    for run_id in RUNS:
        last = _followed(by_run[run_id])[-1]
        if name_of(run_id) in api.names_for_test():
            _check_object(api.object_for_test(name_of(run_id)), last)
        else:
            # The object is gone, and its outcome is published.
            assert last.terminal
    # Compaction keeps the last record of each key: that of the last attempt.
    kept = {event.run_id: event.attempt for event in kafka.events_for_test(TOPICS.results)}
    for event in kafka.events_for_test(TOPICS.results):
        assert kept[event.run_id] >= event.attempt, simulation.world.results(run_id=event.run_id)
    # Each attempt has one outcome; repeats are the same event.
    outcomes = Counter(_of_attempts(kafka.events_for_test(TOPICS.results)))
    assert set(outcomes) == set(_of_attempts(e for e in kafka.events_for_test() if e.terminal))
    assert len({(run_id, attempt) for run_id, attempt, _, _ in outcomes}) == len(outcomes), outcomes
    if simulation.watchers == 1:
        assert set(outcomes.values()) <= {1}, outcomes


def _of_attempts(events: Iterable[StatusEvent]) -> list[tuple[str, int, str, int]]:
    return [(event.run_id, event.attempt, event.event_id, event.sequence) for event in events]


def _followed(events: list[StatusEvent]) -> list[StatusEvent]:
    """Obey the sequence: each attempt ends for good, and later attempts come later."""
    followed: list[StatusEvent] = []
    for event in events:
        last: Any = followed[-1] if followed else None
        if last is None or event.sequence > last.sequence:
            if last is not None:
                assert event.attempt >= last.attempt
                assert event.terminal or not (last.terminal and last.attempt == event.attempt)
            followed.append(event)
    return followed


def _check_object(obj: Json, last: StatusEvent) -> None:
    """Check that the last event matches the object, and its annotations match the event."""
    meta, phase = obj["metadata"], obj.get("status", {}).get("phase")
    annotations = meta["annotations"]
    if phase in ENDS:
        assert last.phase == phase
        assert metadata.FINALIZER not in meta["finalizers"]
        mark = f"{last.attempt}/{phase}@{obj['status']['finishedAt']}"
        assert annotations[metadata.PUBLISHED] == mark
    else:
        assert last.phase == Phase(phase or "Submitted")
        assert last.attempt == int(annotations.get(metadata.ATTEMPT, "1"))
        assert metadata.FINALIZER in meta["finalizers"]
        assert metadata.PUBLISHED not in annotations
