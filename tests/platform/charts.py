"""The charts of others, at their pinned versions, rendered as Argo CD renders them.

They are not in this repository. They lie in a folder as `helm pull` and `git clone` leave them
there: `CHART-VERSION.tgz` or the folder `CHART-VERSION`, and `REPOSITORY-REVISION`.
"""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.gitops.rendering import REPOSITORY, Json, sources


class ChartError(Exception):
    """A chart cannot be had, or rendered; says how."""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """What renders: Helm, and kubectl for its kustomize."""

    helm: Path
    kubectl: Path


@dataclass(frozen=True, kw_only=True)
class Charts:
    """A folder of charts; what it lacks is pulled into it, unless it is only to be read."""

    folder: Path
    programs: Programs
    pull: bool

    def render(self, application: Json, *, kubernetes: str, apis: Iterable[str]) -> str:
        """Return what Argo CD would get for an Application: a text of YAML documents.

        Args:
            application: Its first source is rendered; another can only have its values.
            kubernetes: The cluster's version, such as `1.35.0`.
            apis: What the cluster serves beyond Kubernetes' own, such as `keda.sh/v1alpha1`.

        Raises:
            ChartError: The chart is not there, or Helm refuses it.
        """
        source = sources(application)[0]
        if "helm" not in source:
            return run(self.programs.kubectl, "kustomize", self.found(source) / source["path"])
        helm = source["helm"]
        values = [
            f"--values={file.removeprefix('$values/').removeprefix('/')}"
            for file in helm.get("valueFiles", [])
        ]
        parameters = [
            f"--set={each['name']}={each['value']}" for each in helm.get("parameters", [])
        ]
        return run(
            self.programs.helm,
            *("template", helm["releaseName"], self.found(source), "--include-crds"),
            f"--namespace={application['spec']['destination']['namespace']}",
            *(f"--kube-version={kubernetes}", *(f"--api-versions={each}" for each in apis)),
            *(*values, "--values=-", *parameters),
            given=helm.get("values", "{}"),
        )

    def found(self, source: Json) -> Path:
        """Return where a source is: a chart of ours, of theirs, or a repository.

        Raises:
            ChartError: It is not there.
        """
        if source["repoURL"] == REPOSITORY:
            return Path(source["path"])
        version = source["targetRevision"]
        name = source.get("chart") or PurePosixPath(source["repoURL"]).stem
        places = [self.folder / f"{name}-{version}{ending}" for ending in ("", ".tgz")]
        if self.pull and not any(place.exists() for place in places):
            self._pull(source, into=places[0])
        for place in places:
            if place.exists():
                return place
        raise ChartError(f"{self.folder} has neither {places[0].name} nor {places[1].name}")

    def _pull(self, source: Json, *, into: Path) -> None:
        url, version = source["repoURL"], source["targetRevision"]
        self.folder.mkdir(parents=True, exist_ok=True)
        if "chart" in source:
            where = (f"--repo={url}", f"--version={version}", f"--destination={self.folder}")
            run(self.programs.helm, "pull", source["chart"], *where)
        else:
            how = ("--quiet", "--depth=1", f"--branch={version}")
            run("git", "clone", *how, url, into)


def run(program: str | Path, *arguments: str | Path, given: str = "") -> str:
    """Return what a program prints.

    Raises:
        ChartError: It failed; holds what it said.
    """
    done = subprocess.run(
        [program, *arguments], input=given, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ChartError(
            f"{Path(program).name} {arguments[0]} {arguments[1]}: {done.stderr.strip()}"
        )
    return done.stdout
