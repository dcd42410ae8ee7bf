"""Three Workflows, everything that can happen to them, and the promises that must hold.

The last of them is in a namespace of its own.
"""

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
from tests.support.fake_workflows import FakeWorkflows, Operation
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
        self.world.elsewhere = [FakeWorkflows(namespace="acme-runs")]
        self.watchers = watchers
        self._clock = 0
        self._running: list[AsyncExitStack] = []
        self.connections = [self.world.connection() for _ in range(max(1, watchers))]
        self._joined = itertools.count()
        self.faults: dict[str, Callable[[], object]] = {}
        for prefix, api in (("", self.world.workflows), ("acme ", self.world.elsewhere[0])):
            faults = _faults_of_api(api)
            self.faults |= {f"{prefix}{name}": fault for name, fault in faults.items()}
        for number, connection in enumerate(self.connections):
            own = _faults_of(connection, alone=watchers < TWO)
            self.faults |= {f"{name} {number}": fault for name, fault in own.items()}
        self.lives: dict[str, Callable[[FakeWorkflows, str, Json], Awaitable[None]]] = {
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
            await self.api_of(run_id).create(manifest(run_id))
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
                self.world.starting(
                    workflows=connection.api,
                    elsewhere=connection.elsewhere,
                    kafka=connection.kafka,
                )
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
        name, api = name_of(run_id), self.api_of(run_id)
        if name in api.names_for_test():
            await self.lives[what](api, name, api.object_for_test(name))

    def api_of(self, run_id: str) -> FakeWorkflows:
        """Return the Workflows of the namespace that the run is in."""
        return self.world.elsewhere[0] if run_id == RUNS[-1] else self.world.workflows

    async def heal(self) -> None:
        """Let everything work again with all watchers, and then nothing happen for hours.

        But for one thing: what the brokers have not appended yet, they append when all is done.
        """
        while len(self._running) < self.watchers:
            await self.join()
        for connection in self.connections:
            connection.kafka.heal_for_test()
            connection.cut(is_cut=False)
        for api in (self.world.workflows, *self.world.elsewhere):
            api.heal_for_test()
        await later(3600)
        for connection in self.connections:
            await connection.kafka.land_for_test(all_of_them=True)
        await later(3600)

    async def _pend(self, api: FakeWorkflows, name: str, obj: Json) -> None:
        if "status" not in obj:
            await api.set_status_for_test(name, phase="Pending")

    async def _run(self, api: FakeWorkflows, name: str, obj: Json) -> None:
        if not ended(obj):
            await api.set_status_for_test(name, phase="Running")

    async def _progress(self, api: FakeWorkflows, name: str, obj: Json) -> None:
        if not ended(obj):
            await api.set_status_for_test(name, progress=str(self._tick()))

    async def _finish(self, api: FakeWorkflows, name: str, obj: Json) -> None:
        if not ended(obj):
            minute = self._tick()
            finished = f"2026-01-{1 + minute // 60:02}T00:{minute % 60:02}:00Z"
            await api.set_status_for_test(name, phase=ENDS[minute % len(ENDS)], finishedAt=finished)

    async def _retry(self, api: FakeWorkflows, name: str, obj: Json) -> None:
        if ended(obj) and "deletionTimestamp" not in obj["metadata"]:
            await api.set_status_for_test(name, phase="Running", finishedAt=None)

    async def _delete(self, api: FakeWorkflows, name: str, obj: Json) -> None:
        if "deletionTimestamp" not in obj["metadata"]:
            await api.delete_for_test(name)

    async def _touch(self, api: FakeWorkflows, name: str, _: Json) -> None:
        label = str(self._tick())
        await api.change_for_test(name, lambda obj: obj["metadata"]["labels"].update(touched=label))

    def _tick(self) -> int:
        self._clock += 1
        return self._clock


def _faults_of_api(api: FakeWorkflows) -> dict[str, Callable[[], object]]:
    def fail_all() -> None:
        for operation in OPERATIONS:
            api.fail_for_test(operation, ApiUnavailableError("503"))

    def deny() -> None:
        """Take the Role away for a while."""
        api.drop_streams_for_test()
        api.fail_for_test("list_page", *[ApiUnavailableError("403", status=403)] * 5)

    return {
        "drop": api.drop_streams_for_test,
        "close": api.close_streams_for_test,
        "silence": api.go_silent_for_test,
        "speech": api.speak_again_for_test,
        "expire": api.expire_history_for_test,
        "deny": deny,
        "api error": fail_all,
        "conflict": lambda: api.fail_for_test(
            "patch", ConflictError("422", status=422, reason="Invalid")
        ),
        "too large": lambda: api.fail_for_test(
            "patch", RefusedError("413", status=413, reason="RequestEntityTooLarge")
        ),
        "lost get": lambda: api.lose_answers_for_test("get"),
        "lost patch": lambda: api.lose_answers_for_test("patch"),
        "410": lambda: api.fail_for_test("watch", GoneError("410", status=410, reason="Expired")),
        "garbage": lambda: api.send_raw_for_test(b'{"type": "MODIFIED", "obj\n'),
    }


def _faults_of(connection: Connection, *, alone: bool) -> dict[str, Callable[[], object]]:
    kafka = connection.kafka
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
        "api cut": lambda: connection.cut(is_cut=True),
        "api joined": lambda: connection.cut(is_cut=False),
    }


def ended(obj: Json) -> bool:
    """Return whether a Workflow has ended."""
    return obj.get("status", {}).get("phase") in ENDS


def check(simulation: Simulation) -> None:
    """Check the promises on the topics and on the API server."""
    kafka = simulation.world.kafka
    by_run: dict[str, list[StatusEvent]] = defaultdict(list)
    for event in kafka.events_for_test():
        by_run[event.run_id].append(event)
    for run_id in RUNS:
        last, api = _followed(by_run[run_id])[-1], simulation.api_of(run_id)
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
