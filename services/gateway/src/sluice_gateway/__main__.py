"""`python -m sluice_gateway`."""

from sluice_gateway.bootstrap import serve
from sluice_gateway.settings import GatewaySettings
from sluice_runtime.service import run_service

__all__ = ["main"]


def main() -> None:
    """Start the gateway."""
    run_service(
        name="sluice-gateway",
        summary="Sluice's HTTP door: POST a run, read its state, follow its events.\n"
        "Writes requests to Kafka, and projects requests and status into a view of its own.\n"
        "Listens on loopback by default. SLUICE_AUTH__MODE says whether clients have to identify\n"
        "themselves, and has no default.",
        settings_type=GatewaySettings,
        serve=serve,
    )


if __name__ == "__main__":
    main()
