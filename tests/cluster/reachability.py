"""Pods that try to connect to each other, and what they reach."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from testbed.errors import TestbedError
from testbed.kubectl import Kubectl
from testbed.versions import load_versions
from testbed.waiting import wait_until
from tests.charts.rendering import Json

_SECONDS = 60.0

# As a pod that may not connect sees it, a connection is refused: the engine rejects it.
_PROBE = """
import concurrent.futures, json, socket, sys
def reached(target):
    try:
        socket.create_connection(target, timeout=5).close()
    except OSError:
        return False
    return True
targets = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(dict(zip(targets, pool.map(reached, map(tuple, targets.values()))))))
"""
_LISTEN = """
import asyncio, sys
async def listen():
    servers = [
        await asyncio.start_server(lambda _, writer: writer.close(), port=int(port))
        for port in sys.argv[1:]
    ]
    await asyncio.Event().wait()
asyncio.run(listen())
"""


def peer(name: str, namespace: str, *, labels: Mapping[str, str], ports: Sequence[int]) -> Json:
    """Return a pod that listens on ports, and from which connections can be tried."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "peer",
                    "image": load_versions().debian.python_image,
                    "imagePullPolicy": "Never",
                    "command": ["python", "-c", _LISTEN, *map(str, ports)],
                    "readinessProbe": {"tcpSocket": {"port": ports[0]}, "periodSeconds": 1},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


@dataclass(frozen=True)
class Pod:
    """A pod that runs; `kubectl` is in its namespace."""

    kubectl: Kubectl
    name: str
    address: str

    def python(self, *words: str) -> str:
        """Run Python in it."""
        return self.kubectl("exec", self.name, "--", "python", "-c", *words)


@dataclass(frozen=True)
class World:
    """Pods by name; targets are addresses and ports."""

    pods: Mapping[str, Pod]
    targets: Mapping[str, tuple[str, int]]

    def others(self, source: str) -> dict[str, tuple[str, int]]:
        """Return the targets outside of a pod; no policy is about those inside."""
        own = self.pods[source].address
        return {name: target for name, target in self.targets.items() if target[0] != own}

    def assert_reached(self, source: str, expected: set[str]) -> None:
        """Wait until a pod can connect to exactly these targets, as the engine sees it in time."""
        reached: set[str] = set()

        def is_so() -> bool:
            nonlocal reached
            tried = self.pods[source].python(_PROBE, json.dumps(self.others(source)))
            reached = {target for target, done in json.loads(tried).items() if done}
            return reached == expected

        with contextlib.suppress(TestbedError):
            wait_until(is_so, what="The policies", seconds=_SECONDS)
        too_many, missing = sorted(reached - expected), sorted(expected - reached)
        assert reached == expected, f"{source} reaches {too_many} too, and not {missing}"


def running(kubectl: Kubectl, *which: str) -> Pod:
    """Return a pod once it is ready."""
    kubectl("wait", *which, "--for=condition=Ready", "--timeout=120s")
    found = kubectl.get(*which)
    [pod] = found.get("items", [found])
    return Pod(kubectl, pod["metadata"]["name"], pod["status"]["podIP"])
