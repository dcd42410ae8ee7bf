"""The table says which way is wrong, and Strimzi's policies are what it makes of a Kafka."""

from tests.platform.objects import Json
from tests.platform.policies import Network, Peer
from tests.platform.stand_ins import OPERATOR, broker_labels, kafka_policies
from tests.platform.traffic import FORBIDDEN, NEEDED, Way, expected, wrong

ONE = Peer(address="10.0.0.1", namespace="a")
OTHER = Peer(address="10.0.0.2", namespace="b")
THERE, BACK = Way("one", "other", 80), Way("other", "one", 80)


def test_a_closed_way_and_an_open_one_are_named() -> None:
    deny = {"metadata": {"namespace": "b"}, "spec": {"podSelector": {}}}
    network, who = Network([deny], {}), {"one": ONE, "other": OTHER}
    assert wrong(network, who, needed=[BACK], forbidden=[THERE]) == []
    assert wrong(network, who, needed=[THERE], forbidden=[BACK]) == [
        "one to other:80 is closed",
        "other to one:80 is open",
    ]


def test_no_way_is_both_needed_and_forbidden() -> None:
    for load_balanced in (True, False):
        needed, forbidden = expected(load_balanced=load_balanced)
        assert not {*needed} & {*forbidden}
        assert len({*needed, *forbidden}) == len(needed) + len(forbidden)
        assert len(needed) + len(forbidden) == len(NEEDED) + len(FORBIDDEN) + 1


def test_strimzi_lets_its_own_reach_the_brokers_and_everybody_an_open_listener() -> None:
    listener: Json = {"name": "tls", "port": 9093}
    kafka = {
        "kind": "Kafka",
        "metadata": {"name": "sluice", "namespace": "b"},
        "spec": {"kafka": {"listeners": [listener]}},
    }
    pool = {
        "metadata": {"name": "broker", "labels": {"strimzi.io/cluster": "sluice"}},
        "spec": {"roles": ["broker"]},
    }
    broker = Peer(address="10.0.0.3", namespace="b", labels=broker_labels(pool))
    operator = Peer(address="10.0.0.4", namespace="strimzi", labels=OPERATOR)
    network = Network(list(kafka_policies([kafka])), {"b": {}, "strimzi": {}})
    assert network.allows(ONE, broker, 9093)
    assert network.allows(operator, broker, 9091)
    assert network.allows(broker, broker, 9090)
    for port in (9090, 9091, 8443, 9404):
        assert not network.allows(ONE, broker, port)
    listener["networkPolicyPeers"] = [{"podSelector": {}}]
    assert not Network(list(kafka_policies([kafka])), {}).allows(ONE, broker, 9093)
