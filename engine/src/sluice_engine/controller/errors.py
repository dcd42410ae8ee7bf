"""Errors in a Workflow, worded for its author."""

__all__ = ["TemplateError", "UnsupportedError", "WaitingError"]


class TemplateError(Exception):
    """A template cannot be executed; the node or the Workflow ends in Error."""


class UnsupportedError(TemplateError):
    """The Workflow uses something that the local engine does not know.

    Args:
        path: the field, as `spec.templates[2].http`.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is not supported by the local engine")


class WaitingError(Exception):
    """Not a fault: a limit on parallelism holds the node back for now."""
