"""The matrix of engines and Kafka lists what ran, and reports what did not as a fault."""

from pathlib import Path

import pytest

from tests.support.matrix import Pair, Result, faults, read, table, wanted_pairs
from tests.support.scheduling import group_of

LOCAL, ARGO = Pair("local", "4.3"), Pair("argo-4.0", "3.8")


def test_every_engine_is_wanted_with_every_kafka() -> None:
    engines, lines = ("local", "argo-4.0", "argo-3.7"), ("4.3", "3.8")
    assert wanted_pairs() == [Pair(engine, line) for engine in engines for line in lines]


def test_the_table_counts_by_pair() -> None:
    results = {
        "a": Result(ARGO, "passed"),
        "b": Result(LOCAL, "passed"),
        "c": Result(LOCAL, "failed"),
        "d": Result(LOCAL, "skipped"),
    }
    head, *rows, skipped = [line.split() for line in table(results)]
    assert head == ["engine", "Kafka", "passed", "failed", "skipped"]
    assert rows == [["local", "4.3", "1", "1", "1"], ["argo-4.0", "3.8", "1", "-", "-"]]
    assert skipped == ["skipped:", "d"]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["passed"], []),
        ([], ["Nothing passed on local with Kafka 4.3."]),
        (["passed", "skipped"], ["1 skipped on local with Kafka 4.3."]),
        (
            ["failed"],
            ["Nothing passed on local with Kafka 4.3.", "1 failed on local with Kafka 4.3."],
        ),
    ],
)
def test_only_a_whole_matrix_has_no_faults(outcomes: list[str], expected: list[str]) -> None:
    results = {str(number): Result(LOCAL, each) for number, each in enumerate(outcomes)}
    assert faults(results, wanted=[LOCAL]) == expected


def test_a_test_of_the_local_engine_has_to_run_on_all() -> None:
    results = {
        "t.py::test_a[kafka-4.3-local]": Result(LOCAL, "passed"),
        "t.py::test_b[kafka-4.3-local-x]": Result(LOCAL, "passed"),
        "t.py::test_a[kafka-3.8-argo-4.0]": Result(ARGO, "passed"),
        "t.py::test_c[kafka-3.8-argo-4.0]": Result(ARGO, "passed"),
    }
    assert faults(results, wanted=[LOCAL, ARGO]) == [
        "1 of the suite did not pass on argo-4.0 with Kafka 3.8: t.py::test_b[pair-x]."
    ]


def test_a_missing_file_has_no_results(tmp_path: Path) -> None:
    assert read(tmp_path / "matrix.json") == {}


def test_tests_that_share_a_sluice_are_one_group() -> None:
    module = "tests/e2e/test_pipeline.py"
    pair = "kafka-4.3-argo-4.0"
    assert group_of(f"{module}::test_a[{pair}]") == group_of(f"{module}::test_b[{pair}-x]")
    assert group_of(f"{module}::test_a[{pair}]") != group_of(f"{module}::test_a[kafka-3.8-local]")
    failing = "tests/e2e/test_failures.py"
    assert group_of(f"{failing}::test_a[{pair}]") != group_of(f"{failing}::test_b[{pair}]")
    assert group_of("tests/cluster/test_pods.py::test_a[kafka-4.3]") == "tests/cluster/test_pods.py"
