"""Kafka, SQLite and the composition of both: where the ports meet the world."""
