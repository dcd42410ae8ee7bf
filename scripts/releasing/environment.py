"""The release of an environment: the images in its values of helm/sluice."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts.releasing.repository import ReleaseError

__all__ = ["ENVIRONMENTS", "IMAGES", "STAGES", "Images", "charts_of", "stage_before", "values_of"]

ENVIRONMENTS = Path("argocd/environments")

IMAGES = {
    "gateway": "gateway",
    "dispatcher": "dispatcher",
    "statusWatcher": "status-watcher",
    "logRelay": "log-relay",
}
"""Targets of the Dockerfile, by the service's name in the values of helm/sluice."""

STAGES = ("dev", "staging", "prod")
"""The environments that a release passes, in order; others take every release."""

_LINES = re.compile(
    r"""
    ^(?P<before>image:[ ]*(?:\#.*)?\n        # the section at the top level,
      (?:[ ]+.*\n|[ ]*\n|\#.*\n)*?           # what else it has,
      (?P<indent>[ ]+)tag:[ ]*)              # the tag
    (?:"(?P<quoted>[^"\n]*)"|(?P<plain>[^"'\s\#]+))
    (?P<after>.*\n)
    (?:(?P=indent)digests:.*\n               # and the digests that belong to it
      (?P<digests>(?:(?P=indent)[ ]+.*\n)*))?
    """,
    re.MULTILINE | re.VERBOSE,
)
_DIGEST = re.compile(r'^ +(\w+): "?(sha256:[0-9a-f]{64})"?$', re.MULTILINE)


@dataclass(frozen=True)
class Images:
    """The images of a release: ``image.tag`` and ``image.digests`` of helm/sluice.

    ``digests``: `sha256:…` by service; none if only the tag is known.
    """

    tag: str
    digests: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, values: str) -> "Images":
        """Return the images that values name.

        Raises:
            ReleaseError: they name no tag.
        """
        found = _found(values)
        return cls(
            found["quoted"] or found["plain"] or "", dict(_DIGEST.findall(found["digests"] or ""))
        )

    def written(self, values: str) -> str:
        """Return the values with these images, and everything else as it is.

        Raises:
            ReleaseError: the values name no tag.
        """
        found = _found(values)
        lines = [f'{found["before"]}"{self.tag}"{found["after"]}']
        if self.digests:
            indent = found["indent"]
            lines.append(f"{indent}digests:\n")
            lines += [f'{indent}{indent}{name}: "{it}"\n' for name, it in self.digests.items()]
        return values[: found.start()] + "".join(lines) + values[found.end() :]


def _found(values: str) -> re.Match[str]:
    found = _LINES.search(values)
    if found is None:
        raise ReleaseError("there is no image.tag in these values")
    return found


def values_of(environment: str) -> Path:
    """Return where an environment's values of helm/sluice are, relative to the repository."""
    return ENVIRONMENTS / environment / "sluice.yaml"


def charts_of(environment: str) -> Path:
    """Return where Argo CD finds an environment's charts, relative to the repository.

    It is a link to `helm/` or, after a promotion to a later stage than the first, a copy.
    """
    return ENVIRONMENTS / environment / "charts"


def stage_before(environment: str) -> str | None:
    """Return the environment that has to run a release first; None: there is none."""
    if environment not in STAGES[1:]:
        return None
    return STAGES[STAGES.index(environment) - 1]
