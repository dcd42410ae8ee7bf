"""Steps that run a Python file of any package, for builders."""

import inspect
from collections.abc import Iterable, Mapping
from types import ModuleType

from sluice_workflows.entries import Couler

__all__ = ["python_step"]


def python_step(
    couler: Couler,
    *,
    name: str,
    image: str,
    program: ModuleType,
    env: Mapping[str, str],
    args: Iterable[object] = (),
    inputs: Iterable[Couler] = (),
    outputs: Iterable[Couler] = (),
    after: str | None = None,
) -> list[Couler]:
    """Add a task that runs `program`'s source, and return its outputs, as Couler does.

    `env` and `args` may contain references, `{{workflow.parameters.name}}`. The program reads them
    as data; there is no shell. All paths of artifacts and outputs must also be in `env`. `after`
    names the tasks that come first, in Argo's syntax (`"a && b"`).
    """
    return couler.set_dependencies(  # type: ignore[no-any-return]
        lambda: couler.run_container(
            image=image,
            command=["python3", "-c", inspect.getsource(program)],
            step_name=name,
            env=dict(env),
            args=list(args) or None,
            input=list(inputs) or None,
            output=list(outputs) or None,
        ),
        # A string, because a list makes Couler pass on all outputs of these tasks.
        dependencies=after,
    )
