"""The charts' own suites for helm-unittest hold: they check the notes after an install."""

import re
import subprocess
from pathlib import Path

import pytest

from scripts.chart_docs import CHARTS

pytestmark = pytest.mark.charts


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_the_suites_of_a_chart_hold(helm_unittest: Path, chart: Path) -> None:
    done = subprocess.run(
        [helm_unittest, "--strict", str(chart)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [passed] = re.findall(r"^Tests: +(\d+) passed", done.stdout, re.MULTILINE)
    assert int(passed) >= 3
