"""Labels: names and short texts with which clients mark their runs, to find them again."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

__all__ = ["MAX_LABELS", "MAX_LABEL_LENGTH", "Labels", "is_label_name"]

MAX_LABELS: Final = 16
"""The most labels of a run: they are part of every event about it."""

MAX_LABEL_LENGTH: Final = 256
"""The most characters of a label's value."""

# Like the names of Kubernetes, but `/` may come anywhere inside: filters are written `name=value`.
_NAME: Final = r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$"
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def is_label_name(text: str) -> bool:
    """Return whether `text` is a valid name of a label."""
    return re.fullmatch(_NAME, text) is not None


def _one_line(value: str) -> str:
    if _CONTROL_CHARACTER.search(value):
        raise ValueError("Must not contain control characters.")
    return value


_Name = Annotated[str, StringConstraints(pattern=_NAME)]
_Value = Annotated[
    str,
    StringConstraints(max_length=MAX_LABEL_LENGTH),
    AfterValidator(_one_line),
    Field(json_schema_extra={"pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"}),
]

Labels = Annotated[dict[_Name, _Value], Field(max_length=MAX_LABELS)]
"""At most MAX_LABELS names with their values."""
