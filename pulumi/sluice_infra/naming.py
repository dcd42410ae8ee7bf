"""How things are called, and what they are tagged with."""

from dataclasses import dataclass

PROJECT = "sluice"


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Names and tags of one stack."""

    stack: str
    environment: str
    owner: str
    region: str

    @property
    def prefix(self) -> str:
        """What every name starts with."""
        return f"{PROJECT}-{self.stack}"

    def name(self, thing: str) -> str:
        """Return the name of a thing of this stack."""
        return f"{self.prefix}-{thing}"

    def everywhere(self, thing: str) -> str:
        """Return a name for what all regions of an account share: a role or a bucket."""
        return f"{self.prefix}-{self.region}-{thing}"

    def tags(self, thing: str | None = None, **more: str) -> dict[str, str]:
        """Return a thing's tags."""
        return {
            "Project": PROJECT,
            "Environment": self.environment,
            "Owner": self.owner,
            "ManagedBy": "pulumi",
            "Name": self.name(thing) if thing else self.prefix,
            **more,
        }
