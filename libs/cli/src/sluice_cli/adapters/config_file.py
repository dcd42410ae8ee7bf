"""The configuration file: `~/.config/sluice/config.toml`."""

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sluice_cli.domain.profiles import Profile, read_profiles
from sluice_cli.domain.usage import UsageError

__all__ = ["config_path", "profile_of"]

_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def config_path(environment: Mapping[str, str]) -> Path:
    """Return where the file is, whether or not it exists."""
    if "SLUICE_CLI_CONFIG" in environment:
        return Path(environment["SLUICE_CLI_CONFIG"]).expanduser()
    base = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "sluice" / "config.toml"


def profile_of(name: str | None, *, environment: Mapping[str, str]) -> Profile:
    """Return the profile of this name, or the one that is used without a name.

    Raises:
        UsageError: there is no such profile, or the file cannot be used.
    """
    path = config_path(environment)
    # Nor is a device a configuration, such as /dev/null.
    if not path.is_file():
        if name is not None:
            raise UsageError(f"There is no profile {name!r}: {path} does not exist.")
        return Profile()
    default, profiles = read_profiles(_read(path), source=str(path))
    if name is None and default not in profiles:
        return Profile()
    try:
        return profiles[name or default]
    except KeyError:
        known = ", ".join(profiles) or "none"
        raise UsageError(f"{path} has no profile {name!r}; it has {known}.") from None


def _read(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OF_OTHERS:
                # Somebody who may write it could have tokens sent elsewhere.
                raise UsageError(
                    f"{path} may be read or written by others (mode {stat.S_IMODE(mode):04o}): "
                    f"chmod 600 {path}"
                )
            return tomllib.load(file)
    except (OSError, ValueError) as e:
        raise UsageError(f"{path} cannot be used: {e}.") from None
