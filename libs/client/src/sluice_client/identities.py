"""Who the client is to the gateway, and what it may do."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Identity"]


class Identity(BaseModel):
    """Who asks; there may be kinds and scopes that this client does not know.

    `principal` is as grants name it, such as `user:ada`. `scopes` are what it may do to some run at
    least; grants say to which.
    """

    model_config = ConfigDict(frozen=True)

    principal: str
    kind: str
    scopes: tuple[str, ...]
