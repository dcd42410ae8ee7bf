"""A part is built once for each key, and never found half built."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.building.parts import build_all, built_folder
from testbed.errors import TestbedError


@dataclass
class Bread:
    """A part that takes note of how often it is built."""

    key: str = "flour"
    fault: str | None = None
    name: str = "bread"
    version: str = "1"
    times: int = 0

    def build(self, out: Path) -> None:
        self.times += 1
        (out / "loaf").write_text(self.key)
        if self.fault:
            raise TestbedError(self.fault, way_out="Buy some.")


def built(part: Bread, cache: Path) -> list[str]:
    said: list[str] = []
    build_all([part], cache=cache, say=said.append)
    return said


def test_it_is_built_once_for_each_key(tmp_path: Path) -> None:
    bread = Bread()
    assert built(bread, tmp_path)[0] == "  bread 1: building ..."
    assert built(bread, tmp_path) == ["  bread 1: built before"]
    assert bread.times == 1
    bread.key = "rye"
    built(bread, tmp_path)
    assert bread.times == 2
    assert (built_folder(bread, cache=tmp_path) / "loaf").read_text() == "rye"


def test_a_failed_build_leaves_nothing_and_names_the_part(tmp_path: Path) -> None:
    bread = Bread(fault="no flour")
    with pytest.raises(TestbedError, match=r"bread 1 could not be built\.\nno flour\nBuy some\."):
        built(bread, tmp_path)
    assert list(tmp_path.iterdir()) == []
    bread.fault = None
    built(bread, tmp_path)
    assert built_folder(bread, cache=tmp_path).exists()


def test_a_part_that_changed_during_its_build_is_not_kept(tmp_path: Path) -> None:
    class Changing(Bread):
        def build(self, out: Path) -> None:
            super().build(out)
            self.key = "rye"

    with pytest.raises(TestbedError, match="Its sources changed during the build"):
        built(Changing(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_rest_of_a_killed_build_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".bread-x").mkdir(parents=True)
    built(Bread(), tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == ["bread-1-flour"]
