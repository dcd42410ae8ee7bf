"""Settings of who may do what."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sluice_contracts.audit import AUDIT_TOPIC

__all__ = ["AuthSettings"]


class AuthSettings(BaseModel):
    """Who may do what. Both files are read again when they change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Annotated[
        Literal["required", "none"] | None,
        Field(
            description="`required`: clients identify themselves, and do what the grants say. "
            "`none`: any client that reaches the gateway may do everything; for one machine and "
            "for tests. It has to be set."
        ),
    ] = None
    grants_file: Annotated[
        Path | None,
        Field(description="YAML file of grants: who may do what, for which tenants and workflows."),
    ] = None
    keys_file: Annotated[
        Path | None,
        Field(
            description="YAML file of API keys, by their SHA-256; "
            "`python -m sluice_gateway.keys new` makes one."
        ),
    ] = None

    audit_topic: Annotated[
        str,
        Field(
            min_length=1,
            description="Topic of audit records: every start, command and refusal, if mode is "
            "`required`.",
        ),
    ] = AUDIT_TOPIC

    @model_validator(mode="after")
    def _decided(self) -> Self:
        if self.mode is None:
            raise ValueError(
                "mode (SLUICE_AUTH__MODE) must be set: to `required`, with grants_file and "
                "keys_file, or to `none`, which lets any client that reaches the gateway do "
                "everything."
            )
        if self.mode == "required" and (self.grants_file is None or self.keys_file is None):
            raise ValueError(
                "mode `required` needs grants_file (SLUICE_AUTH__GRANTS_FILE) and keys_file "
                "(SLUICE_AUTH__KEYS_FILE): without them no client could do anything."
            )
        if self.mode == "none" and (self.grants_file or self.keys_file):
            raise ValueError(
                "mode `none` lets any client do everything, whatever grants_file and keys_file "
                "say: leave them out, or set mode to `required`."
            )
        return self
