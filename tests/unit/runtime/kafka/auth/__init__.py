"""Tests of authentication and TLS of Kafka clients."""
