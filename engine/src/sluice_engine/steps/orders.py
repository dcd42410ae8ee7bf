"""Orders to the runner, and its results."""

from dataclasses import dataclass, field

from sluice_engine.documents import Object

__all__ = ["InputArtifact", "OutputArtifact", "OutputParameter", "StepOrder", "StepResult"]


@dataclass(frozen=True, slots=True)
class InputArtifact:
    """Something to lay out before a step starts: bytes, or an object of the artifact folder."""

    name: str
    path: str
    data: str | None
    key: str | None
    optional: bool


@dataclass(frozen=True, slots=True)
class OutputParameter:
    """A file whose text becomes a parameter."""

    name: str
    path: str
    default: str | None
    global_name: str | None


@dataclass(frozen=True, slots=True)
class OutputArtifact:
    """A file or folder to keep under a key."""

    name: str
    path: str
    key: str
    optional: bool
    global_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOrder:
    """One process to run, with every tag replaced; paths are as inside a container."""

    workflow_uid: str
    node_id: str
    command: tuple[str, ...]
    source: str | None = None
    """A script, handed to the command as a file."""
    env: dict[str, str] = field(default_factory=dict)
    working_dir: str | None = None
    mounts: tuple[str, ...] = ()
    """Where emptyDir volumes are mounted."""
    input_artifacts: tuple[InputArtifact, ...] = ()
    output_parameters: tuple[OutputParameter, ...] = ()
    output_artifacts: tuple[OutputArtifact, ...] = ()
    capture_result: bool = False
    """Whether `outputs.result` is referred to."""
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step ended: Succeeded, Failed or Error, and its outputs."""

    phase: str
    message: str = ""
    outputs: Object = field(default_factory=dict)
