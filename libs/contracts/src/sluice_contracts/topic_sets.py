"""Topic sets: which tenant's records stand on which topics.

The default set serves every tenant without a *door*, which is a set of one or more tenants' own. So
brokers can say who may write and read what: the topic of a record says who it is from.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sluice_contracts.ids import DEFAULT_TENANT, Tenant
from sluice_contracts.topics import TopicNames

__all__ = ["Door", "DoorTopics", "TopicSet", "TopicSets", "TopicSetsError"]

TopicKind = Literal["requests", "status", "results", "dlq"]

_KINDS: Final[tuple[TopicKind, ...]] = ("requests", "status", "results", "dlq")
# https://kafka.apache.org/documentation/#topicconfigs: org.apache.kafka.common.internals.Topic
_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")

_Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class TopicSetsError(ValueError):
    """The topic sets contradict each other; the message names the place and what to do."""


class DoorTopics(BaseModel):
    """Names of a door's topics; one without a name is the default topic with `.` and the door."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: str | None = None
    status: str | None = None
    results: str | None = None
    dlq: str | None = None


class Door(BaseModel):
    """A set of topics for some tenants alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[_Label, Field(description="Name of the set: a DNS label.")]
    tenants: Annotated[
        tuple[Tenant, ...],
        Field(
            description="Tenants whose records stand on these topics and no others. Without any, "
            "the outcomes here are known, and no request here is read."
        ),
    ]
    moving: Annotated[
        bool,
        Field(
            description="Whether requests of the tenants are valid on the default topic as well: "
            "for as long as some may still stand there."
        ),
    ] = False
    cluster: Annotated[
        _Label | None,
        Field(
            description="Kubernetes cluster of its runs: dispatchers with this `dispatch.cluster` "
            "read its requests. None: those without one."
        ),
    ] = None
    topics: Annotated[DoorTopics, Field(description="Names of its topics.")] = DoorTopics()


@dataclass(frozen=True, kw_only=True)
class TopicSet:
    """Four topics, and the tenants that they are for: none are named if it is for all others.

    `name` is empty for the default set. `only_tenant` is the tenant of records that name none: the
    one that the set is for, and None if there are several. A set that is not `open` is for none.
    """

    name: str
    topics: TopicNames
    only_tenant: str | None
    tenants: frozenset[str] = frozenset()
    open: bool = True
    moving: bool = False
    cluster: str | None = None

    def __str__(self) -> str:
        """Return the set in words."""
        return f"door {self.name!r}" if self.name else "the default topics"


class TopicSets:
    """The default set and the doors: every tenant has exactly one, and so has every topic.

    `status` and `results` are the names of all topics of a kind, in the order of `all` sets: the
    default one is the first. `requests` are those of open sets.

    Raises:
        TopicSetsError: two doors have one name or tenant, or two topics are the same.
    """

    def __init__(self, default: TopicNames | None = None, doors: Iterable[Door] = ()) -> None:
        names, doors = default or TopicNames(), tuple(doors)
        _check_doors(doors)
        self.default = TopicSet(name="", topics=names, only_tenant=DEFAULT_TENANT)
        opened = tuple(_opened(door, names) for door in doors)
        self.all = (self.default, *opened)
        self._of_tenant: Mapping[str, TopicSet] = {
            tenant: each
            for door, each in zip(doors, opened, strict=True)
            for tenant in door.tenants
        }
        self._of_topic: Mapping[str, TopicSet] = _by_topic(self.all)
        self.requests = tuple(each.topics.requests for each in self.all if each.open)
        self.status = tuple(each.topics.status for each in self.all)
        self.results = tuple(each.topics.results for each in self.all)

    def __iter__(self) -> Iterator[TopicSet]:
        """Iterate over the sets, the default one first."""
        return iter(self.all)

    def of_tenant(self, tenant: str) -> TopicSet:
        """Return the set of a tenant."""
        return self._of_tenant.get(tenant, self.default)

    def having_had(self, tenants: Collection[str] | None) -> tuple[TopicSet, ...]:
        """Return the sets that have records of these tenants; None: of any.

        A tenant that was given a door had the default topics until then.
        """
        if tenants is None:
            return self.all
        own = {self.of_tenant(tenant).name for tenant in tenants}
        return tuple(each for each in self.all if each is self.default or each.name in own)

    def requests_of(self, cluster: str | None) -> tuple[str, ...]:
        """Return the request topics of the sets whose runs are in this cluster.

        The default set is in none that has a name.
        """
        return tuple(
            each.topics.requests for each in self.all if each.open and each.cluster == cluster
        )

    def of_topic(self, topic: str) -> TopicSet:
        """Return the set that has this topic.

        Raises:
            KeyError: none has it.
        """
        return self._of_topic[topic]

    def may_stand_on(self, topic: str, *, tenant: str) -> bool:
        """Return whether records of this tenant belong on this topic."""
        own, found = self.of_tenant(tenant), self._of_topic.get(topic)
        return found is own or (own.moving and found is self.default)


def _opened(door: Door, default: TopicNames) -> TopicSet:
    given = door.topics.model_dump(exclude_none=True)
    derived = {kind: f"{getattr(default, kind)}.{door.name}" for kind in _KINDS}
    return TopicSet(
        name=door.name,
        topics=TopicNames.model_validate(derived | given),
        only_tenant=door.tenants[0] if len(door.tenants) == 1 else None,
        tenants=frozenset(door.tenants),
        open=bool(door.tenants),
        moving=door.moving,
        cluster=door.cluster,
    )


def _check_doors(doors: tuple[Door, ...]) -> None:
    names: dict[str, int] = {}
    tenants: dict[str, str] = {}
    for number, door in enumerate(doors):
        if door.name in names:
            raise TopicSetsError(
                f"doors.{number}.name: {door.name!r} is the name of doors.{names[door.name]} "
                "already. Give each door a name of its own."
            )
        names[door.name] = number
        if door.moving and door.cluster is not None:
            raise TopicSetsError(
                f"doors.{number}: with `moving`, two clusters could read requests for one run, and "
                "start it twice. Give it a `cluster` once `moving` is not needed any more."
            )
        for place, tenant in enumerate(door.tenants):
            at = f"doors.{number}.tenants.{place}"
            if tenant in tenants:
                raise TopicSetsError(
                    f"{at}: tenant {tenant!r} has door {tenants[tenant]!r} already. Name each "
                    "tenant once."
                )
            tenants[tenant] = door.name


def _by_topic(sets: Iterable[TopicSet]) -> dict[str, TopicSet]:
    found: dict[str, TopicSet] = {}
    places: dict[str, str] = {}
    for each in sets:
        for kind in _KINDS:
            name, at = str(getattr(each.topics, kind)), f"topics.{kind} of {each}"
            if not _TOPIC.fullmatch(name) or name in {".", ".."}:
                raise TopicSetsError(
                    f"{at}: {name!r} is not a name of a topic: letters, digits, '.', '_' and '-', "
                    "at most 249."
                )
            if name in found:
                raise TopicSetsError(
                    f"{at}: {name!r} is topics.{places[name]} already. Give each topic a name of "
                    "its own."
                )
            found[name], places[name] = each, f"{kind} of {each}"
    return found
