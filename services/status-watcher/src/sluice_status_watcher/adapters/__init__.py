"""Kafka and the API server, behind the interfaces of `ports.py`."""
