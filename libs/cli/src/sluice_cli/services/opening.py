"""Opens pages of the dashboard."""

from collections.abc import Callable
from urllib.parse import quote

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.ports import Session
from sluice_contracts.ids import DEFAULT_TENANT

__all__ = ["open_page"]


async def open_page(
    session: Session, *, run_id: str | None, open_address: Callable[[str], object] | None
) -> ExitCode:
    """Print the address of a page, and open it if there is a way to."""
    tenant = session.connection.tenant
    query = f"?tenant={quote(tenant)}" if tenant not in (None, DEFAULT_TENANT) else ""
    path = "/runs" if run_id is None else f"/runs/{quote(run_id, safe='')}"
    address = f"{session.connection.url}{path}{query}"
    session.screen.result({"url": address}, lines=[address], name=address)
    if open_address is not None and not open_address(address):
        session.screen.note("No browser could be opened.")
    return ExitCode.SUCCESS
