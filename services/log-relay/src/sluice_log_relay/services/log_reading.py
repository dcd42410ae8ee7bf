"""Reads the log of one step: finds its pod, waits for it, and forwards what it writes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from sluice_log_relay.domain.step_pods import (
    ContainerState,
    LogRange,
    StepOfRun,
    container_state,
    is_pod_of,
)
from sluice_log_relay.metrics import Metrics
from sluice_log_relay.ports import Pods
from sluice_runtime.kubernetes.namespaces import Namespaces

__all__ = ["BusyError", "InterruptedLogError", "LogReading", "NoPodError"]

_POLL_S: Final = 1.0


class NoPodError(Exception):
    """The step has no pod, or not any more; the message says why."""


class BusyError(Exception):
    """As many logs are read as may be."""


class InterruptedLogError(Exception):
    """The log has ended although its container goes on; a reader continues behind its last line."""


class LogReading:
    """Reads logs of steps; at most `max_streams` at a time."""

    def __init__(
        self,
        pods: Pods,
        *,
        namespaces: Namespaces,
        metrics: Metrics,
        max_streams: int,
        patience: float,
    ) -> None:
        self._pods = pods
        self._namespaces = namespaces
        self._metrics = metrics
        self._max_streams = max_streams
        self._patience = patience
        self._streams = 0
        metrics.watch_streams(lambda: self._streams)

    @asynccontextmanager
    async def open(
        self, step: StepOfRun, part: LogRange, *, follow: bool, starting: bool
    ) -> AsyncIterator[AsyncGenerator[bytes]]:
        """Yield the log, byte for byte, each line behind its time; with `follow`, to its end.

        A container that has not started has an empty log. With `starting` the step may be so new
        that it has no pod yet.

        Raises:
            NoPodError: there is no such pod in a namespace of the run's tenant.
            BusyError: too many logs are read.
            PodsUnavailableError: the API server gives no answer.
            InterruptedLogError: while the bytes are read.
        """
        if self._streams >= self._max_streams:
            raise BusyError(f"{self._max_streams} logs are being read")
        self._streams += 1
        try:
            async with AsyncExitStack() as stack:
                name, state = await self._find(step)
                if name is None and not starting:
                    raise NoPodError("its pod does not exist, or not any more")
                if name is not None and state.has_log:
                    # Before the answer begins: what fails now can still be said.
                    log = self._pods.log(step.namespace, name, part, follow=follow)
                    chunks = await stack.enter_async_context(log)
                    yield self._read(step, chunks, follow=follow)
                else:
                    yield self._await(step, part, follow=follow)
        finally:
            self._streams -= 1

    async def _find(self, step: StepOfRun) -> tuple[str | None, ContainerState]:
        """Return the name of the step's pod, None if there is none, and how far it is."""
        if step.namespace not in self._namespaces.places(step.key.tenant):
            raise NoPodError(f"{step.namespace} is not a namespace of the run's tenant here")
        for name in step.pods:
            pod = await self._pods.get(step.namespace, name)
            if pod is not None and is_pod_of(step, pod):
                return name, container_state(pod)
        return None, ContainerState.WAITING

    async def _read(
        self, step: StepOfRun, chunks: AsyncIterator[bytes], *, follow: bool
    ) -> AsyncGenerator[bytes]:
        async for chunk in chunks:
            self._metrics.bytes.inc(len(chunk))
            yield chunk
        if follow:
            await self._confirm_end(step)

    async def _await(
        self, step: StepOfRun, part: LogRange, *, follow: bool
    ) -> AsyncGenerator[bytes]:
        """Wait for the container to start, then read its log."""
        without_pod = 0.0
        while follow:
            name, state = await self._find(step)
            if name is not None and state.has_log:
                async with self._pods.log(step.namespace, name, part, follow=True) as chunks:
                    async for chunk in self._read(step, chunks, follow=True):
                        yield chunk
                return
            if state.is_over:
                return
            without_pod = without_pod + _POLL_S if name is None else 0.0
            if without_pod > self._patience:
                raise InterruptedLogError("the step has no pod")
            await asyncio.sleep(_POLL_S)

    async def _confirm_end(self, step: StepOfRun) -> None:
        """Return once the container has ended; what Kubernetes knows of it may lag behind its log.

        Raises:
            InterruptedLogError: it goes on.
        """
        waited = 0.0
        while True:
            name, state = await self._find(step)
            if name is None or state.is_over:
                return
            if waited >= self._patience:
                raise InterruptedLogError("the log has ended, and its container has not")
            waited += _POLL_S
            await asyncio.sleep(_POLL_S)
