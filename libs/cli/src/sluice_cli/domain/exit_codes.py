"""Exit codes: what became of it. docs/cli.md has the same table."""

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """How the command ends."""

    SUCCESS = 0
    """The run has succeeded, or what was asked for is done."""
    FAILED = 1
    """The run has ended as Failed, Error or Deleted."""
    USAGE = 2
    """The command or the request is wrong: correct it."""
    REJECTED = 3
    """The run was Rejected or Expired: it never became a Workflow."""
    TIMEOUT = 4
    """The run is not over in time. It goes on."""
    UNREACHABLE = 5
    """Sluice or Kafka did not answer, or could not do it now; nothing was written."""
    UNKNOWN = 6
    """It may have been carried out; the message says how to find out."""
    NOT_ALLOWED = 7
    """The token is missing or not valid, or does not allow it."""
    NOT_APPLICABLE = 8
    """There is no such run, or its state or its id does not allow it."""
    OTHER = 9
    """Anything else, such as an answer that is not one of Sluice's."""
    INTERRUPTED = 130
    """Ctrl-C: a run that was started goes on."""
