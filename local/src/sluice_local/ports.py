"""TCP ports on loopback: find free ones, and check that a given one is free."""

import contextlib
import random
import socket
import sys
from contextlib import ExitStack

from sluice_local.errors import LocalModeError

LOOPBACK = "127.0.0.1"


# Below the ports of outgoing connections (Linux: 32768 and up), so that a server that stops for a
# while gets its port back.
_RANGE = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return `count` free ports; no other caller gets them while this process lives.

    Raises:
        LocalModeError: there are not so many free ports.
    """
    with ExitStack() as held:
        found: list[int] = []
        for port in random.sample(_RANGE, len(_RANGE)):
            if len(found) == count:
                break
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                _claim(port)
                found.append(port)
    if len(found) < count:
        raise LocalModeError(
            f"Of {count} ports, only {len(found)} are free between {_RANGE[0]} and {_RANGE[-1]}.",
            remedy="Stop the programs that use them, or choose ports yourself.",
        )
    return found


def _claim(port: int) -> None:
    """Reserve a port until this process ends, by an abstract socket of Linux (unix(7)).

    A port is not bound between its choice and its use, while other processes look for ports too.

    Raises:
        OSError: another caller has reserved it.
    """
    if sys.platform != "linux":
        return
    with socket.socket(socket.AF_UNIX) as claim:
        claim.bind(f"\0sluice-port-{port}")
        claim.detach()


def require_free(port: int, *, wanted_by: str, option: str) -> None:
    """Check that `port` can be bound on loopback.

    Raises:
        LocalModeError: the port is in use; the message names its purpose and the option.
    """
    with socket.socket() as probe:
        # The servers do the same: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise LocalModeError(
                f"Port {port}, for {wanted_by}, cannot be used: {error.strerror}.",
                remedy="Stop the program that uses it, or choose another: "
                f"{option} PORT (0 means a free one).",
            ) from error
