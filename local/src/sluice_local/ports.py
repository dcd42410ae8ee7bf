"""TCP ports on loopback: find a free one, and say clearly when a wanted one is taken."""

import contextlib
import random
import socket
from contextlib import ExitStack

from sluice_local.errors import LocalModeError

LOOPBACK = "127.0.0.1"


# Below those that any outgoing connection may be given at any moment (Linux: 32768 and up), so that
# who stops listening for a while finds its port again.
_RANGE = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports that were free a moment ago."""
    with ExitStack() as held:
        found: list[int] = []
        for port in random.sample(_RANGE, len(_RANGE)):
            if len(found) == count:
                break
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                found.append(port)
        return found


def free_port() -> int:
    """Return a port that was free a moment ago."""
    return free_ports(1)[0]


def require_free(port: int, *, wanted_by: str, option: str) -> None:
    """Check that ``port`` can be bound on loopback.

    Raises:
        LocalModeError: the port is taken; names who wants it and which option moves it.
    """
    with socket.socket() as probe:
        # As the servers themselves do: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise LocalModeError(
                f"Port {port}, wanted by {wanted_by}, cannot be used: {error.strerror}.",
                way_out=f"Stop what uses it, or choose another: {option} PORT (0 takes a free one)",
            ) from error
