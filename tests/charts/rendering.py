"""Charts as Helm sees them."""

import functools
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

CHART = Path("helm/sluice")
CI_FILES = sorted(CHART.glob("ci/*-values.yaml"))
CI_NAMES = [file.name.removesuffix("-values.yaml") for file in CI_FILES]
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


Render = Callable[[Path], Rendered]


class Helm:
    """The helm program, on our chart."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self.rendered: Render = functools.cache(self._rendered)

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command, however it ends."""
        return subprocess.run(
            [self._program, command, *arguments], capture_output=True, text=True, check=False
        )

    def template(self, values: Path) -> subprocess.CompletedProcess[str]:
        """Render the chart with these values upon its own."""
        where = ("--namespace", NAMESPACE, "--values", str(values))
        return self.run("template", RELEASE, str(CHART), *where)

    def _rendered(self, values: Path) -> Rendered:
        done = self.template(values)
        assert done.returncode == 0, done.stderr
        return Rendered([each for each in yaml.safe_load_all(done.stdout) if each])
