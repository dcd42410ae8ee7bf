"""Values that a chart does not know are found, at any depth and in subcharts."""

import tarfile
from pathlib import Path

import pytest

from tests.platform.values import defaults, unknown

KNOWN = {"replicas": 1, "pod": {"labels": {}, "image": {"tag": ""}}}


def test_a_value_is_known_by_its_path() -> None:
    given = {"replicas": 2, "pod": {"image": {"tag": "v1", "tags": "v1"}}, "replica": 2}
    assert [*unknown(given, KNOWN, free=frozenset())] == ["pod.image.tags", "replica"]
    assert [*unknown(given, KNOWN, free=frozenset({"pod.image"}))] == ["replica"]


def test_an_empty_mapping_takes_anything() -> None:
    assert [*unknown({"pod": {"labels": {"a": {"b": "c"}}}}, KNOWN, free=frozenset())] == []


@pytest.mark.parametrize("packed", [True, False])
def test_a_subcharts_values_are_below_its_name(packed: bool, tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    (chart / "charts/sub/templates").mkdir(parents=True)
    (chart / "values.yaml").write_text("own: 1\nsub: {theirs: 2, new: 3}")
    (chart / "charts/sub/values.yaml").write_text("theirs: 1\nother: {}")
    if packed:
        with tarfile.open(tmp_path / "chart.tgz", "w:gz") as archive:
            archive.add(chart, arcname="chart")
        chart = tmp_path / "chart.tgz"
    assert defaults(chart) == {"own": 1, "sub": {"theirs": 2, "new": 3, "other": {}}}
