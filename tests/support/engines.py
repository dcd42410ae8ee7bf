"""The engines of tests: the local engine, or a real Argo Workflows on the testbed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from testbed.cluster.namespaces import SERVICES, account_of
from testbed.folders import default_folders
from testbed.requirements import missing
from testbed.testbed import Testbed
from testbed.versions import load_versions
from tests.support.kafka import unique_name
from tests.support.matrix import LOCAL

RULES = Path("helm/sluice/rules")
KAFKA_LINES = load_versions().kafka


@dataclass(frozen=True, kw_only=True)
class Home:
    """A namespace of a real cluster for one Sluice; each service has its own account there."""

    namespace: str
    kubeconfig: Path
    accounts: Mapping[str, Path]

    def environment(self, service: str) -> dict[str, str]:
        """Return the variables that make a service use this namespace."""
        if service not in self.accounts:
            return {}
        return {
            "SLUICE_KUBERNETES__KUBECONFIG": str(self.accounts[service]),
            "SLUICE_KUBERNETES__NAMESPACE": self.namespace,
        }


@dataclass(frozen=True)
class Engine:
    """An engine; `testbed` runs it, unless it is the local one."""

    name: str
    testbed: Testbed | None = None

    @property
    def is_local(self) -> bool:
        """Whether each Sluice starts its own local engine."""
        return self.testbed is None

    @property
    def many(self) -> int:
        """The number of runs that take at most a minute here."""
        return 500 if self.is_local else 100

    @property
    def line(self) -> str:
        """The line of Argo Workflows."""
        return self.name.removeprefix("argo-")

    @property
    def cluster(self) -> Testbed:
        """The testbed that it runs on."""
        assert self.testbed is not None, "the local engine has no cluster"
        return self.testbed

    def home(self) -> Home | None:
        """Create a namespace for one Sluice; None if it starts its own engine."""
        if self.testbed is None:
            return None
        namespace = unique_name("e2e")
        self.testbed.prepare_namespace(namespace)
        return Home(
            namespace=namespace,
            kubeconfig=self.testbed.kubeconfig(),
            accounts={
                service: self.testbed.kubeconfig(account_of(service)) for service in SERVICES
            },
        )


def engine_parameters() -> list[object]:
    """Return the names of all engines as pytest parameters."""
    return [LOCAL, *real_engines()]


def real_engines() -> list[object]:
    """Return the names of the real engines, which need the testbed."""
    lines = [f"argo-{line}" for line in load_versions().argo_lines]
    return [pytest.param(line, marks=pytest.mark.cluster) for line in lines]


def running_engine(name: str) -> Engine:
    """Return an engine; a real one must run already, because all its tests share it."""
    if name == LOCAL:
        return Engine(name)
    if lacks := missing():
        skip("no testbed: " + " ".join(lacks))
    engine = Engine(name, Testbed(default_folders(), load_versions(), rules=RULES))
    if engine.cluster.line() != engine.line:
        skip(f"Argo Workflows {engine.line} does not run; `make test-cluster` starts it")
    return engine


def skip(reason: str) -> NoReturn:
    """Skip a test for lack of something on this machine; fail in CI, which must lack nothing."""
    assert "CI" not in os.environ, reason
    pytest.skip(reason)
