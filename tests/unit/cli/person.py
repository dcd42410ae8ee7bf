"""A person at a terminal without colours, whose Sluice is the client's fake."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from typer.testing import CliRunner, Result

from sluice_cli.app import app
from sluice_cli.session import Tools
from sluice_client.fake import FakeSluice

__all__ = ["Person"]


@dataclass
class Person:
    """Types commands; `opened` are the pages that were opened."""

    sluice: FakeSluice
    home: Path
    opened: list[str] = field(default_factory=list)

    def types(
        self, *words: str, stdin: str | None = None, environment: Mapping[str, str] | None = None
    ) -> Result:
        """Type a command, and return what it has written."""
        tools = Tools(gateway=lambda _: self.sluice, open_page=self._open)
        variables = {
            "XDG_CONFIG_HOME": str(self.home),
            "NO_COLOR": "1",
            **dict.fromkeys(("SLUICE_URL", "SLUICE_TOKEN", "SLUICE_PROFILE")),
            **(environment or {}),
        }
        return CliRunner().invoke(app, words, input=stdin, env=variables, obj=tools)

    def sees(self, *words: str, stdin: str | None = None, code: int = 0) -> str:
        """Type a command that must end so, and return its standard output."""
        result = self.types(*words, stdin=stdin)
        assert result.exit_code == code, (result.output, result.exception)
        return result.stdout

    def _open(self, address: str) -> bool:
        self.opened.append(address)
        return True
