"""TCP ports on loopback: find a free one, and say clearly when a wanted one is taken."""

import contextlib
import random
import socket
import sys
from contextlib import ExitStack

from sluice_local.errors import LocalModeError

LOOPBACK = "127.0.0.1"


# Below those that any outgoing connection may be given at any moment (Linux: 32768 and up), so that
# who stops listening for a while finds its port again.
_RANGE = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return ``count`` different free ports, which no other caller is given while we live.

    Raises:
        LocalModeError: there are not that many.
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
            f"Of {count} ports wanted, {len(found)} are free between {_RANGE[0]} and {_RANGE[-1]}.",
            way_out="Stop what uses them, or choose ports yourself",
        )
    return found


def _claim(port: int) -> None:
    """Claim a port until this process ends, by a name of Linux's abstract sockets (unix(7)).

    Between its choice and its use a port is bound by nobody, and others look for ports too.

    Raises:
        OSError: another caller has claimed it.
    """
    if sys.platform != "linux":
        return
    with socket.socket(socket.AF_UNIX) as claim:
        claim.bind(f"\0sluice-port-{port}")
        claim.detach()


def free_port() -> int:
    """Return a free port, as ``free_ports`` does."""
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
