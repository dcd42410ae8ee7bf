"""Settings from the environment and one file; they are passed as arguments, never looked up.

`SLUICE_KAFKA__BOOTSTRAP_SERVERS` sets `kafka.bootstrap_servers`. `SLUICE_CONFIG` is the path of a
YAML file of the same shape. The environment takes precedence over the file.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import pydantic_settings
import yaml
from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from sluice_contracts.problems import field_errors
from sluice_runtime.durations import Duration
from sluice_runtime.logs import LogSettings
from sluice_runtime.probes import HealthSettings

__all__ = ["ServiceSettings", "SettingsError", "load_settings"]


class SettingsError(Exception):
    """The settings are invalid; the message names them and says what to do."""


class ServiceSettings(BaseSettings):
    """The settings that every service has."""

    model_config = SettingsConfigDict(
        env_prefix="SLUICE_",
        env_nested_delimiter="__",
        # Charts and compose files set unused variables to an empty string.
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    log: LogSettings = LogSettings()
    health: HealthSettings = HealthSettings()
    data_dir: Annotated[
        Path, Field(description="Folder for views and ledgers, which can be rebuilt from Kafka.")
    ] = Path("data")
    shutdown_grace: Annotated[
        Duration,
        Field(
            description="Time to finish work after SIGTERM; less than the pod's grace period "
            "(30 s)."
        ),
    ] = timedelta(seconds=20)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - no .env: it hides settings
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - Secrets come as variables
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources by precedence: arguments, the environment, the file."""
        file = os.environ.get("SLUICE_CONFIG")
        if file is None:
            return init_settings, env_settings
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=file)


S = TypeVar("S", bound=ServiceSettings)


def load_settings(settings: type[S]) -> S:
    """Return a service's settings.

    Raises:
        SettingsError: some are invalid. The error names each of them, without its value.
    """
    file = os.environ.get("SLUICE_CONFIG")
    if file is not None:
        _refuse_unreadable(Path(file))
    try:
        return settings()
    except ValidationError as e:
        lines = [
            f"  {error.pointer.strip('/').replace('/', '.')} "
            f"(SLUICE_{error.pointer.strip('/').replace('/', '__').upper()}): {error.detail}"
            for error in field_errors(e)
        ]
        raise SettingsError("\n".join(["These settings are invalid:", *lines])) from e
    except pydantic_settings.SettingsError as e:
        raise SettingsError(f"A variable that sets a whole group must be JSON: {e}.") from e


def _refuse_unreadable(file: Path) -> None:
    if not file.is_file():
        raise SettingsError(f"SLUICE_CONFIG: {file} is not a file.")
    try:
        with file.open("rb") as content:
            document = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as e:
        mark = getattr(e, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        # Not chained: the parser's message may repeat a secret.
        raise SettingsError(f"SLUICE_CONFIG: {file} is not readable YAML{where}.") from None
    if document is not None and not (
        isinstance(document, dict) and all(isinstance(name, str) for name in document)
    ):
        raise SettingsError(f"SLUICE_CONFIG: {file} must be a mapping of names to settings.")
