"""The controller: reconciles each Workflow whenever something about it may have changed."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog

from sluice_engine.controller.nodes import fulfilled
from sluice_engine.controller.operator import Outcome, fail, is_completed, operate
from sluice_engine.controller.packer import pack, unpack
from sluice_engine.controller.timers import Timers
from sluice_engine.controller.ttl import expiry
from sluice_engine.documents import Object, decode
from sluice_engine.settings import EngineSettings
from sluice_engine.steps.runner import Runner
from sluice_engine.store.errors import ApiError
from sluice_engine.store.history import Change
from sluice_engine.store.resources import (
    CLUSTER_WORKFLOW_TEMPLATES,
    WORKFLOW_TEMPLATES,
    WORKFLOWS,
    Key,
)
from sluice_engine.store.store import Store

__all__ = ["Controller"]

_TOO_LARGE: Final = "workflow is longer than maximum allowed size."

_log = structlog.get_logger()


class Controller:
    """Reconciles every Workflow of a store until it is done.

    All it knows is in the store: after a restart it looks at every Workflow once, and steps that
    were running are run again, from the start and in a new folder.

    A look at a Workflow is one uninterrupted piece, from reading to writing, so that it never
    conflicts with what clients write.

    Args:
        store: the objects.
        settings: how many steps may run, and where.
    """

    def __init__(self, store: Store, settings: EngineSettings) -> None:
        self._store = store
        self._runner = Runner(
            settings.data_dir,
            parallel=settings.parallel_steps,
            log_bytes=settings.log_bytes,
            ended=self._step_ended,
        )
        self._queue: dict[Key, None] = {}
        self._starved: dict[Key, None] = {}
        self._keys: dict[str, Key] = {}
        self._own_versions: set[int] = set()
        self._seen = store.version
        self._timers = Timers(self._enqueue)
        self._work = asyncio.Event()
        self._quiet = asyncio.Event()

    @property
    def runner(self) -> Runner:
        """What runs the steps."""
        return self._runner

    async def run(self) -> None:
        """Reconcile until cancelled; all steps are dead afterwards."""
        self._look_at_everything()
        self._runner.clean_up(self._keys)
        try:
            while True:
                changed = self._store.history.next_change()
                self._take_changes()
                if self._queue:
                    key = next(iter(self._queue))
                    del self._queue[key]
                    self._reconcile(key)
                    # Let API requests be answered between two Workflows.
                    await asyncio.sleep(0)
                else:
                    await self._wait(changed)
        finally:
            self._timers.close()
            await self._runner.close()

    async def wait_until_quiet(self) -> None:
        """Wait until no step runs and no Workflow is queued."""
        while self._queue or self._runner.busy or self._seen < self._store.version:
            await self._quiet.wait()

    async def _wait(self, changed: asyncio.Event) -> None:
        self._work.clear()
        if not self._runner.busy:
            quiet, self._quiet = self._quiet, asyncio.Event()
            quiet.set()
        waits = [asyncio.create_task(event.wait()) for event in (changed, self._work)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _enqueue(self, key: Key) -> None:
        self._queue[key] = None
        self._work.set()

    def _step_ended(self, workflow_uid: str) -> None:
        # Workflows that wait for a slot come first, so that a wide Workflow cannot keep all slots.
        if self._starved:
            key = next(iter(self._starved))
            del self._starved[key]
            self._enqueue(key)
        if workflow_uid in self._keys:
            self._enqueue(self._keys[workflow_uid])
        self._work.set()

    def _look_at_everything(self) -> None:
        self._seen = self._store.version
        self._own_versions.clear()
        for key in self._store.keys(WORKFLOWS):
            self._keys[self._store.get(key)["metadata"]["uid"]] = key
            self._enqueue(key)

    def _take_changes(self) -> None:
        if self._seen == self._store.version:
            return
        try:
            changes = list(self._store.history.after(self._seen))
        except ApiError:
            # More changes at once than the history holds: read the store instead.
            gone = [uid for uid, key in self._keys.items() if not self._store.holds(key)]
            for uid in gone:
                self._forget(uid)
            self._look_at_everything()
            return
        self._seen = self._store.version
        for change in changes:
            if change.key.resource is WORKFLOWS:
                self._take_change(change)

    def _take_change(self, change: Change) -> None:
        own = change.version in self._own_versions
        self._own_versions.discard(change.version)
        if change.deleted:
            self._forget(decode(change.after.body)["metadata"]["uid"])
        elif not own:
            if change.before is None:
                self._keys[decode(change.after.body)["metadata"]["uid"]] = change.key
            self._enqueue(change.key)

    def _forget(self, uid: str) -> None:
        """A Workflow was deleted: remove its steps and folders."""
        key = self._keys.pop(uid, None)
        if key is not None:
            self._timers.clear(key)
            self._starved.pop(key, None)
            self._runner.remove(uid)

    def _reconcile(self, key: Key) -> None:
        if not self._store.holds(key):
            return
        workflow = self._store.get(key)
        uid = workflow["metadata"]["uid"]
        if is_completed(workflow):
            self._expire(key, workflow)
            self._runner.stop(uid)
            self._runner.take_results(uid)
            return
        now = datetime.now(UTC)
        try:
            unpack(workflow)
            outcome = operate(
                workflow,
                now=now,
                results=self._runner.take_results(uid),
                is_live=lambda node_id: self._runner.is_live(uid, node_id),
                slots=self._runner.free_slots,
                stored=lambda name, cluster: self._template(key.namespace, name, cluster=cluster),
            )
        except Exception as e:  # noqa: BLE001 - one Workflow must not stop all the others
            _log.exception("reconciling a Workflow failed", namespace=key.namespace, name=key.name)
            workflow = self._store.get(key)
            fail(workflow, f"the local engine failed: {e}", now)
            outcome = Outcome()
        self._write(key, workflow, now)
        self._follow_up(key, workflow, outcome)

    def _write(self, key: Key, workflow: Object, now: datetime) -> None:
        before = self._store.version
        active = workflow["status"].get("nodes") or {}
        pack(workflow)
        try:
            self._store.update(key, workflow)
        except ApiError as e:
            _log.warning("a status cannot be stored", name=key.name, error=str(e))
            self._fail_too_large(key, workflow, str(e), now)
            active = {}
        workflow["status"]["nodes"] = active
        if self._store.version > before:
            self._own_versions.add(self._store.version)

    def _fail_too_large(self, key: Key, workflow: Object, why: str, now: datetime) -> None:
        small = self._store.get(key)
        fail(small, f"{_TOO_LARGE} {why}", now)
        workflow.clear()
        workflow.update(small)
        try:
            self._store.update(key, small)
        except ApiError as e:
            # Not even the error fits, so the object stays as its client wrote it.
            _log.error("an Error cannot be stored either", name=key.name, error=str(e))

    def _follow_up(self, key: Key, workflow: Object, outcome: Outcome) -> None:
        uid = workflow["metadata"]["uid"]
        if is_completed(workflow):
            self._runner.stop(uid)
            self._timers.clear(key)
            self._expire(key, workflow)
            return
        wanted = frozenset(
            node["id"]
            for node in workflow["status"]["nodes"].values()
            if node["type"] == "Pod" and not fulfilled(node)
        )
        self._runner.stop(uid, but=wanted)
        for order in outcome.orders:
            self._runner.start(order)
        self._starved.pop(key, None)
        if outcome.starved:
            self._starved[key] = None
        if outcome.wake_at is not None:
            self._timers.set(key, outcome.wake_at)

    def _expire(self, key: Key, workflow: Object) -> None:
        """Delete a finished Workflow whose TTL is over; finalizers may keep it for longer."""
        moment = expiry(workflow)
        if moment is None or "deletionTimestamp" in workflow["metadata"]:
            return
        if datetime.now(UTC) >= moment:
            self._store.delete(key, uid=workflow["metadata"]["uid"])
        else:
            self._timers.set(key, moment)

    def _template(self, namespace: str, name: str, *, cluster: bool) -> Object | None:
        resource = CLUSTER_WORKFLOW_TEMPLATES if cluster else WORKFLOW_TEMPLATES
        key = Key(resource, "" if cluster else namespace, name)
        if not self._store.holds(key):
            return None
        spec: Object = self._store.get(key).get("spec") or {}
        return spec
