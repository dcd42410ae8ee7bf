"""Kafka, SQLite and the HTTP server behind the services' ports."""
