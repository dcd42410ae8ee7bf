"""Argo CD: the command lines of its programs, and the objects that they need at the start.

The chart's Deployments configure the programs by environment variables from ConfigMaps. Here the
same settings are used: those of ``argocd/argo-cd.yaml``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed.machine.addresses import NODE
from testbed.machine.processes import Program

Manifest = dict[str, Any]

NAMESPACE = "argocd"
IN_CLUSTER = "https://kubernetes.default.svc"
"""Argo CD's name for its own cluster."""
SERVER_URL = f"http://{NODE}:8080"
REPO_SERVER_METRICS_URL = f"http://{NODE}:8084"
_PART_OF = {"app.kubernetes.io/part-of": "argocd"}
_REDIS = "127.0.0.1:6379"
_REPO_SERVER = "127.0.0.1:8081"


@dataclass(frozen=True)
class Settings:
    """The values of the chart argo-cd, as far as they are settings of Argo CD itself."""

    configs: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, values: Path) -> "Settings":
        """Read them from a file of values."""
        return cls(yaml.safe_load(values.read_text("utf-8"))["configs"])

    def with_cm(self, changed: Mapping[str, str]) -> "Settings":
        """Return the same with other entries of argocd-cm."""
        return Settings({**self.configs, "cm": {**self.configs["cm"], **changed}})

    def config_map(self, name: str) -> dict[str, str]:
        """Return the data of one of Argo CD's ConfigMaps, as the chart would write it."""
        return {key: _text(value) for key, value in self.configs[name].items()}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def manifests(
    settings: Settings, *, cluster: Mapping[str, Mapping[str, str]], webhook_secret: str
) -> Iterator[Manifest]:
    """Return the needed objects: settings, keys, and the cluster's Secret as Pulumi writes it.

    ``cluster`` has the labels and annotations of the cluster's Secret.
    """
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    filled = {"argocd-cm": settings.config_map("cm"), "argocd-rbac-cm": settings.config_map("rbac")}
    empty = ("argocd-ssh-known-hosts-cm", "argocd-tls-certs-cm", "argocd-gpg-keys-cm")
    for name, data in {**filled, **{name: {} for name in empty}}.items():
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _named(name), "data": data}
    yield {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _named("argocd-secret"),
        # Of a server that is only reachable from this machine.
        "stringData": {"server.secretkey": "testbed", "webhook.github.secret": webhook_secret},
    }
    metadata = _named("cluster")
    labels = {**metadata["labels"], "argocd.argoproj.io/secret-type": "cluster"}
    yield {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            **metadata,
            "labels": {**labels, **cluster["labels"]},
            "annotations": dict(cluster["annotations"]),
        },
        "stringData": {"name": "in-cluster", "server": IN_CLUSTER, "config": "{}"},
    }


def _named(name: str) -> Manifest:
    return {"name": name, "namespace": NAMESPACE, "labels": dict(_PART_OF)}


@dataclass(frozen=True, kw_only=True)
class Programs:
    """Argo CD's programs; ``built`` is the one that is all of them, ``state`` their folder."""

    built: Path
    helm: Path
    kubeconfig: Path
    state: Path
    settings: Settings

    def all(self) -> list[Program]:
        """Return them in the order of start."""
        redis = ("--redis", _REDIS)
        cluster = ("--kubeconfig", self.kubeconfig, "--namespace", NAMESPACE)
        repo_server = (_REPO_SERVER, "--repo-server-plaintext")
        return [
            Program(
                name="redis",
                command=["redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            ),
            self._part(
                "argocd-repo-server",
                *redis,
                "--disable-tls",
                *("--address", "127.0.0.1", "--metrics-address", NODE),
            ),
            self._part(
                "argocd-application-controller", *redis, *cluster, "--repo-server", *repo_server
            ),
            self._part(
                "argocd-applicationset-controller",
                *cluster,
                "--argocd-repo-server",
                *repo_server,
                *("--metrics-addr", ":8085", "--probe-addr", ":8086"),
            ),
            self._part(
                "argocd-server", *redis, *cluster, "--insecure", "--repo-server", *repo_server
            ),
        ]

    def _part(self, name: str, *arguments: str | Path) -> Program:
        # The name of the binary selects the part of Argo CD.
        parts = self._linked("parts", {name: self.built})
        return Program(
            name=name, command=[parts / name, *arguments], environment=self._environment()
        )

    def _linked(self, folder: str, targets: Mapping[str, Path]) -> Path:
        place = self.state / folder
        place.mkdir(parents=True, exist_ok=True)
        for name, target in targets.items():
            if not (place / name).is_symlink():
                (place / name).symlink_to(target)
        return place

    def _environment(self) -> dict[str, str]:
        settings, params = self.settings.configs["cm"], self.settings.configs["params"]
        for folder in ("tls", "ssh", "gpg"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        (self.state / "ssh" / "ssh_known_hosts").touch()
        tools = self._linked("tools", {"helm": self.helm})
        return {
            "PATH": f"{tools}:/usr/bin:/bin",
            # It runs outside the cluster, but treats it as its own.
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "KUBECONFIG": str(self.kubeconfig),
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_TLS_DATA_PATH": str(self.state / "tls"),
            "ARGOCD_SSH_DATA_PATH": str(self.state / "ssh"),
            "ARGOCD_RECONCILIATION_TIMEOUT": settings["timeout.reconciliation"],
            "ARGOCD_RECONCILIATION_JITTER": settings["timeout.reconciliation.jitter"],
            "ARGOCD_APPLICATION_CONTROLLER_SYNC_TIMEOUT": params["controller.sync.timeout.seconds"],
        }
