"""Settings, supervision, Kafka, Kubernetes, telemetry and probes for Sluice's services."""
