"""The controls topic in memory: what is paused, draining or running."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import structlog

from sluice_contracts.controls import Control, ControlTarget, InvalidControlError, decode_control
from sluice_contracts.records import IncomingRecord
from sluice_runtime.projection.last_records import LastRecord

__all__ = ["ControlsStore"]

_log = structlog.get_logger(__name__)

_UNREADABLE: Final = Control(state="paused", reason="Its record on the controls topic is invalid.")


class ControlsStore:
    """A `ProjectionStore` of few records: it is read whole at each start."""

    def __init__(self) -> None:
        self._states: dict[ControlTarget, Control] = {}
        self._offsets: dict[tuple[str, int], int] = {}
        self.states: Mapping[ControlTarget, Control] = MappingProxyType({})
        """The last control of each target that has one; another object after each change."""
        self.invalid: frozenset[ControlTarget] = frozenset()
        """Targets that are paused because their last record cannot be read."""

    async def offsets(self) -> dict[tuple[str, int], int]:
        """See `ProjectionStore.offsets`."""
        return dict(self._offsets)

    async def last_records(self) -> dict[tuple[str, int], LastRecord]:
        """See `ProjectionStore.last_records`."""
        return {}

    async def prepare(self, records: Sequence[IncomingRecord]) -> Callable[[], Awaitable[None]]:
        """See `ProjectionStore.prepare`; an unreadable record pauses what it names."""

        async def apply() -> None:
            self._apply(records)

        return apply

    def _apply(self, records: Sequence[IncomingRecord]) -> None:
        invalid = set(self.invalid)
        for record in records:
            place = record.position.topic, record.position.partition
            self._offsets[place] = record.position.offset + 1
            try:
                target, control = decode_control(record)
            except InvalidControlError as e:
                _log.error("invalid record on the controls topic", error=str(e))
                if e.target is None:
                    continue
                target, control = e.target, _UNREADABLE
            (invalid.add if control is _UNREADABLE else invalid.discard)(target)
            if control is None:
                self._states.pop(target, None)
            else:
                self._states[target] = control
            _log.info(
                "control changed",
                target=str(target),
                state="running" if not control else control.state,
            )
        self.invalid = frozenset(invalid)
        self.states = MappingProxyType(dict(self._states))

    async def expire(self, starts: Mapping[tuple[str, int], int]) -> None:
        """See `ProjectionStore.expire`; a compacted topic deletes nothing that counts."""

    async def forget(self) -> None:
        """See `ProjectionStore.forget`."""
        self._states.clear()
        self._offsets.clear()
        self.states, self.invalid = MappingProxyType({}), frozenset()
