"""What each of Sluice's services, and KEDA, may do at MSK.

It is what the ACLs of helm/kafka let them, in IAM's words, and to make the topics, for nobody else
does. https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html has the actions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sluice_infra.identity import Statement, allow
from sluice_infra.places import (
    AUDIT,
    CONSUMER_GROUP,
    DLQ,
    GATEWAY_GROUP,
    REQUESTS,
    RESULTS,
    STATUS,
    TOPICS,
)


@dataclass(frozen=True, kw_only=True)
class Uses:
    """Which topics a service reads and writes, and in which group it reads, if in any.

    At its start it looks at all `topics`, and makes those that are missing. It also makes those to
    which it `appends`, without a look at their settings.
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    group: str | None = None
    topics: tuple[str, ...] = TOPICS
    appends: tuple[str, ...] = ()

    def with_doors(self, doors: Iterable[str]) -> "Uses":
        """Return the same for the topics of these doors, too."""
        names = tuple(doors)
        return replace(
            self,
            reads=_with_doors(self.reads, names),
            writes=_with_doors(self.writes, names),
            topics=_with_doors(self.topics, names),
        )

    def with_topic(self, topic: str, *, reads: bool, writes: bool) -> "Uses":
        """Return the same with one more topic."""
        return replace(
            self,
            reads=(*self.reads, topic) if reads else self.reads,
            writes=(*self.writes, topic) if writes else self.writes,
            topics=(*self.topics, topic),
        )


USES: Final[Mapping[str, Uses]] = {
    "gateway": Uses(reads=(REQUESTS, STATUS, DLQ), writes=(REQUESTS, DLQ), appends=(AUDIT,)),
    "dispatcher": Uses(
        reads=(REQUESTS, RESULTS), writes=(STATUS, RESULTS, DLQ), group=CONSUMER_GROUP
    ),
    "status-watcher": Uses(reads=(RESULTS,), writes=(STATUS, RESULTS)),
}
"""By service, where each gateway has a view of its own."""

USES_WITH_DATABASE: Final[Mapping[str, Uses]] = {
    **USES,
    "gateway": replace(USES["gateway"], group=GATEWAY_GROUP),
}
"""By service, where the gateways share a database, and so the work of filling it."""


def use_topics(cluster_arn: str, *, uses: Uses) -> list[Statement]:
    """Rights of one of Sluice's services."""
    statements = [
        # That a producer is idempotent is asked of the cluster, not of its topics.
        allow("kafka-cluster:Connect", "kafka-cluster:WriteDataIdempotently", on=cluster_arn),
        allow(
            "kafka-cluster:CreateTopic",
            "kafka-cluster:DescribeTopic",
            "kafka-cluster:DescribeTopicDynamicConfiguration",
            on=[_part(cluster_arn, "topic", topic) for topic in uses.topics],
        ),
        allow(
            "kafka-cluster:ReadData",
            on=[_part(cluster_arn, "topic", topic) for topic in uses.reads],
        ),
        allow(
            "kafka-cluster:WriteData",
            on=[_part(cluster_arn, "topic", topic) for topic in uses.writes],
        ),
    ]
    if uses.appends:
        statements.append(
            allow(
                "kafka-cluster:CreateTopic",
                "kafka-cluster:DescribeTopic",
                "kafka-cluster:WriteData",
                on=[_part(cluster_arn, "topic", topic) for topic in uses.appends],
            )
        )
    if uses.group:
        statements.append(
            allow(
                "kafka-cluster:AlterGroup",
                "kafka-cluster:DescribeGroup",
                on=_groups(cluster_arn, uses.group),
            )
        )
    return statements


def watch_lag(cluster_arn: str, *, doors: Iterable[str]) -> list[Statement]:
    """Rights of KEDA: how many requests wait."""
    topics = _with_doors([REQUESTS], doors)
    return [
        allow("kafka-cluster:Connect", on=cluster_arn),
        allow(
            "kafka-cluster:DescribeTopic",
            on=[_part(cluster_arn, "topic", topic) for topic in topics],
        ),
        allow("kafka-cluster:DescribeGroup", on=_groups(cluster_arn, CONSUMER_GROUP)),
    ]


def _with_doors(topics: Iterable[str], doors: Iterable[str]) -> tuple[str, ...]:
    """Return topics, and those of doors: the same with the door's name, as helm/sluice has them."""
    own = tuple(topics)
    return (*own, *(f"{topic}.{door}" for door in doors for topic in own))


def _groups(cluster_arn: str, group: str) -> str:
    """Return the address of a group, and of those of the same service in other clusters."""
    return _part(cluster_arn, "group", f"{group}*")


def _part(cluster_arn: str, kind: str, name: str) -> str:
    """Return the address of a topic or group, made of the cluster's ``…:cluster/NAME/ID``."""
    before, _, cluster = cluster_arn.partition(":cluster/")
    return f"{before}:{kind}/{cluster}/{name}"
