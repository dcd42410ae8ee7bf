"""Programs that the testbed has built, the folder of charts, and each stack rendered with them."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.stock import Stock
from tests.charts.kubeconform import Kubeconform
from tests.gitops.rendering import Delivery, Helm
from tests.platform.charts import Charts, Programs
from tests.platform.objects import Delivered, Json, Scopes
from tests.platform.stacks import STACKS, Renderer, delivery_of
from tests.platform.validity import Validator, kubernetes_alone
from tests.support.stock import built, the_stock

FOLDER = Path(".data/charts")
"""Where charts are pulled to, unless CHARTS names a folder that has them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Platform:
    """A stack's cluster: what is delivered to it, and all its objects."""

    stack: str
    delivery: Delivery
    parts: list[Delivered]

    @property
    def objects(self) -> list[Json]:
        """Give all objects, wave by wave."""
        return [each for part in self.parts for each in part.first]

    @functools.cached_property
    def scopes(self) -> Scopes:
        """Give which kinds have no namespace."""
        return Scopes.known(self.objects)

    def namespaces(self) -> dict[int, str]:
        """Give where each object goes, by its `id()`."""
        return {
            id(each): self.scopes.namespace(each, default=part.namespace)
            for part in self.parts
            for each in part.first
        }


@pytest.fixture(scope="session")
def stock() -> Stock:
    """What the testbed has built."""
    return the_stock()


@pytest.fixture(scope="session")
def programs(stock: Stock) -> Programs:
    """Helm and kubectl."""
    return Programs(
        helm=built(stock.program("helm", "helm")),
        kubectl=built(stock.program("kubernetes", "kubectl")),
    )


@pytest.fixture(scope="session")
def validator(stock: Stock, tmp_path_factory: pytest.TempPathFactory) -> Validator:
    """kubeconform with the kinds of Kubernetes, and no others."""
    program = built(stock.program("kubeconform", "kubeconform"))
    scratch = tmp_path_factory.mktemp("schemas")
    core = kubernetes_alone(built(stock.schemas()), into=scratch / "kubernetes")
    return Validator(Kubeconform(program, core), scratch)


@pytest.fixture(scope="session")
def charts(programs: Programs) -> Charts:
    """The folder that CHARTS names, or one into which they are pulled."""
    given = os.environ.get("CHARTS")
    return Charts(folder=Path(given) if given else FOLDER, programs=programs, pull=not given)


@pytest.fixture(scope="session")
def platforms(
    charts: Charts, programs: Programs, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Platform]:
    """Give a stack's platform; each is rendered once."""
    helm = Helm(programs.helm, scratch=tmp_path_factory.mktemp("fill"))
    renderer = Renderer(charts)

    @functools.cache
    def platform(stack: str) -> Platform:
        delivery = delivery_of(helm, stack)
        return Platform(stack=stack, delivery=delivery, parts=renderer.rendered(delivery))

    return platform


@pytest.fixture(params=STACKS)
def platform(request: pytest.FixtureRequest, platforms: Callable[[str], Platform]) -> Platform:
    """A stack of ours."""
    return platforms(request.param)
