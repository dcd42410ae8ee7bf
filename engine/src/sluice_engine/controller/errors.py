"""What is wrong with a Workflow, as its author should read it."""

__all__ = ["TemplateError", "UnsupportedError", "WaitingError"]


class TemplateError(Exception):
    """A template cannot be carried out; the node or the Workflow ends in Error."""


class UnsupportedError(TemplateError):
    """The Workflow uses something that the local engine does not know.

    Args:
        path: the field, as `spec.templates[2].http`.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is not supported by the local engine")


class WaitingError(Exception):
    """Nothing is wrong: a limit on parallelism holds the node back for now."""
