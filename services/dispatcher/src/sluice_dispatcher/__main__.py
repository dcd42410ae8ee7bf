"""`python -m sluice_dispatcher`."""

from sluice_dispatcher.bootstrap import serve
from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.service import run_service

__all__ = ["main"]


def main() -> None:
    """Start the dispatcher."""
    run_service(
        name="sluice-dispatcher",
        summary="Turns each request on Kafka into exactly one Argo Workflow.",
        settings_type=DispatcherSettings,
        serve=serve,
    )


if __name__ == "__main__":
    main()
