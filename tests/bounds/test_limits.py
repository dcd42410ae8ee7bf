"""The limits themselves: who takes more than it may is caught, and the chart says how much."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.limits import (
    MEBIBYTE,
    MemoryLimit,
    NoCgroupError,
    bytes_of,
    chart_memory_limit,
    memory_limit,
    peak_bytes,
)

pytestmark = pytest.mark.bounds

MOST = 64 * MEBIBYTE
LESS = [sys.executable, "-c", "bytearray(8 << 20)"]
MORE = [sys.executable, "-c", "bytearray(128 << 20)"]


def test_a_process_above_the_limit_is_killed(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--memory-limit") == "peak":
        pytest.skip("nothing is enforced")
    with memory_limit(MOST, enforced=True) as limit:
        assert limit.cgroup is not None
        assert subprocess.run([*limit.launcher(), *LESS], check=False).returncode == 0
        assert limit.breach(peak=0) is None
        assert subprocess.run([*limit.launcher(), *MORE], check=False).returncode == -9
        assert limit.cgroup.kills() == 1
        why = limit.breach(peak=60 * MEBIBYTE)
        assert why is not None
        assert "killed for its memory, last seen at 60 MiB; the chart allows 64 MiB" in why
        folder = limit.cgroup.folder
    assert not folder.exists()


def test_a_peak_above_the_limit_is_a_breach_where_nothing_is_enforced() -> None:
    limit = MemoryLimit(most=MOST, cgroup=None)
    assert limit.breach(peak=MOST) is None
    why = limit.breach(peak=MOST + MEBIBYTE)
    assert why is not None
    assert "used 65 MiB" in why
    assert "not enforced" in why


def test_a_peak_is_remembered_when_the_memory_is_given_back() -> None:
    program = "data = bytearray(100 << 20); del data; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert peak_bytes(process.pid) > 100 * MEBIBYTE
        process.communicate(b"\n")
    assert peak_bytes(process.pid) == 0


def test_limits_are_those_of_the_chart() -> None:
    assert bytes_of("512Mi") == 512 * MEBIBYTE
    assert bytes_of("1Gi") == 1024 * MEBIBYTE
    for service in ("gateway", "dispatcher", "status-watcher"):
        assert chart_memory_limit(service) >= 64 * MEBIBYTE


def test_a_service_s_own_limit_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(
        "defaults: {resources: {limits: {memory: 512Mi}}}\n"
        "gateway: {resources: {limits: {memory: 1Gi}}}\ndispatcher: {}\n"
    )
    monkeypatch.setattr("tests.support.limits._VALUES", values)
    assert chart_memory_limit("gateway") == 1024 * MEBIBYTE
    assert chart_memory_limit("dispatcher") == 512 * MEBIBYTE


def test_no_cgroup_is_an_error_not_a_weaker_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.limits._parent", lambda: (tmp_path / "absent", 2))
    with pytest.raises(NoCgroupError, match="are you root"), memory_limit(MOST, enforced=True):
        pass
