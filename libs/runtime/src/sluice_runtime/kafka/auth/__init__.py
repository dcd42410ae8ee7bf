"""Authentication and TLS of Kafka clients."""
