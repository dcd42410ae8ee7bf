"""The engine of NetworkPolicies: kube-router, with nothing but its firewall.

It is not started with the cluster, because it would slow down everything that needs no policies.
"""

import contextlib
from collections.abc import Iterator

from testbed.cluster.node import NODE_NAME
from testbed.errors import TestbedError
from testbed.machine.addresses import SERVICES
from testbed.machine.machine import Machine
from testbed.machine.processes import Program
from testbed.testbed import Testbed
from testbed.waiting import wait_until

_NAME = "kube-router"
_READY_SECONDS = 60.0
_CHAINS = ("KUBE-ROUTER-", "KUBE-POD-FW-", "KUBE-NWPLCY-")
# With 0, pods on one bridge would reach each other past the firewall. A new network has 1.
_BRIDGED = "/proc/sys/net/bridge/bridge-nf-call-iptables"


@contextlib.contextmanager
def enforced_policies(testbed: Testbed) -> Iterator[None]:
    """Enforce all NetworkPolicies while the body runs.

    A pod that starts is open until the engine has seen it, for about a second.

    Raises:
        TestbedError: the testbed is not up, or the kernel lacks what the engine needs.
    """
    processes, machine = testbed.processes(), testbed.machine()
    if machine is None:
        raise TestbedError("The testbed is not up.")
    if machine.run(["cat", _BRIDGED]).strip() != "1":
        raise TestbedError("The firewall would not see what pods of one bridge send each other.")
    engine = testbed.programs.stock.program(_NAME, _NAME)
    try:
        processes.start(
            Program(
                name=_NAME,
                command=[
                    engine,
                    f"--kubeconfig={testbed.kubeconfig()}",
                    f"--hostname-override={NODE_NAME}",
                    f"--service-cluster-ip-range={SERVICES}",
                    "--run-firewall=true",
                    "--run-router=false",
                    "--run-service-proxy=false",
                ],
            )
        )
        wait_until(
            lambda: _has_chains(machine),
            what="The firewall of NetworkPolicies",
            seconds=_READY_SECONDS,
            gave_up=lambda: processes.why_not(_NAME),
        )
        yield
    finally:
        processes.stop(_NAME)
        _remove_rules(machine)


def _remove_rules(machine: Machine) -> None:
    # Its own --cleanup-config removes nothing.
    rules = machine.run(["iptables-save", "--table=filter"]).splitlines(keepends=True)
    kept = "".join(rule for rule in rules if not any(chain in rule for chain in _CHAINS))
    machine.run(["iptables-restore", "--table=filter"], stdin=kept)
    machine.run(["ipset", "destroy"])


def _has_chains(machine: Machine) -> bool:
    try:
        machine.run(["iptables", "-S", "KUBE-ROUTER-FORWARD"])
    except TestbedError:
        return False
    return True
