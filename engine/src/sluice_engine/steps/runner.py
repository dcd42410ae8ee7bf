"""The runner: starts, watches and stops steps, a limited number at one time."""

import asyncio
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import structlog

from sluice_engine.steps.artifacts import ArtifactFolder
from sluice_engine.steps.collect import StepIoError, collect_outputs, lay_out_inputs
from sluice_engine.steps.folders import StepFolder
from sluice_engine.steps.orders import StepOrder, StepResult
from sluice_engine.steps.orphans import kill_orphans
from sluice_engine.steps.process import Ended, run_process
from sluice_engine.steps.step_log import StepLog, has_log

__all__ = ["Runner"]

_MAX_RESULT_BYTES: Final = 256 * 1024
"""Argo's limit of `outputs.result`; only the end of a longer one is kept."""

_log = structlog.get_logger()


class Runner:
    """Runs steps as local processes.

    Args:
        data_dir: step folders are below `steps/`, artifacts below `artifacts/`.
        parallel: how many steps run at one time.
        log_bytes: the most kept of stdout, of stderr, and of the log of a step.
        ended: called with the uid of a Workflow whenever one of its steps ended.
    """

    def __init__(
        self, data_dir: Path, *, parallel: int, log_bytes: int, ended: Callable[[str], None]
    ) -> None:
        self._steps = data_dir / "steps"
        self._artifacts = ArtifactFolder(data_dir / "artifacts")
        self._mark = str(data_dir.resolve())
        self._parallel = parallel
        self._log_bytes = log_bytes
        self._ended = ended
        self._logs: dict[tuple[str, str], StepLog] = {}
        self._running: dict[tuple[str, str], asyncio.Task[StepResult]] = {}
        self._results: dict[str, dict[str, StepResult]] = {}
        self._removals: set[asyncio.Task[None]] = set()

    @property
    def free_slots(self) -> int:
        """How many more steps can be started."""
        return self._parallel - len(self._running)

    @property
    def busy(self) -> bool:
        """Whether a step runs, has a result that was not taken, or has folders to remove."""
        return bool(self._running or self._results or self._removals)

    def clean_up(self, workflow_uids: Iterable[str]) -> None:
        """Kill the steps of an earlier engine, and remove folders without a Workflow."""
        if killed := kill_orphans(self._mark):
            _log.info("killed steps of an earlier engine", processes=killed)
        known = set(workflow_uids)
        self._steps.mkdir(parents=True, exist_ok=True)
        for folder in self._steps.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def is_live(self, workflow_uid: str, node_id: str) -> bool:
        """Return whether the step of a node runs, or its result was not taken yet."""
        return (workflow_uid, node_id) in self._running

    def log(self, workflow_uid: str, node_id: str) -> StepLog | None:
        """Return the log of a step that runs, or whose result was not taken yet; else None."""
        return self._logs.get((workflow_uid, node_id))

    def log_folder(self, workflow_uid: str, node_id: str) -> Path | None:
        """Return the folder with the log of the newest run of a node, None if there is none."""
        runs = [each for each in (self._steps / workflow_uid / node_id).glob("*") if has_log(each)]
        return max(runs, key=lambda each: each.stat().st_ctime_ns, default=None)

    def take_results(self, workflow_uid: str) -> dict[str, StepResult]:
        """Return how steps of a Workflow ended since the last time, by node id."""
        results = self._results.pop(workflow_uid, {})
        for node_id in results:
            self._logs.pop((workflow_uid, node_id), None)
        return results

    def start(self, order: StepOrder) -> None:
        """Start a step; there must be a free slot."""
        key = (order.workflow_uid, order.node_id)
        task = asyncio.create_task(self._run(order), name=f"step {order.node_id}")
        self._running[key] = task
        task.add_done_callback(lambda done: self._note(key, done))

    def stop(self, workflow_uid: str, *, but: frozenset[str] = frozenset()) -> None:
        """Kill the steps of a Workflow, except for some nodes."""
        for (uid, node_id), task in self._running.items():
            # A second cancellation would interrupt the killing.
            if uid == workflow_uid and node_id not in but and not task.cancelling():
                task.cancel()

    def remove(self, workflow_uid: str) -> None:
        """Kill the steps of a deleted Workflow, and remove its folders."""
        self.stop(workflow_uid)
        running = [task for (uid, _), task in self._running.items() if uid == workflow_uid]
        self.take_results(workflow_uid)
        removal = asyncio.create_task(self._remove(workflow_uid, running))
        self._removals.add(removal)
        removal.add_done_callback(lambda done: self._note_removal(workflow_uid, done))

    async def close(self) -> None:
        """Kill all steps and wait until they are dead."""
        tasks = [*self._running.values()]
        for task in tasks:
            if not task.cancelling():
                task.cancel()
        await asyncio.gather(*tasks, *self._removals, return_exceptions=True)

    async def _remove(self, uid: str, running: list[asyncio.Task[StepResult]]) -> None:
        await asyncio.gather(*running, return_exceptions=True)
        self.take_results(uid)
        await asyncio.to_thread(shutil.rmtree, self._steps / uid, ignore_errors=True)
        await asyncio.to_thread(self._artifacts.remove, uid)

    def _note_removal(self, uid: str, removal: asyncio.Task[None]) -> None:
        self._removals.discard(removal)
        self._ended(uid)

    def _note(self, key: tuple[str, str], task: asyncio.Task[StepResult]) -> None:
        del self._running[key]
        uid, node_id = key
        if not task.cancelled():
            if error := task.exception():
                _log.error("running a step failed", node=node_id, exc_info=error)
                result = StepResult("Error", f"the local engine failed to run the step: {error}")
            else:
                result = task.result()
            self._results.setdefault(uid, {})[node_id] = result
        else:
            self._logs.pop(key, None)
        self._ended(uid)

    async def _run(self, order: StepOrder) -> StepResult:
        root = self._steps / order.workflow_uid / order.node_id / secrets.token_hex(4)
        folder = StepFolder(root, order)
        try:
            await asyncio.to_thread(lay_out_inputs, order, folder, self._artifacts)
            ended = await self._run_process(order, folder)
        except StepIoError as e:
            return StepResult("Error", str(e))
        except (OSError, ValueError) as e:
            # The kubelet's message for a container that does not start.
            return StepResult("Failed", f"main: StartError (exit code 128): {e}")
        return await asyncio.to_thread(self._finish, order, folder, ended)

    async def _run_process(self, order: StepOrder, folder: StepFolder) -> Ended:
        key = order.workflow_uid, order.node_id
        log = self._logs[key] = StepLog(folder.root, max_bytes=self._log_bytes)
        try:
            return await run_process(
                folder.command(),
                folder=folder.working_dir,
                environment=folder.environment(os.environ.get("PATH", os.defpath), self._mark),
                log=log.write,
                log_bytes=self._log_bytes,
                # Argo removes a newline first, then truncates.
                tail_bytes=_MAX_RESULT_BYTES + 1,
                deadline_seconds=order.deadline_seconds,
            )
        finally:
            log.close()

    def _finish(self, order: StepOrder, folder: StepFolder, ended: Ended) -> StepResult:
        (folder.root / "stdout").write_bytes(ended.stdout)
        (folder.root / "stderr").write_bytes(ended.stderr)
        succeeded = ended.exit_code == 0 and not ended.timed_out
        try:
            outputs = collect_outputs(order, folder, self._artifacts, succeeded=succeeded)
        except StepIoError as e:
            return StepResult("Error", str(e), {"exitCode": str(ended.exit_code)})
        if order.capture_result:
            text = ended.stdout_tail.removesuffix(b"\n")[-_MAX_RESULT_BYTES:]
            outputs["result"] = text.decode(errors="replace")
        if ended.timed_out:
            message = "Pod was active on the node longer than the specified deadline"
            return StepResult("Failed", message, outputs)
        outputs["exitCode"] = str(ended.exit_code)
        if succeeded:
            return StepResult("Succeeded", "", outputs)
        return StepResult("Failed", f"main: Error (exit code {ended.exit_code})", outputs)
