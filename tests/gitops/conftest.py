"""Each environment as Argo CD would deliver it, and git repositories to release in."""

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.releasing.environment import Images, charts_of
from tests.charts.kubeconform import Kubeconform
from tests.gitops.clones import CHART, FIRST, NEW, OLD, Clone, Programs, git, push_images
from tests.gitops.rendering import (
    ENVIRONMENTS,
    EVERYTHING,
    LITTLE,
    Cluster,
    Delivery,
    Helm,
    deliver,
)
from tests.gitops.stand_in_registry import StandIn, serving
from tests.support.stock import built, built_program, the_stock

Deliver = Callable[[str, Cluster], Delivery]


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The helm that the testbed has built."""
    return Helm(built_program("helm"), scratch=tmp_path_factory.mktemp("fill"))


@pytest.fixture(scope="session")
def kubeconform() -> Kubeconform:
    """What knows the schemas of all kinds."""
    return Kubeconform(built_program("kubeconform"), schemas=built(the_stock().schemas()))


@pytest.fixture(scope="session")
def delivered(helm: Helm) -> Deliver:
    """What an environment is on a cluster; each is rendered once."""
    return functools.cache(lambda environment, cluster: deliver(helm, environment, cluster))


@pytest.fixture(params=ENVIRONMENTS)
def delivery(request: pytest.FixtureRequest, delivered: Deliver) -> Delivery:
    """An environment of ours, on a cluster that Pulumi made."""
    return delivered(request.param, EVERYTHING)


@pytest.fixture
def bare(delivered: Deliver) -> Delivery:
    """An environment without a platform, on a cluster with a Kafka of its own and no AWS."""
    return delivered("testbed", LITTLE)


@pytest.fixture
def own_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in which git knows nothing of this computer's settings."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    config = "[user]\nname = Ada\nemail = ada@example.com\n[init]\ndefaultBranch = main\n"
    (tmp_path / "gitconfig").write_text(config, "utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return tmp_path


@pytest.fixture
def origin(own_git: Path) -> Path:
    """The repository that Argo CD follows."""
    folder = own_git / "origin"
    git(own_git, "init", "--quiet", "--bare", str(folder))
    first = own_git / "first"
    git(own_git, "clone", "--quiet", str(folder), str(first))
    shutil.copytree("argocd/environments", first / "argocd/environments", symlinks=True)
    for environment in ENVIRONMENTS:
        charts = first / charts_of(environment)
        if not charts.is_symlink():
            shutil.rmtree(charts)
            charts.symlink_to("../../../helm")
    (first / "helm/sluice").mkdir(parents=True)
    for file in first.glob("argocd/environments/*/sluice.yaml"):
        file.write_text(Images(FIRST).written(file.read_text("utf-8")), "utf-8")
    git(first, "commit", "--quiet", "--allow-empty", "--message", "Begin")
    for tag in (OLD, NEW, FIRST):
        (first / CHART).write_text(f"name: sluice # {tag}\n", "utf-8")
        (first / CHART).with_name(f"{tag}.yaml").touch()
        git(first, "add", "--all")
        git(first, "commit", "--quiet", "--amend", "--no-edit")
        # Git finds a commit by such a name, too, where it would by a part of its hash.
        git(first, "tag", tag.partition("-")[2])
        (first / CHART).with_name(f"{tag}.yaml").unlink()
    git(first, "push", "--quiet", "--tags", "origin", "main")
    return folder


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    """The registry that the script asks, with the images of three releases."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with serving() as registry:
        monkeypatch.setenv("RELEASE_REGISTRY", registry.host)
        for tag in (FIRST, OLD, NEW):
            push_images(registry, tag)
        yield registry


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Programs that the script finds before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return Programs(folder)


@pytest.fixture
def clone(tmp_path: Path, origin: Path, registry: StandIn) -> Clone:
    """Somebody's clone of it."""
    git(tmp_path, "clone", "--quiet", str(origin), "clone")
    return Clone(tmp_path / "clone", registry)


@pytest.fixture
def other(tmp_path: Path, origin: Path, registry: StandIn) -> Clone:
    """Somebody else's."""
    git(tmp_path, "clone", "--quiet", str(origin), "other")
    return Clone(tmp_path / "other", registry)
