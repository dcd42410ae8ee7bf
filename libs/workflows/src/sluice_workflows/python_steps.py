"""Steps that run a Python file of this or another package, for builders."""

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
    """Add a task that runs `program`'s source; returns its outputs, as Couler does.

    `env` and `args` may hold references, `{{workflow.parameters.name}}`; the program reads them as
    data, no shell is involved. Every path of an artifact or output that it uses has to come in
    `env` too. `after` says which tasks come first, in Argo's words (`"a && b"`).
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
        # Given as text: a list would make Couler hand over all outputs of these tasks.
        dependencies=after,
    )
