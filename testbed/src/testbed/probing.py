"""Asks whether something works."""

from testbed.building.commands import run
from testbed.errors import TestbedError
from testbed.kubectl import Kubectl
from testbed.machine.machine import Machine

__all__ = ["runs", "succeeds"]


def succeeds(kubectl: Kubectl, *arguments: str) -> bool:
    """Return whether kubectl does it."""
    try:
        kubectl(*arguments)
    except TestbedError:
        return False
    return True


def runs(machine: Machine, *command: str) -> bool:
    """Return whether the command succeeds inside the machine."""
    try:
        run([*machine.inside(), *command])
    except TestbedError:
        return False
    return True
