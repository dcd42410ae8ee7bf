"""The metrics of the log-relay."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["Metrics"]


class Metrics:
    """All metrics of the process, `sluice_log_relay_*`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "sluice_log_relay_requests", "Requests answered.", ["status"], registry=registry
        )
        self.bytes = Counter(
            "sluice_log_relay_bytes", "Bytes of logs passed on.", registry=registry
        )
        self.interruptions = Counter(
            "sluice_log_relay_interruptions",
            "Logs that were cut and are continued by their readers.",
            registry=registry,
        )
        self._streams = Gauge(
            "sluice_log_relay_streams", "Logs that are being read.", registry=registry
        )

    def watch_streams(self, streams: Callable[[], int]) -> None:
        """Read the number of open logs from here."""
        self._streams.set_function(streams)
