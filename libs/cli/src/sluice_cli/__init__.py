"""The command `sluice`."""

from typing import Final

__all__ = ["VERSION"]

VERSION: Final = "0.1.0"
"""That of pyproject.toml: to ask the installation for it takes as long as all else."""
