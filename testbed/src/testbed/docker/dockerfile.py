"""The stages of a Dockerfile that one target needs."""

import re

__all__ = ["only_for"]

_STAGE = re.compile(r"^(?=FROM )", re.MULTILINE)
_FROM = re.compile(r"FROM (\S+) AS (\S+)\n")
_COPY_FROM = re.compile(r"^COPY --from=(\S+) ", re.MULTILINE)


def only_for(target: str, dockerfile: str) -> str:
    """Return a Dockerfile without the stages that do not lead to ``target``.

    Docker's classic builder, the one that Debian has, builds every stage above its target.

    Raises:
        ValueError: a stage has no name, or ``target`` is none of them.
    """
    head, *stages = _STAGE.split(dockerfile)
    named: dict[str, str] = {}
    needs: dict[str, list[str]] = {}
    for stage in stages:
        first = _FROM.match(stage)
        if first is None:
            raise ValueError(f"This stage of the Dockerfile has no name: {stage.splitlines()[0]}")
        base, name = first.groups()
        named[name] = stage
        needs[name] = [base, *_COPY_FROM.findall(stage)]
    if target not in named:
        raise ValueError(f"The Dockerfile has no target {target}; it has {', '.join(named)}.")
    needed: set[str] = set()
    waiting = [target]
    while waiting:
        name = waiting.pop()
        if name in named and name not in needed:
            needed.add(name)
            waiting += needs[name]
    return head + "".join(stage for name, stage in named.items() if name in needed)
