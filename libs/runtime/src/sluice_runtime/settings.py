"""Settings come from the environment and from one file, and are passed on, never looked up.

`SLUICE_KAFKA__BOOTSTRAP_SERVERS` sets `kafka.bootstrap_servers`; `SLUICE_CONFIG` names a YAML file
of the same shape. The environment wins over the file.
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
    """The settings make no sense; the message says which and what to do."""


class ServiceSettings(BaseSettings):
    """What every service can be told."""

    model_config = SettingsConfigDict(
        env_prefix="SLUICE_",
        env_nested_delimiter="__",
        # A variable set to nothing, as charts and compose files do, is a variable not set.
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    log: LogSettings = LogSettings()
    health: HealthSettings = HealthSettings()
    data_dir: Annotated[
        Path, Field(description="Folder for what can be rebuilt from Kafka: views and ledgers.")
    ] = Path("data")
    shutdown_grace: Annotated[
        Duration,
        Field(description="For work in hand once told to stop; less than the pod's grace (30 s)."),
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
        """Prefer arguments, then the environment, then the file."""
        file = os.environ.get("SLUICE_CONFIG")
        if file is None:
            return init_settings, env_settings
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=file)


S = TypeVar("S", bound=ServiceSettings)


def load_settings(settings: type[S]) -> S:
    """Read a service's settings.

    Raises:
        SettingsError: naming each setting that is wrong, without its value.
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
        raise SettingsError("\n".join(["These settings are wrong:", *lines])) from e
    except pydantic_settings.SettingsError as e:
        raise SettingsError(f"A variable that sets a whole group must be JSON: {e}.") from e


def _refuse_unreadable(file: Path) -> None:
    if not file.is_file():
        raise SettingsError(f"SLUICE_CONFIG names {file}, which is no file.")
    try:
        with file.open("rb") as content:
            document = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as e:
        mark = getattr(e, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        # Not chained: the parser's own words may repeat a secret.
        raise SettingsError(
            f"SLUICE_CONFIG names {file}, which is no readable YAML{where}."
        ) from None
    if document is not None and not (
        isinstance(document, dict) and all(isinstance(name, str) for name in document)
    ):
        raise SettingsError(f"SLUICE_CONFIG names {file}, which holds no settings by name.")
