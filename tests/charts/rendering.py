"""Charts as Helm sees them."""

import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from scripts.chart_docs import CHARTS

Json = dict[str, Any]

CHART, KAFKA, WORKFLOWS = CHARTS


def ci_files(chart: Path) -> list[Path]:
    """Give the chart's own files of values."""
    return sorted(chart.glob("ci/*-values.yaml"))


def ci_name(file: Path) -> str:
    """Say what such a file is called."""
    return file.name.removesuffix("-values.yaml")


CI_FILES = ci_files(CHART)
CI_NAMES = [ci_name(file) for file in CI_FILES]
ALL_FILES = [file for chart in CHARTS for file in ci_files(chart)]
ALL_NAMES = [f"{file.parts[-3]}-{ci_name(file)}" for file in ALL_FILES]
RELEASE = "sluice"
NAMESPACE = "sluice"
SERVICES = ("gateway", "dispatcher", "status-watcher")
COMPONENT = "app.kubernetes.io/component"


@dataclass(frozen=True)
class Rendered:
    """The objects of a release."""

    objects: list[Json]

    def of(self, *kinds: str) -> list[Json]:
        """Give those of these kinds."""
        return [each for each in self.objects if each["kind"] in kinds]

    def one(self, kind: str, name: str) -> Json:
        """Give the one of that kind and name."""
        [found] = [each for each in self.of(kind) if each["metadata"]["name"] == name]
        return found

    def one_in(self, kind: str, namespace: str) -> Json:
        """Give the one of that kind in that namespace."""
        [found] = [each for each in self.of(kind) if each["metadata"]["namespace"] == namespace]
        return found

    def workload(self, service: str) -> Json:
        """Give the Deployment or StatefulSet of a service."""
        [found] = [
            each
            for each in self.of("Deployment", "StatefulSet")
            if each["metadata"]["labels"][COMPONENT] == service
        ]
        return found

    def container(self, service: str) -> Json:
        """Give a service's container."""
        [found] = self.workload(service)["spec"]["template"]["spec"]["containers"]
        assert isinstance(found, dict)
        return found

    def pods(self) -> Iterator[tuple[str, Json]]:
        """Give the pods of all that makes some, by the name of what does."""
        for each in self.of("Deployment", "StatefulSet", "Job"):
            yield each["metadata"]["name"], each["spec"]["template"]


class Render(Protocol):
    """Renders a chart with a file of values."""

    def __call__(self, values: Path, chart: Path = CHART) -> Rendered:
        """Give the objects."""
        ...


def chart_of(file: Path) -> Path:
    """Say whose file of values it is."""
    return file.parents[1]


class Helm:
    """The helm program, on our charts."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self.rendered: Render = functools.cache(self._rendered)

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command, however it ends."""
        return subprocess.run(
            [self._program, command, *arguments], capture_output=True, text=True, check=False
        )

    def template(self, values: Path, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
        """Render a chart with these values upon its own."""
        where = ("--namespace", NAMESPACE, *_given(values, chart))
        return self.run("template", RELEASE, str(chart), *where)

    def notes(self, values: Path, chart: Path = CHART) -> str:
        """Give what is said after an install."""
        how = ("--dry-run=client", "--namespace", NAMESPACE, *_given(values, chart))
        done = self.run("install", RELEASE, str(chart), *how)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("\nNOTES:\n")[2]

    def _rendered(self, values: Path, chart: Path = CHART) -> Rendered:
        done = self.template(values, chart)
        assert done.returncode == 0, done.stderr
        return Rendered([each for each in yaml.safe_load_all(done.stdout) if each])


def _given(values: Path, chart: Path) -> tuple[str, ...]:
    """Return the options for a file of values; one of a test lacks what the chart asks for."""
    asked_for = chart / "ci/default-values.yaml"
    whole = values.parent == asked_for.parent or chart != CHART
    return (*(() if whole else ("--values", str(asked_for))), "--values", str(values))
