"""Records of the request and the status topic at random, with all that may be among them."""

import random
from datetime import timedelta
from typing import Final

from sluice_contracts.ids import RunKey
from sluice_contracts.notices import QueueNotice
from sluice_contracts.records import IncomingRecord, OutgoingRecord, Position
from sluice_contracts.request_codec import encode_request
from sluice_contracts.requests import Priority, RunRequest
from sluice_contracts.status import Phase
from sluice_contracts.status_codec import encode_notice, encode_status
from sluice_contracts.steps import StepGroup
from tests.unit.gateway.harness import NOW, TOPICS, TRACEPARENT, published, step

PARTITIONS: Final = 3
_PHASES: Final = (Phase.SUBMITTED, Phase.RUNNING, Phase.SUSPENDED, Phase.SUCCEEDED, Phase.FAILED)
_PRIORITIES: Final[tuple[Priority, ...]] = ("high", "normal", "low")
TENANTS: Final = ("acme", "default")
WORKFLOWS: Final = ("greet", "and %_\\", "third")
LABELS: Final[tuple[dict[str, str], ...]] = (
    {},
    {"team": "a"},
    {"team": "a", "env": "prod"},
    {"team": 'b"\\'},
)


class RunHistories:
    """Writes records at random; the same seed writes the same ones."""

    def __init__(self, seed: int, *, runs: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - it has to repeat
        self._keys = [
            RunKey(self._random.choice(TENANTS), f"order_{number}.x") for number in range(runs)
        ]
        self._offsets = {
            (topic, number): 0
            for topic in (TOPICS.requests, TOPICS.status)
            for number in range(PARTITIONS)
        }
        self._appended_ms = int(NOW.timestamp() * 1000)

    @property
    def keys(self) -> list[RunKey]:
        """The runs that the records are about."""
        return self._keys

    def records(self, count: int) -> list[IncomingRecord]:
        """Return the next records, as they are appended to the topics."""
        return [self._record() for _ in range(count)]

    def _record(self) -> IncomingRecord:
        key = self._random.choice(self._keys)
        kind = self._random.random()
        if kind < 0.25:
            return self._appended(TOPICS.requests, key, self._request(key))
        if kind < 0.35:
            return self._appended(TOPICS.status, key, self._notice(key))
        return self._appended(TOPICS.status, key, self._event(key))

    def _appended(self, topic: str, key: RunKey, record: OutgoingRecord) -> IncomingRecord:
        # A run has its partition, as Kafka gives it one by its key.
        number = self._keys.index(key) % PARTITIONS
        offset = self._offsets[topic, number]
        # Transactions leave gaps.
        self._offsets[topic, number] = offset + self._random.choice((1, 1, 2))
        self._appended_ms += self._random.choice((0, 1, 40_000))
        return IncomingRecord(
            position=Position(topic, number, offset),
            timestamp_ms=self._appended_ms,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )

    def _request(self, key: RunKey) -> OutgoingRecord:
        pick = self._random.choice
        request = RunRequest(
            id=key.run_id,
            tenant=key.tenant,
            workflow=pick(WORKFLOWS),
            parameters={"name": pick(("Ada", "\0"))},
            labels=pick(LABELS),
            priority=pick(_PRIORITIES),
            parent=pick((None, "order-0")),
        )
        return encode_request(
            request, key=key, source="/test", event_id="e", time=NOW, traceparent=TRACEPARENT
        )

    def _notice(self, key: RunKey) -> OutgoingRecord:
        notice = QueueNotice(
            event_id="e",
            run_id=key.run_id,
            tenant=key.tenant,
            request="sluice.requests/0@0",
            held_by=self._random.choice(("window", "forbidden")),
            detail="Held\0 up.",
            since=NOW,
            observed_at=NOW,
        )
        return encode_notice(notice, source="/test", traceparent=None)

    def _event(self, key: RunKey) -> OutgoingRecord:
        pick = self._random.choice
        accepted_at = pick((None, NOW - timedelta(seconds=self._random.randrange(60))))
        names = self._random.sample("xyz", self._random.randrange(4))
        event = published(
            self._random.randrange(25),
            pick(_PHASES),
            run_id=key.run_id,
            tenant=key.tenant,
            attempt=pick((1, 1, 2)),
            steps=tuple(step(name, pick(("Running", "Failed"))) for name in names),
            fingerprint=pick((None, "f", "g")),
            groups=tuple(
                StepGroup(id=f"g{name}", name=name, phase="Running") for name in names[:1]
            ),
            progress=pick((None, "1/2")),
            labels={} if accepted_at is None else pick(LABELS),
            accepted_at=accepted_at,
            started_at=pick((None, NOW)),
        )
        return encode_status(event, source="/test")
