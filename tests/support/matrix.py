"""The matrix of test results by engine and line of Kafka.

It is printed after each run of pytest. With `--matrix=FILE` the results are stored, so that several
runs become one matrix. `python -m tests.support.matrix FILE...` prints and checks it.
"""

import argparse
import collections
import json
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from testbed.versions import load_versions
from tests.support.leaving_out import leave_out

LOCAL = "local"
"""The engine whose tests are the suite that all others must pass."""

NEWEST = "newest"
OLDEST = "oldest"
"""The newest and the oldest line of Kafka, on the command line."""

_PROPERTY = "pair"
_COLUMNS = ("passed", "failed", "skipped")


class Pair(NamedTuple):
    """An engine and a line of Kafka."""

    engine: str
    kafka: str


class Result(NamedTuple):
    """The pair and the outcome of a test."""

    pair: Pair
    outcome: str


Results = Mapping[str, Result]
"""Results by the ids of their tests."""


def wanted_pairs() -> list[Pair]:
    """Return all pairs that Sluice supports."""
    versions = load_versions()
    engines = [LOCAL, *(f"argo-{line}" for line in versions.argo_lines)]
    return [Pair(engine, line) for engine in engines for line in versions.kafka]


def kafka_line(name: str) -> str:
    """Return a line of Kafka by its name, which may be `newest` or `oldest`."""
    lines = list(load_versions().kafka)
    return {NEWEST: lines[0], OLDEST: lines[-1]}.get(name, name)


def table(results: Results) -> Iterator[str]:
    """Yield the lines of the matrix, and then the skipped tests."""
    counts: dict[Pair, collections.Counter[str]] = {}
    for result in results.values():
        counts.setdefault(result.pair, collections.Counter())[result.outcome] += 1
    yield f"{'engine':10}{'Kafka':>8}" + "".join(f"{name:>10}" for name in _COLUMNS)
    for pair in sorted(counts, key=_place):
        cells = "".join(f"{counts[pair][name] or '-':>10}" for name in _COLUMNS)
        yield f"{pair.engine:10}{pair.kafka:>8}{cells}"
    for test, result in sorted(results.items()):
        if result.outcome == "skipped":
            yield f"skipped: {test}"


def faults(results: Results, *, wanted: Collection[Pair]) -> list[str]:
    """Return what the matrix lacks, one sentence each; empty if all tests passed on all pairs."""
    found = []
    passed = {pair: _passed_on(pair, results) for pair in wanted}
    suite = set().union(*(tests for pair, tests in passed.items() if pair.engine == LOCAL))
    for pair in wanted:
        outcomes = collections.Counter(
            result.outcome for result in results.values() if result.pair == pair
        )
        name = f"{pair.engine} with Kafka {pair.kafka}"
        if not passed[pair]:
            found.append(f"Nothing passed on {name}.")
        elif lacks := suite - passed[pair]:
            found.append(f"{len(lacks)} of the suite did not pass on {name}: {', '.join(lacks)}.")
        found += [
            f"{outcomes[bad]} {bad} on {name}." for bad in ("failed", "skipped") if outcomes[bad]
        ]
    return found


def _passed_on(pair: Pair, results: Results) -> set[str]:
    """Return the tests that passed on a pair, with names that do not depend on the pair."""
    return {
        test.replace(f"kafka-{pair.kafka}-{pair.engine}", "pair")
        for test, result in results.items()
        if result == Result(pair, "passed")
    }


def read(file: Path) -> dict[str, Result]:
    """Return the results in a file; empty if it does not exist."""
    if not file.exists():
        return {}
    kept = json.loads(file.read_text("utf-8"))
    return {test: Result(Pair(*pair), outcome) for test, (pair, outcome) in kept.items()}


def _place(pair: Pair) -> int:
    wanted = wanted_pairs()
    return wanted.index(pair) if pair in wanted else len(wanted)


class _Recorder:
    """Records pytest's reports, in the process that gets those of all tests."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._results: dict[str, Result] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        pair = dict(report.user_properties).get(_PROPERTY)
        # Setup and teardown count only if they fail or skip the test.
        if isinstance(pair, str) and (report.when == "call" or report.outcome != "passed"):
            outcome = report.outcome
            self._results[report.nodeid] = Result(Pair(*pair.split("/")), outcome)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._file is not None:
            self._results = read(self._file) | self._results
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._results, indent=1), "utf-8")
        if self._results:
            terminalreporter.section("engines and Kafka")
            for line in table(self._results):
                terminalreporter.write_line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that select engines and Kafka, and the file of the matrix."""
    group = parser.getgroup("sluice")
    group.addoption("--engine", choices=_engines(), help="deselect the tests on other engines")
    group.addoption(
        "--kafka-line", choices=_lines(), help="deselect the tests on other lines of Kafka"
    )
    group.addoption("--matrix", type=Path, metavar="FILE", help="add the results to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Record results, unless this is a worker: then the process that started it does."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(config.getoption("--matrix")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Attach the pair to each test's report, and deselect other engines and lines."""
    for item in items:
        parameters = _parameters(item)
        engine, kafka = parameters.get("engine"), parameters.get("kafka")
        if engine and kafka:
            item.user_properties.append((_PROPERTY, f"{engine}/{kafka}"))
    if engine := config.getoption("--engine"):
        leave_out(config, items, lambda item: _parameters(item).get("engine", engine) != engine)
    if line := config.getoption("--kafka-line"):
        line = kafka_line(line)
        leave_out(config, items, lambda item: _parameters(item).get("kafka", line) != line)


def _engines() -> list[str]:
    return list(dict.fromkeys(pair.engine for pair in wanted_pairs()))


def _lines() -> list[str]:
    return [*dict.fromkeys(pair.kafka for pair in wanted_pairs()), NEWEST, OLDEST]


def _parameters(item: pytest.Item) -> dict[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def main() -> int:
    """Print the matrix of all files; return 1 if it is incomplete."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.matrix",
        description="Print the test results by engine and Kafka. Fails unless all tests of the "
        "suite passed on each required pair, and none failed or was skipped.",
    )
    parser.add_argument("files", type=Path, nargs="+", help="files of `pytest --matrix=FILE`")
    parser.add_argument(
        "--engine", action="append", choices=_engines(), help="require this engine; default: all"
    )
    parser.add_argument(
        "--kafka-line", choices=_lines(), help="require this line of Kafka; default: all"
    )
    arguments = parser.parse_args()
    engines = arguments.engine or _engines()
    line = arguments.kafka_line and kafka_line(arguments.kafka_line)
    wanted = [
        pair for pair in wanted_pairs() if pair.engine in engines and line in {None, pair.kafka}
    ]
    results: dict[str, Result] = {}
    for file in arguments.files:
        results |= read(file)
    print("\n".join(table(results)))
    found = faults(results, wanted=wanted)
    passed = f"Every test passed on {', '.join(map('/'.join, wanted))}."
    print("\n".join(["", *(found or [passed])]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
