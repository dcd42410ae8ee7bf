"""The topics of Sluice, and the settings that they must have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "MAX_DEAD_LETTER_BYTES",
    "MAX_REQUEST_BYTES",
    "MAX_STATUS_BYTES",
    "MAX_STATUS_RECORD_BYTES",
    "Mismatch",
    "TopicNames",
    "TopicSpec",
    "controls_topic",
    "mismatches",
    "mismatches_of",
    "topic_table",
]

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

MAX_REQUEST_BYTES = 1_600_000
"""Room for a string of 256 KiB in which JSON escapes every byte (`\\u0000`), and for the rest."""

MAX_STATUS_BYTES = 1_600_000
"""A Workflow fits into etcd's 1.5 MiB, and so does its status event."""


# 2 MiB, so that a record that is too large for Sluice still arrives and gets an answer.
_REQUESTS_TOPIC_BYTES = 2 * 1024 * 1024
_CONTROLS_TOPIC_BYTES = 64 * 1024
_ROOM_FOR_HEADERS = 64 * 1024
_DATED_BY_BROKERS = "LogAppendTime"

MAX_STATUS_RECORD_BYTES = MAX_STATUS_BYTES + _ROOM_FOR_HEADERS - 1024
"""A record of the status and results topics, with key and headers; 1 KiB frames the batch."""

MAX_DEAD_LETTER_BYTES = _REQUESTS_TOPIC_BYTES + _ROOM_FOR_HEADERS - 1024
"""A dead letter is the record as received, and headers with the reason; 1 KiB frames the batch."""


class TopicNames(BaseModel):
    """Names of the topics."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: Annotated[str, Field(description="Requests: runs and commands.")] = "sluice.requests"
    status: Annotated[str, Field(description="Every state of every run.")] = "sluice.status"
    results: Annotated[str, Field(description="Outcomes only.")] = "sluice.results"
    dlq: Annotated[str, Field(description="Records that can never be valid.")] = (
        "sluice.requests.dlq"
    )


@dataclass(frozen=True, kw_only=True)
class TopicSpec:
    """The settings with which a topic is created, and against which it is verified."""

    name: str
    cleanup_policy: Literal["delete", "compact,delete", "compact"]
    retention_ms: int
    max_message_bytes: int
    """The topic's limit must be at least this."""
    foreign: bool = False
    """Whether producers outside Sluice write to the topic."""

    def config(self) -> dict[str, str]:
        """Return the topic-level settings by Kafka's names.

        Brokers set all timestamps (`LogAppendTime`). If producers did, retention would delete the
        records of a slow clock unread, and keep a request of a fast clock longer than its outcome.
        """
        return {
            "cleanup.policy": self.cleanup_policy,
            "retention.ms": str(self.retention_ms),
            "retention.bytes": "-1",
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": _DATED_BY_BROKERS,
            "unclean.leader.election.enable": "false",
            **({"compression.type": "uncompressed"} if self.foreign else {}),
        }


@dataclass(frozen=True, kw_only=True)
class TopicTable:
    """The four topics."""

    requests: TopicSpec
    status: TopicSpec
    results: TopicSpec
    dlq: TopicSpec

    def __iter__(self) -> Iterator[TopicSpec]:
        """Iterate over the topics."""
        return iter((self.requests, self.status, self.results, self.dlq))


def topic_table(names: TopicNames) -> TopicTable:
    """Return the four topics under these names, with the settings of the design."""
    return TopicTable(
        requests=TopicSpec(
            name=names.requests,
            cleanup_policy="delete",
            retention_ms=_DAY_MS,
            max_message_bytes=_REQUESTS_TOPIC_BYTES,
            foreign=True,
        ),
        status=TopicSpec(
            name=names.status,
            cleanup_policy="delete",
            retention_ms=7 * _DAY_MS,
            max_message_bytes=MAX_STATUS_BYTES + _ROOM_FOR_HEADERS,
        ),
        results=TopicSpec(
            name=names.results,
            cleanup_policy="compact,delete",
            retention_ms=7 * _DAY_MS,
            max_message_bytes=MAX_STATUS_BYTES + _ROOM_FOR_HEADERS,
        ),
        dlq=TopicSpec(
            name=names.dlq,
            cleanup_policy="delete",
            retention_ms=30 * _DAY_MS,
            max_message_bytes=_REQUESTS_TOPIC_BYTES + _ROOM_FOR_HEADERS,
        ),
    )


def controls_topic(name: str) -> TopicSpec:
    """Return the topic of pauses: for all tenants, and kept as long as a pause lasts."""
    return TopicSpec(
        name=name,
        cleanup_policy="compact",
        retention_ms=-1,
        max_message_bytes=_CONTROLS_TOPIC_BYTES,
    )


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """A topic's setting that breaks a promise; `detail` has its value and the required one."""

    topic: str
    detail: str

    def __str__(self) -> str:
        """Return the mismatch as one sentence for people."""
        return f"{self.topic}: {self.detail}"


def mismatches(
    table: TopicTable, actual: Mapping[str, Mapping[str, str]], *, in_sync_replicas: int
) -> list[Mismatch]:
    """Return the settings of the cluster's topics that break the promises of Sluice.

    `actual` maps each topic to its settings by Kafka's names. Retention is free to choose as long
    as outcomes are kept longer than requests: the dedupe window must outlast every replay. For the
    same reason, neither topic may limit retention by size. `in_sync_replicas` is the number of
    replicas that must have a record before it counts as acknowledged.
    """
    found = []
    for spec in table:
        found += mismatches_of(spec, actual[spec.name], in_sync_replicas=in_sync_replicas)
    requests, results = table.requests.name, table.results.name
    compression = actual[requests]["compression.type"]
    if compression != "uncompressed":
        found.append(
            Mismatch(
                topic=requests,
                detail=f"compression.type is {compression!r}, must be 'uncompressed': "
                "max.message.bytes would not bound what a request takes up in memory.",
            )
        )
    for topic in (requests, results):
        kept_bytes = int(actual[topic]["retention.bytes"])
        if kept_bytes >= 0:
            found.append(
                Mismatch(
                    topic=topic,
                    detail=f"retention.bytes is {kept_bytes}, must be -1: records would be "
                    "deleted before retention.ms has passed.",
                )
            )
    window = _retention_ms(actual[results])
    replay = _retention_ms(actual[requests])
    if window <= replay and window != float("inf"):
        found.append(
            Mismatch(
                topic=results,
                detail=f"retention.ms is {_shown(window)}, must be longer than that of {requests} "
                f"({_shown(replay)}): a request that is replayed after its outcome was deleted "
                "would start a second run.",
            )
        )
    return found


def mismatches_of(
    spec: TopicSpec, config: Mapping[str, str], *, in_sync_replicas: int
) -> list[Mismatch]:
    """Return the settings of one topic, by Kafka's names, that break what its spec promises."""
    details = _of_any_topic(spec, config, in_sync_replicas=in_sync_replicas)
    return [Mismatch(topic=spec.name, detail=detail) for detail in details]


def _of_any_topic(
    spec: TopicSpec, config: Mapping[str, str], *, in_sync_replicas: int
) -> Iterator[str]:
    policy = config["cleanup.policy"]
    if _policies(policy) != _policies(spec.cleanup_policy):
        yield f"cleanup.policy is {policy!r}, must be {spec.cleanup_policy!r}."
    size = int(config["max.message.bytes"])
    if size < spec.max_message_bytes:
        yield f"max.message.bytes is {size}, must be at least {spec.max_message_bytes}."
    in_sync = int(config["min.insync.replicas"])
    if in_sync < in_sync_replicas:
        yield (
            f"min.insync.replicas is {in_sync}, must be at least {in_sync_replicas}: an "
            "acknowledged record could be lost with one broker."
        )
    if config["unclean.leader.election.enable"] != "false":
        yield (
            "unclean.leader.election.enable is 'true', must be 'false': a replica that lacks "
            "acknowledged records could become the leader, and they would be lost."
        )
    dated = config["message.timestamp.type"]
    if dated != _DATED_BY_BROKERS:
        yield (
            f"message.timestamp.type is {dated!r}, must be {_DATED_BY_BROKERS!r}: retention would "
            "delete the records of a producer with a slow clock too early."
        )


def _policies(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(","))


def _retention_ms(config: Mapping[str, str]) -> float:
    """Return the retention in milliseconds; Kafka writes -1 for unlimited."""
    retention = int(config["retention.ms"])
    return float("inf") if retention < 0 else retention


def _shown(retention_ms: float) -> str:
    return "unlimited" if retention_ms == float("inf") else f"{retention_ms:.0f}"
