"""`python -m sluice_log_relay`."""

from sluice_log_relay.bootstrap import serve
from sluice_log_relay.settings import Settings
from sluice_runtime.service import run_service

__all__ = ["main"]


def main() -> None:
    """Start the log-relay."""
    run_service(
        name="sluice-log-relay",
        summary="Reads the logs of steps from Kubernetes, for the gateway alone.",
        settings_type=Settings,
        serve=serve,
    )


if __name__ == "__main__":
    main()
