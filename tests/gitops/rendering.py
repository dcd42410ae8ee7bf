"""What Argo CD would make of argocd/, rendered by Helm.

Argo CD renders charts with Helm, so that is the real thing. An ApplicationSet's templates are Go
templates with sprig's functions, as Helm's are, so Helm fills them, too, text by text as the
controller does. Which clusters there are, and how generators combine, only the controller knows:
tests/release asks it.
"""

import fnmatch
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

REPOSITORY = "https://git.example.com/sluice.git"
SERVER = "https://kubernetes.default.svc"
ROOT = Path("argocd/root")
ENVIRONMENTS = ("dev", "staging", "prod")


@dataclass(frozen=True, eq=False)
class Cluster:
    """A cluster, as its Secret describes it to Argo CD."""

    annotations: Mapping[str, str]
    name: str = "sluice-dev"
    server: str = SERVER


EVERYTHING = Cluster(
    {
        "sluice.dev/region": "eu-central-1",
        "sluice.dev/account": "111122223333",
        "sluice.dev/vpc-id": "vpc-1",
        "sluice.dev/cluster-name": "sluice-dev",
        "sluice.dev/artifact-bucket": "sluice-dev-artifacts",
        "sluice.dev/registry": "111122223333.dkr.ecr.eu-central-1.amazonaws.com",
        "sluice.dev/kafka-bootstrap": "",
        "sluice.dev/kafka-cidrs": "",
        "sluice.dev/api-server-cidrs": "10.0.0.0/16,172.20.0.1/32",
        "sluice.dev/dns-cidrs": "172.20.0.10/32",
        "sluice.dev/zone": "sluice.example.com",
        "sluice.dev/domain": "sluice.example.com",
        "sluice.dev/certificate-arn": "arn:aws:acm:eu-central-1:111122223333:certificate/1",
        "sluice.dev/kafka-mode": "strimzi",
    }
)
"""What Pulumi writes for every cluster."""

DATABASE = {
    "sluice.dev/database-host": "sluice.abc.eu-central-1.rds.amazonaws.com",
    "sluice.dev/database-cidrs": "10.0.0.0/16",
    "sluice.dev/database-ca": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "sluice.dev/database-secret": "arn:aws:secretsmanager:eu-central-1:1:secret:rds!db-1-AbCdEf",
}
"""What Pulumi writes as well where there is a database; the secret only if it has a password."""


def with_database(cluster: Cluster, *, password: bool) -> Cluster:
    """Give a cluster with a database, which the gateway enters with a password or by IAM."""
    facts = dict(DATABASE)
    if not password:
        del facts["sluice.dev/database-secret"]
    return replace(cluster, annotations={**cluster.annotations, **facts})


LITTLE = Cluster({"sluice.dev/kafka-mode": "none", "sluice.dev/kafka-bootstrap": "10.0.0.9:9092"})
"""A Kafka that is there already, and no AWS."""


@dataclass(frozen=True)
class Helm:
    """The helm program."""

    program: Path
    scratch: Path
    """A folder of its own, for a chart that only fills templates."""

    def template(
        self, chart: Path, *, name: str, namespace: str, values: list[Path], over: Json
    ) -> list[Json]:
        """Render a chart, with values upon those of its files."""
        done = self.tried(chart, name=name, namespace=namespace, values=values, over=over)
        assert done.returncode == 0, done.stderr
        return [each for each in yaml.safe_load_all(done.stdout) if each]

    def tried(
        self, chart: Path, *, name: str, namespace: str, values: list[Path], over: Json
    ) -> subprocess.CompletedProcess[str]:
        """Render a chart, however it ends."""
        files = [f"--values={file}" for file in values]
        command = ["template", name, str(chart), f"--namespace={namespace}", *files, "--values=-"]
        return subprocess.run(
            [self.program, *command],
            input=json.dumps(over),
            capture_output=True,
            text=True,
            check=False,
        )

    def lint(self, chart: Path, *, values: list[Path], over: Json) -> str:
        """Say what helm finds bad about a chart; "" is nothing."""
        files = [f"--values={file}" for file in values]
        done = subprocess.run(
            [self.program, "lint", "--strict", "--quiet", chart, *files, "--values=-"],
            input=json.dumps(over),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr if done.returncode else ""

    def filled(self, texts: list[str], parameters: Json) -> list[str]:
        """Fill Go templates, each as the ApplicationSet controller would."""
        (self.scratch / "templates").mkdir(exist_ok=True)
        (self.scratch / "Chart.yaml").write_text("{apiVersion: v2, name: fill, version: 0.0.1}")
        (self.scratch / "templates/fill.yaml").write_text(_FILL)
        over = {"texts": texts, "parameters": parameters}
        [made] = self.template(self.scratch, name="x", namespace="x", values=[], over=over)
        filled: list[str] = json.loads(made["data"]["filled"])
        return filled


_FILL = """\
{{- $filled := list }}
{{- range .Values.texts }}{{ $filled = append $filled (tpl . $.Values.parameters) }}{{ end }}
apiVersion: v1
kind: ConfigMap
metadata: {name: filled}
data: {filled: {{ $filled | toJson | quote }}}
"""


@dataclass(frozen=True)
class Delivery:
    """An environment on a cluster: what root makes, and what the ApplicationSets make of that."""

    environment: str
    cluster: Cluster
    helm: Helm
    root: list[Json]
    applications: list[Json] = field(default_factory=list)
    waves: dict[str, int] = field(default_factory=dict)
    """The wave of each Application, by name."""

    def project(self, name: str) -> Json:
        """Give a project."""
        [found] = [
            each
            for each in self.root
            if each["kind"] == "AppProject" and each["metadata"]["name"] == name
        ]
        return found

    def application(self, name: str) -> Json:
        """Give an Application by its name."""
        [found] = [each for each in self.applications if each["metadata"]["name"] == name]
        return found

    def ours(self) -> dict[str, Json]:
        """Give the Applications of our charts, by chart."""
        return {
            each["metadata"]["labels"]["sluice.dev/chart"]: each
            for each in self.applications
            if each["spec"]["project"] == "services"
        }

    def values(self, application: Json) -> Json:
        """Give the facts that an Application of ours has from its cluster."""
        facts: Json = yaml.safe_load(application["spec"]["source"]["helm"]["values"])
        return facts

    def rendered(self, application: Json) -> list[Json]:
        """Give the objects of an Application of ours, as Argo CD has Helm render it."""
        source = application["spec"]["source"]
        return self.helm.template(
            Path(source["path"]),
            name=source["helm"]["releaseName"],
            namespace=application["spec"]["destination"]["namespace"],
            values=[Path(file.removeprefix("/")) for file in source["helm"]["valueFiles"]],
            over=self.values(application),
        )


def deliver(
    helm: Helm, environment: str, cluster: Cluster, *, more: Json | None = None
) -> Delivery:
    """Render root for an environment, and fill its ApplicationSets for one cluster.

    `more` are values of root upon those of the environment.
    """
    values = [Path(f"argocd/environments/{environment}/root.yaml")]
    over: Json = {"repoURL": REPOSITORY, "revision": "main", **(more or {})}
    if environment not in ENVIRONMENTS:
        values, over["environment"] = [], environment
    root = helm.template(ROOT, name="root", namespace="argocd", values=values, over=over)
    delivery = Delivery(environment, cluster, helm, root)
    for each in root:
        made = [each] if each["kind"] == "Application" else []
        if each["kind"] == "ApplicationSet":
            made = list(_generated(helm, each, cluster))
        delivery.applications.extend(made)
        wave = int(annotation(each, "argocd.argoproj.io/sync-wave"))
        delivery.waves.update({application["metadata"]["name"]: wave for application in made})
    return delivery


def _generated(helm: Helm, application_set: Json, cluster: Cluster) -> Iterator[Json]:
    [generator] = application_set["spec"]["generators"]
    clusters, *lists = generator["matrix"]["generators"] if "matrix" in generator else [generator]
    parameters = {
        "name": cluster.name,
        "nameNormalized": cluster.name,
        "server": cluster.server,
        "metadata": {"annotations": dict(cluster.annotations)},
        "values": clusters["clusters"]["values"],
    }
    elements: list[Json] = [{}]
    for each in lists:
        elements = yaml.safe_load(helm.filled([each["list"]["elementsYaml"]], parameters)[0])
    for element in elements:
        texts = list(_texts(application_set["spec"]["template"]))
        filled = dict(zip(texts, helm.filled(texts, parameters | element), strict=True))
        made: Json = _replaced(application_set["spec"]["template"], filled)
        yield {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"} | made


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from _texts(each)


def _replaced(node: Any, filled: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {name: _replaced(each, filled) for name, each in node.items()}
    if isinstance(node, list):
        return [_replaced(each, filled) for each in node]
    return filled[node] if isinstance(node, str) else node


def sources(application: Json) -> list[Json]:
    """Give an Application's sources, whether it has one or many."""
    spec = application["spec"]
    found: list[Json] = spec["sources"] if "sources" in spec else [spec["source"]]
    return found


def matches(patterns: list[str], text: str) -> bool:
    """Say whether one of an AppProject's patterns fits, by its rules of globs."""
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def annotation(thing: Json, name: str) -> str:
    """Give an annotation, or nothing."""
    found: str = thing["metadata"].get("annotations", {}).get(name, "")
    return found
