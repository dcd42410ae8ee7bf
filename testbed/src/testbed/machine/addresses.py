"""The networks of the testbed. One pair of interfaces joins each machine to the computer."""

from dataclasses import dataclass

PODS = "10.88.0.0/16"
SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
LINK_BITS = 30


@dataclass(frozen=True, kw_only=True)
class Place:
    """The names and addresses of a machine, as seen from the computer.

    ``name`` is also its cgroup. ``link`` is the computer's end of the pair of interfaces, with the
    address ``computer``; the other end is eth0 in the machine, with ``machine``. What is inside of
    ``networks`` is reached through the machine.
    """

    name: str
    link: str
    computer: str
    machine: str
    networks: tuple[str, ...] = ()


CLUSTER = Place(
    name="sluice-testbed",
    link="sluice0",
    computer="10.87.0.1",
    machine="10.87.0.2",
    networks=(PODS, SERVICES),
)
DOCKER = Place(name="sluice-docker", link="sluice1", computer="10.87.0.5", machine="10.87.0.6")

NODE = CLUSTER.machine

API_PORT = 6443
ETCD_PORT = 2379
STORE_PORT = 7070
KAFKA_PORT = 9092
"""Port of the first line of Kafka; each line has two ports."""

API_URL = f"https://{NODE}:{API_PORT}"
ETCD_URL = f"http://127.0.0.1:{ETCD_PORT}"
STORE_ENDPOINT = f"{NODE}:{STORE_PORT}"
