"""Topic sets: every tenant has exactly one, and so has every topic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice_contracts.topic_sets import Door, DoorTopics, TopicSets, TopicSetsError
from sluice_contracts.topics import TopicNames

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
KINDS = ("requests", "status", "results", "dlq")


@st.composite
def doors(draw: st.DrawFn) -> list[Door]:
    """Return doors that share no name and no tenant."""
    names = draw(st.lists(LABELS.filter(lambda name: name != "dlq"), unique=True, max_size=5))
    tenants = draw(st.lists(LABELS, unique=True, max_size=10))
    owners = draw(
        st.lists(
            st.integers(0, max(0, len(names) - 1)), min_size=len(tenants), max_size=len(tenants)
        )
    )
    return [
        Door(
            name=name,
            tenants=tuple(
                tenant for tenant, owner in zip(tenants, owners, strict=True) if owner == number
            ),
        )
        for number, name in enumerate(names)
    ]


@given(doors(), LABELS)
def test_every_tenant_has_exactly_one_set(given: list[Door], tenant: str) -> None:
    sets = TopicSets(TopicNames(), given)
    owners = [door.name for door in given if tenant in door.tenants]
    assert [sets.of_tenant(tenant).name] == (owners or [""])
    stands_on = [topic for topic in sets.requests if sets.may_stand_on(topic, tenant=tenant)]
    assert stands_on == [sets.of_tenant(tenant).topics.requests]


@given(doors())
def test_every_topic_is_in_exactly_one_set(given: list[Door]) -> None:
    sets = TopicSets(TopicNames(), given)
    topics = [(getattr(each.topics, kind), each) for each in sets for kind in KINDS]
    assert len({name for name, _ in topics}) == 4 * (1 + len(given))
    assert all(sets.of_topic(name) is each for name, each in topics)
    assert len(sets.status) == len(sets.results) == 1 + len(given)
    assert len(sets.requests) == 1 + sum(bool(door.tenants) for door in given)


def test_a_door_s_topics_are_named_after_the_default_ones_and_it() -> None:
    sets = TopicSets(
        TopicNames(requests="in"),
        [Door(name="acme", tenants=("acme",), topics=DoorTopics(dlq="acme-dead"))],
    )
    assert sets.of_tenant("acme").topics == TopicNames(
        requests="in.acme",
        status="sluice.status.acme",
        results="sluice.results.acme",
        dlq="acme-dead",
    )
    assert sets.of_topic("in") is sets.default


def test_a_set_knows_whose_records_name_no_tenant() -> None:
    sets = TopicSets(
        doors=[
            Door(name="one", tenants=("acme",)),
            Door(name="two", tenants=("globex", "initech")),
            Door(name="none", tenants=()),
        ]
    )
    assert [each.only_tenant for each in sets] == ["default", "acme", None, None]


def test_a_tenant_with_a_door_may_have_records_on_the_default_topics() -> None:
    sets = TopicSets(doors=[Door(name=name, tenants=(name,)) for name in ("acme", "globex")])
    assert [each.name for each in sets.having_had(["acme"])] == ["", "acme"]
    assert [each.name for each in sets.having_had(["other", "globex"])] == ["", "globex"]
    assert [each.name for each in sets.having_had([])] == [""]
    assert [each.name for each in sets.having_had(None)] == ["", "acme", "globex"]


def test_a_tenant_that_moves_is_heard_on_both_topics() -> None:
    sets = TopicSets(doors=[Door(name="acme", tenants=("acme",), moving=True)])
    for topic, heard in (("sluice.requests", True), ("sluice.requests.acme", True)):
        assert sets.may_stand_on(topic, tenant="acme") is heard
    assert sets.of_tenant("acme").topics.requests == "sluice.requests.acme"
    assert not sets.may_stand_on("sluice.requests.acme", tenant="other")


def test_no_requests_are_read_of_a_door_without_tenants() -> None:
    sets = TopicSets(doors=[Door(name="acme", tenants=())])
    assert sets.requests == ("sluice.requests",)
    assert sets.results == ("sluice.results", "sluice.results.acme")


def test_each_request_topic_is_read_in_one_cluster() -> None:
    west = Door(name="globex", tenants=("globex",), cluster="west")
    closed = Door(name="umbrella", tenants=(), cluster="west")
    sets = TopicSets(TopicNames(), [Door(name="acme", tenants=("acme",)), west, closed])
    assert sets.requests_of(None) == ("sluice.requests", "sluice.requests.acme")
    assert sets.requests_of("west") == ("sluice.requests.globex",)
    assert sets.requests_of("east") == ()
    assert set(sets.requests_of(None)) | set(sets.requests_of("west")) == set(sets.requests)


def test_an_unknown_topic_is_in_no_set() -> None:
    sets = TopicSets()
    assert not sets.may_stand_on("other", tenant="default")
    with pytest.raises(KeyError):
        sets.of_topic("other")


@pytest.mark.parametrize(
    ("doors", "message"),
    [
        (
            [Door(name="a", tenants=("x",)), Door(name="a", tenants=("y",))],
            "doors.1.name: 'a' is the name of doors.0 already.",
        ),
        (
            [Door(name="a", tenants=("x",)), Door(name="b", tenants=("y", "x"))],
            "doors.1.tenants.1: tenant 'x' has door 'a' already.",
        ),
        (
            [Door(name="a", tenants=("x", "x"))],
            "doors.0.tenants.1: tenant 'x' has door 'a' already.",
        ),
        (
            [Door(name="dlq", tenants=("x",))],
            "topics.requests of door 'dlq': 'sluice.requests.dlq' is topics.dlq of the default",
        ),
        (
            [Door(name="a", tenants=("x",), topics=DoorTopics(status="sluice.status"))],
            "topics.status of door 'a': 'sluice.status' is topics.status of the default topics",
        ),
        (
            [Door(name="a", tenants=("x",), topics=DoorTopics(results="a b"))],
            "topics.results of door 'a': 'a b' is not a name of a topic",
        ),
        (
            [Door(name="a", tenants=("x",), cluster="west", moving=True)],
            "doors.0: with `moving`, two clusters could read requests for one run",
        ),
        (
            [Door(name="a", tenants=("x",), topics=DoorTopics(results=".."))],
            "topics.results of door 'a': '..' is not a name of a topic",
        ),
    ],
)
def test_contradictions_are_refused_with_their_place(doors: list[Door], message: str) -> None:
    with pytest.raises(TopicSetsError) as refused:
        TopicSets(TopicNames(), doors)
    assert message in str(refused.value)


def test_the_default_topics_are_checked_too() -> None:
    with pytest.raises(TopicSetsError, match=r"topics\.results of the default topics: 'same'"):
        TopicSets(TopicNames(status="same", results="same"))


@pytest.mark.parametrize("name", ["", "Acme", "a/b", "a_b", "-a", "a" * 64])
def test_names_of_doors_and_tenants_are_dns_labels(name: str) -> None:
    with pytest.raises(ValidationError):
        Door(name=name, tenants=())
    with pytest.raises(ValidationError):
        Door(name="a", tenants=(name,))
