"""`image.tag` of an environment's values: the one line that a release changes."""

import re

from scripts.releasing.errors import ReleaseError

__all__ = ["insist_on_immutable", "tag_in", "with_tag"]

_MOVING = frozenset({"latest", "main", "master", "dev", "staging", "prod", "stable", "edge"})
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LINE = re.compile(
    r"""
    ^(image:[ ]*(?:\#.*)?\n              # the section at the top level,
      (?:[ ]+.*\n|[ ]*\n|\#.*\n)*?       # what else it has,
      [ ]+tag:[ ]*)                      # the value
    (?:"([^"\n]*)"|([^"'\s\#]+))         # with or without quotes
    """,
    re.MULTILINE | re.VERBOSE,
)


def tag_in(text: str) -> str:
    """Return `image.tag`.

    Raises:
        ReleaseError: the values have none.
    """
    found = _LINE.search(text)
    if found is None:
        raise ReleaseError("there is no image.tag in these values")
    return found[2] or found[3] or ""


def with_tag(text: str, tag: str) -> str:
    """Return the values, comments included, with another `image.tag`."""
    tag_in(text)
    return _LINE.sub(lambda found: f'{found[1]}"{tag}"', text, count=1)


def insist_on_immutable(tag: str) -> None:
    """Refuse a tag that does not always name the same image.

    Raises:
        ReleaseError: the tag may move, or is not a valid tag.
    """
    if not _TAG.fullmatch(tag) or tag in _MOVING:
        raise ReleaseError(
            f"{tag!r} may come to name another image; use a tag as printed by `scripts/release tag`"
        )
