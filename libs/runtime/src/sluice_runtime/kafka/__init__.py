"""Kafka as Sluice needs it: durable sends, verified topics, topics projected into SQLite."""
