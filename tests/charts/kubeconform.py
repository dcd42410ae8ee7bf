"""kubeconform, with the schemas of Kubernetes and of all CRDs that the testbed has."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILES = "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json"


@dataclass(frozen=True)
class Kubeconform:
    """The program, and its folder of schemas."""

    program: Path
    schemas: Path

    def complaints(self, objects: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Say what is wrong with each object, by kind and name; "" is nothing."""
        done = subprocess.run(
            [
                *(self.program, "-strict", "-verbose", "-output", "json"),
                *("-schema-location", str(self.schemas / _FILES)),
            ],
            input="".join(f"---\n{json.dumps(each)}\n" for each in objects),
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.stderr, done.stderr
        looked_at = json.loads(done.stdout)["resources"] or []
        return {
            f"{each['kind']}/{each['name']}": each["msg"] if each["status"] != "statusValid" else ""
            for each in looked_at
        }
