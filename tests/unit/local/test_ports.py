import subprocess
import sys

import pytest

from sluice_local import ports
from sluice_local.errors import LocalModeError

FEW = range(19_980, 19_984)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_RANGE", FEW)


def ask_elsewhere(count: int) -> subprocess.CompletedProcess[str]:
    """Choose free ports of the same few in another process, which then ends."""
    asking = (
        "from sluice_local import ports\n"
        f"ports._RANGE = range({FEW.start}, {FEW.stop})\n"
        f"print(*ports.free_ports({count}))"
    )
    return subprocess.run(
        [sys.executable, "-c", asking], capture_output=True, text=True, check=False
    )


def test_a_port_is_reserved_until_its_owner_ends() -> None:
    assert len(ask_elsewhere(4).stdout.split()) == 4
    ours = ports.free_ports(3)
    assert len(set(ours)) == 3
    [theirs] = map(int, ask_elsewhere(1).stdout.split())
    assert {*ours, theirs} == set(FEW)
    assert "Of 2 ports, only 1 are free between 19980 and 19983." in ask_elsewhere(2).stderr
    assert ports.free_ports(1) == [theirs]
    with pytest.raises(LocalModeError, match="Of 1 ports, only 0 are free"):
        ports.free_ports(1)
