"""TCP ports on loopback: find a free one, and say clearly when a wanted one is taken."""

import socket
from contextlib import ExitStack

from sluice_local.errors import LocalModeError

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports that were free a moment ago."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


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
