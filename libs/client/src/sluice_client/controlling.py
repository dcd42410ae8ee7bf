"""The calls that pause, drain and resume workflows and tenants."""

from typing import Literal
from urllib.parse import quote

from sluice_client.documents import encoded
from sluice_client.transport import Call, Repeat

__all__ = ["control_call"]


def control_call(
    verb: Literal["pause", "drain", "resume"],
    *,
    workflow: str | None,
    tenant: str | None,
    reason: str | None,
) -> Call:
    """Return the call that controls a workflow or a tenant.

    Raises:
        ValueError: there is neither, or both.
    """
    if (workflow is None) is (tenant is None):
        raise ValueError(f"Give either a workflow or a tenant to {verb}.")
    kind, name = ("tenants", tenant) if workflow is None else ("workflows", workflow)
    return Call(
        method="POST",
        path=f"/v1/{kind}/{quote(str(name), safe='')}/{verb}",
        body=None if reason is None else encoded({"reason": reason}),
        # The last state counts, and a second record has the same.
        repeat=Repeat.ALWAYS,
    )
