"""Integration tests: real Kafka, the local engine over HTTP."""
