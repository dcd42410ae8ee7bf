"""Lays out the input of a step and collects its output. Blocks; runs in a thread."""

from pathlib import Path
from typing import Final

from sluice_engine.documents import Object
from sluice_engine.steps.artifacts import ArtifactFolder
from sluice_engine.steps.folders import StepFolder
from sluice_engine.steps.orders import OutputParameter, StepOrder

__all__ = ["StepIoError", "collect_outputs", "lay_out_inputs"]

_MAX_PARAMETER_BYTES: Final = 1024 * 1024


class StepIoError(Exception):
    """Input or output of a step is missing or cannot be used."""


def lay_out_inputs(order: StepOrder, folder: StepFolder, artifacts: ArtifactFolder) -> None:
    """Create a step's folder and put its input artifacts in.

    Raises:
        StepIoError: an artifact that is not optional does not exist.
    """
    folder.create()
    for artifact in order.input_artifacts:
        place = folder.place(artifact.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            if artifact.data is not None:
                place.write_bytes(artifact.data.encode(errors="replace"))
            elif artifact.key is not None:
                artifacts.lay_out(artifact.key, place)
        except (OSError, ValueError) as e:
            if artifact.optional and isinstance(e, FileNotFoundError):
                continue
            message = f"failed to load artifact '{artifact.name}' from key '{artifact.key}': {e}"
            raise StepIoError(message) from e


def collect_outputs(
    order: StepOrder, folder: StepFolder, artifacts: ArtifactFolder, *, succeeded: bool
) -> Object:
    """Return the parameters and artifacts of a step; a failed step may lack any of them.

    Raises:
        StepIoError: the step succeeded but something is missing.
    """
    outputs: Object = {}
    for parameter in order.output_parameters:
        value = _parameter(parameter, folder.place(parameter.path))
        if value is None and succeeded:
            message = f"failed to save outputs: open {parameter.path}: no such file or directory"
            raise StepIoError(message)
        if value is not None:
            found = {"name": parameter.name, "value": value}
            if parameter.global_name:
                found["globalName"] = parameter.global_name
            outputs.setdefault("parameters", []).append(found)
    for artifact in order.output_artifacts:
        place = folder.place(artifact.path)
        try:
            artifacts.keep(place, artifact.key)
        except FileNotFoundError as e:
            if artifact.optional or not succeeded:
                continue
            message = f"failed to save outputs: {artifact.path}: no such file or directory"
            raise StepIoError(message) from e
        except (OSError, ValueError) as e:
            message = f"failed to save artifact '{artifact.name}': {e}"
            raise StepIoError(message) from e
        kept: Object = {"name": artifact.name, "path": artifact.path, "s3": {"key": artifact.key}}
        if artifact.global_name:
            kept["globalName"] = artifact.global_name
        outputs.setdefault("artifacts", []).append(kept)
    return outputs


def _parameter(parameter: OutputParameter, place: Path) -> str | None:
    try:
        with place.open("rb") as file:
            data = file.read(_MAX_PARAMETER_BYTES + 1)
    except OSError:
        return parameter.default
    if len(data) > _MAX_PARAMETER_BYTES:
        message = f"output parameter '{parameter.name}' is larger than {_MAX_PARAMETER_BYTES} bytes"
        raise StepIoError(message)
    return data.decode(errors="replace").removesuffix("\n")
