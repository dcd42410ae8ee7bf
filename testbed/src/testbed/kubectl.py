"""Talk to the cluster with kubectl."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from testbed.building.commands import run
from testbed.waiting import wait_until

_DEFINED_SECONDS = 180.0


@dataclass(frozen=True)
class Kubectl:
    """One user of the cluster; ``namespace`` is the default of commands."""

    program: Path
    kubeconfig: Path
    namespace: str | None = None

    def within(self, namespace: str) -> Self:
        """Return the same user with another namespace."""
        return replace(self, namespace=namespace)

    def __call__(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run kubectl and return what it printed.

        Raises:
            TestbedError: it failed.
        """
        namespace = [f"--namespace={self.namespace}"] if self.namespace else []
        command = [self.program, f"--kubeconfig={self.kubeconfig}", *namespace, *arguments]
        return run(command, stdin=stdin)

    def apply(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        """Apply manifests on the server's side, taking over conflicting fields."""
        page = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        self("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=page)

    def define(self, crds: Iterable[Path]) -> None:
        """Create CustomResourceDefinitions, and return once they are established."""
        files = [f"--filename={file}" for file in crds]
        self("apply", "--server-side", "--force-conflicts", *files)
        # Not by `kubectl wait`, which fails on those that have no conditions yet.
        wait_until(
            lambda: all(map(_is_established, self._list(*files))),
            what="The CustomResourceDefinitions to be established",
            seconds=_DEFINED_SECONDS,
        )

    def _list(self, *arguments: str) -> list[dict[str, Any]]:
        # kubectl prints a single object without a list around it.
        found = self.get(*arguments)
        return list(found.get("items", [found]))

    def exists(self, name: str) -> bool:
        """Whether there is an object of that `kind/name`."""
        return bool(self("get", name, "--ignore-not-found", "--output=name").strip())

    def get(self, *arguments: str) -> dict[str, Any]:
        """Return an object or a list."""
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        return found


def _is_established(definition: Mapping[str, Any]) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
